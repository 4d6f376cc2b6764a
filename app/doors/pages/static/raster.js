/**
 * Pictures of fields: which cell each row and column of pixels shows, and their colours.
 *
 * Values stand for cells around the coordinates: a cell ends half-way to its neighbours, the outer
 * ones as far out as in. One table of rows and one of columns hold flips, gaps and the way around
 * the Earth, so that painting is a walk through two tables.
 *
 * @typedef {object} Line One axis of a field.
 * @property {Float64Array} edges of its cells, ascending: one more than there are cells
 * @property {boolean} flipped whether the first cell is the last one of the field
 * @property {boolean} wraps whether the axis goes around, 360 from its first edge to its last
 */
import { levelOf, MISSING } from "./scales.js";

export const TURN = 360;
// Pixels on an edge belong to the cell above it, however their coordinate was rounded.
const NUDGE = 1e-7;
// The squares of the checkerboard behind missing values, in pixels.
const SQUARE_BITS = 3;
const NOWHERE = 256;

/**
 * The cells of an axis whose centres are these; null where they neither rise nor fall.
 *
 * @param {ArrayLike<number>} centres
 * @param {boolean} [wraps]
 * @returns {Line | null}
 */
export function lineOf(centres, wraps = false) {
  const count = centres.length;
  const flipped = count > 1 && centres[0] > centres[count - 1];
  const sorted = Float64Array.from(centres);
  if (flipped) sorted.reverse();
  const edges = new Float64Array(count + 1);
  for (let at = 1; at < count; at++) {
    const [before, here] = [sorted[at - 1], sorted[at]];
    if (!(before < here)) return null;
    edges[at] = (before + here) / 2;
  }
  const [first, last] = [sorted[0], sorted[count - 1]];
  const only = count === 1;
  edges[0] = only ? first - 0.5 : first - (edges[1] - first);
  edges[count] = only ? last + 0.5 : last + (last - edges[count - 1]);
  if (wraps) edges[count] = edges[0] + TURN;
  return { edges, flipped, wraps };
}

/**
 * The cell that each pixel between two coordinates shows; -1 for none.
 *
 * @param {Line} line
 * @param {number} from the coordinate at the outer edge of the first pixel
 * @param {number} to that of the last one; less than `from` where the axis runs the other way
 * @param {number} pixels
 * @returns {Int32Array}
 */
export function cellsOf(line, from, to, pixels) {
  const cells = new Int32Array(pixels);
  const step = (to - from) / pixels;
  const nudge = Math.abs(step) * NUDGE;
  for (let pixel = 0; pixel < pixels; pixel++) {
    cells[pixel] = cellAt(line, from + (pixel + 0.5) * step + nudge);
  }
  return cells;
}

/**
 * The cell around a coordinate; -1 outside of all of them.
 *
 * @param {Line} line
 * @param {number} coordinate
 */
export function cellAt({ edges, flipped, wraps }, coordinate) {
  const count = edges.length - 1;
  const first = edges[0];
  let wanted = coordinate;
  if (wraps) wanted -= TURN * Math.floor((wanted - first) / TURN);
  if (!(wanted >= first && wanted < edges[count])) return -1;
  let low = 0;
  let high = count;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (edges[middle] <= wanted) low = middle;
    else high = middle;
  }
  return flipped ? count - 1 - low : low;
}

/**
 * @typedef {object} Picture What is painted, and where.
 * @property {ArrayLike<number>} values of the field, rows first
 * @property {import("./scales.js").Levels | null} levels what takes values to levels; null where the
 *   values are levels
 * @property {number} across cells in a row of the field, or of the index
 * @property {Int32Array} [index] where each place of the tables finds its level; -1 for nowhere
 * @property {Int32Array} rows the row of cells that each row of pixels shows
 * @property {Int32Array} columns
 * @property {Uint32Array} table 256 colours
 * @property {[number, number]} checkers the two colours of the board behind missing values
 */

/**
 * The level of each pixel of a picture; NOWHERE where no cell is.
 *
 * @param {Picture} picture
 * @param {Uint16Array} made
 */
export function levelled(picture, made) {
  const { rows, columns } = picture;
  const width = columns.length;
  for (let y = 0; y < rows.length; y++) {
    const row = rows[y];
    const start = y * width;
    if (row < 0) made.fill(NOWHERE, start, start + width);
    else levelRow(picture, row, made.subarray(start, start + width));
  }
}

/**
 * @param {Picture} picture
 * @param {number} row of the field, or of the index
 * @param {Uint16Array} made
 */
function levelRow({ values, levels, across, index, columns }, row, made) {
  const start = row * across;
  for (let x = 0; x < made.length; x++) {
    const column = columns[x];
    const cell = column < 0 || index === undefined ? column : index[start + column];
    if (cell < 0) {
      made[x] = NOWHERE;
      continue;
    }
    const value = values[index === undefined ? start + cell : cell];
    made[x] = levels === null ? value : levelOf(value, levels);
  }
}

/**
 * Paint levels into the words of an image, which has a word for each pixel. Where no cell is, it is
 * left transparent.
 *
 * @param {Picture} picture
 * @param {Uint16Array} levels
 * @param {Uint32Array} words
 */
export function paint({ rows, columns, table, checkers }, levels, words) {
  const width = columns.length;
  for (let y = 0, at = 0; y < rows.length; y++) {
    for (let x = 0; x < width; x++, at++) {
      const level = levels[at];
      if (level < MISSING) words[at] = table[level];
      else if (level > MISSING) words[at] = 0;
      else words[at] = checkers[((x >> SQUARE_BITS) ^ (y >> SQUARE_BITS)) & 1];
    }
  }
}
