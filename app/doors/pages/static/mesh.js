/**
 * Grids whose longitudes and latitudes have two dimensions: which cell lies at a place. A raster
 * holds the answer for each pixel of a box, made once for as long as the box stays, so that other
 * values or colours are a walk through a table, as on plain grids.
 *
 * @import { Line } from "./raster.js"
 * @import { Box } from "./state.js"
 * @typedef {Float32Array | Float64Array} Floats
 * @typedef {object} Mesh
 * @property {number} columns cells in a row
 * @property {Floats} longitudes of the centres, rows first
 * @property {Floats} latitudes
 * @property {Float64Array} across longitudes of the corners, one more in each row than cells
 * @property {Float64Array} along latitudes of the corners
 * @property {Box} whole
 * @property {boolean} wraps whether it goes around the Earth
 * @typedef {object} Raster
 * @property {Int32Array} index of the cell at each pixel, from the south; -1 for none
 * @property {Line} x
 * @property {Line} y
 */
import { TURN } from "./raster.js";

// What spans more of the Earth goes around it: the gap is one between two cells.
const AROUND = 340;

/**
 * Corners are half-way between the centres around them, the outer ones as far out as in.
 *
 * @param {Floats} longitudes in degrees; NaN for cells that are nowhere
 * @param {Floats} latitudes
 * @param {number} columns
 * @returns {Mesh}
 */
export function meshOf(longitudes, latitudes, columns) {
  const rows = longitudes.length / columns;
  const across = new Float64Array((rows + 1) * (columns + 1));
  const along = new Float64Array(across.length);
  const steps = [columns > 1 ? 1 : 0, rows > 1 ? columns : 0];
  for (let row = 0, at = 0; row <= rows; row++) {
    const top = clamped(row - 1, rows - 2);
    for (let column = 0; column <= columns; column++, at++) {
      const left = clamped(column - 1, columns - 2);
      const first = top * columns + left;
      const shares = [row - 0.5 - top, column - 0.5 - left];
      across[at] = blended(longitudes, first, steps, shares, true);
      along[at] = clamped(blended(latitudes, first, steps, shares, false), 90, -90);
    }
  }
  return { columns, longitudes, latitudes, across, along, ...extent(across, along) };
}

/**
 * @param {number} value
 * @param {number} high
 * @param {number} [low]
 */
function clamped(value, high, low = 0) {
  return Math.max(Math.min(value, high), low);
}

/**
 * The longitude, counted so that it is next to another.
 *
 * @param {number} longitude
 * @param {number} other
 */
function near(longitude, other) {
  const away = longitude - other;
  return Math.abs(away) > TURN / 2 ? longitude - TURN * Math.round(away / TURN) : longitude;
}

/**
 * What four centres have at a place between or beyond them. One that is nowhere is where the other
 * three would have it, and where more are, the middle of the rest is taken.
 *
 * @param {Floats} values
 * @param {number} first of the four cells
 * @param {number[]} steps to the cells to its right and below
 * @param {number[]} shares how far down, and how far to the right
 * @param {boolean} turns whether they are longitudes
 */
function blended(values, first, [next, below], [down, right], turns) {
  const a = values[first];
  const of = (/** @type {number} */ at) =>
    turns ? near(values[first + at], a) : values[first + at];
  const [b, c, d] = [of(next), of(below), of(next + below)];
  const whole = (1 - down) * ((1 - right) * a + right * b) + down * ((1 - right) * c + right * d);
  return Number.isNaN(whole) ? guessed([a, b, c, d], [down, right]) : whole;
}

/**
 * @param {number[]} four some of which are missing
 * @param {number[]} shares
 */
function guessed(four, [down, right]) {
  const [a, b, c, d] = four.map((one, at) =>
    Number.isNaN(one) ? four[at ^ 1] + four[at ^ 2] - four[at ^ 3] : one,
  );
  const whole = (1 - down) * ((1 - right) * a + right * b) + down * ((1 - right) * c + right * d);
  const known = four.filter((one) => !Number.isNaN(one));
  return Number.isNaN(whole) ? known.reduce((sum, one) => sum + one, 0) / known.length : whole;
}

/**
 * @param {Float64Array} across
 * @param {Float64Array} along
 * @returns {{ whole: Box, wraps: boolean }}
 */
function extent(across, along) {
  // From the meridian or from the one opposite, wherever the grid is in one piece.
  const spans = [-TURN / 2, 0].map((from) =>
    span(across, (one) => one - TURN * Math.floor((one - from) / TURN)),
  );
  const [west, east] = spans.reduce((best, one) =>
    one[1] - one[0] < best[1] - best[0] ? one : best,
  );
  const [south, north] = span(along, (one) => one);
  return { whole: [west, south, east, north], wraps: east - west > AROUND };
}

/**
 * @param {Float64Array} values
 * @param {(value: number) => number} of
 */
function span(values, of) {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    const one = of(value);
    if (one < low) low = one;
    if (one > high) high = one;
  }
  return [low, high];
}

/**
 * The cells at the pixels of a box, each of them filled between its four sides (a scan conversion
 * of convex polygons). Cells around a pole, which have no sides on such a map, are left out.
 *
 * @param {Mesh} mesh
 * @param {Box} box
 * @param {number} width in pixels
 * @param {number} height
 * @returns {Raster}
 */
export function rasterOf(mesh, box, width, height) {
  const [x0, y0, x1, y1] = box;
  const index = new Int32Array(width * height).fill(-1);
  const around = (TURN * width) / (x1 - x0);
  const xs = new Float64Array(5);
  const ys = new Float64Array(5);
  const ends = new Float64Array(2);
  for (let cell = 0; cell < mesh.longitudes.length; cell++) {
    if (Number.isNaN(mesh.longitudes[cell])) continue;
    placeSides(mesh, cell, xs, ys);
    let [low, high] = [height, 0];
    for (let side = 0; side < 5; side++) {
      xs[side] = (xs[side] - x0) * (width / (x1 - x0));
      const y = (ys[side] - y0) * (height / (y1 - y0));
      ys[side] = y;
      // What is no number is neither.
      if (y < low) low = y;
      if (y > high) high = y;
    }
    const top = Math.min(Math.ceil(high - 0.5), height);
    for (let row = Math.max(Math.ceil(low - 0.5), 0); row < top; row++) {
      cross(xs, ys, row + 0.5, ends);
      fill(index, row * width, width, cell, ends, around);
    }
  }
  return { index, x: even(x0, x1, width), y: even(y0, y1, height) };
}

/**
 * The columns and the rows with cells in a box: the first ones, and those behind the last ones.
 *
 * @param {Mesh} mesh
 * @param {Box} box
 */
export function windowOf({ longitudes, latitudes, columns }, [x0, y0, x1, y1]) {
  const middle = (x0 + x1) / 2;
  let [left, top, right, bottom] = [columns, longitudes.length, 0, 0];
  for (let cell = 0; cell < longitudes.length; cell++) {
    const away = Math.abs(near(longitudes[cell], middle) - middle);
    if (!(away <= (x1 - x0) / 2 && latitudes[cell] >= y0 && latitudes[cell] <= y1)) continue;
    const [column, row] = [cell % columns, Math.floor(cell / columns)];
    [left, right] = [Math.min(left, column), Math.max(right, column + 1)];
    [top, bottom] = [Math.min(top, row), Math.max(bottom, row + 1)];
  }
  return [left, top, right, bottom];
}

/**
 * The corners of a cell, around it and back to the first one.
 *
 * @param {Mesh} mesh
 * @param {number} cell
 * @param {Float64Array} xs
 * @param {Float64Array} ys
 */
function placeSides({ longitudes, across, along, columns }, cell, xs, ys) {
  const first = cell + Math.floor(cell / columns);
  for (let side = 0; side < 5; side++) {
    const corner = first + (side & 2 ? columns + 1 : 0) + (side === 1 || side === 2 ? 1 : 0);
    xs[side] = near(across[corner], longitudes[cell]);
    ys[side] = along[corner];
  }
}

/**
 * @param {Int32Array} index
 * @param {number} start of the row in it
 * @param {number} width
 * @param {number} cell
 * @param {Float64Array} ends
 * @param {number} around pixels of the way around the Earth, after which the cell comes again
 */
function fill(index, start, width, cell, ends, around) {
  const [from, to] = [ends[0], ends[1]];
  if (!(to - from < around / 2)) return;
  for (let turn = -Math.floor(to / around) * around; from + turn < width; turn += around) {
    const end = Math.min(Math.ceil(to + turn - 0.5), width);
    for (let x = Math.max(Math.ceil(from + turn - 0.5), 0); x < end; x++) index[start + x] = cell;
  }
}

/**
 * Where a line along a row enters and leaves the sides of a cell. Each side is walked upward, so
 * that two cells agree about the one between them.
 *
 * @param {Float64Array} xs
 * @param {Float64Array} ys
 * @param {number} height
 * @param {Float64Array} into the two places
 */
function cross(xs, ys, height, into) {
  into[0] = Number.POSITIVE_INFINITY;
  into[1] = Number.NEGATIVE_INFINITY;
  for (let side = 0; side < 4; side++) {
    if (ys[side] <= height === ys[side + 1] <= height) continue;
    const low = ys[side] < ys[side + 1] ? side : side + 1;
    const high = 2 * side + 1 - low;
    const x = xs[low] + ((height - ys[low]) * (xs[high] - xs[low])) / (ys[high] - ys[low]);
    if (x < into[0]) into[0] = x;
    if (x > into[1]) into[1] = x;
  }
}

/**
 * @param {number} from
 * @param {number} to
 * @param {number} count
 * @returns {Line}
 */
function even(from, to, count) {
  const edges = Float64Array.from(
    { length: count + 1 },
    (_, at) => from + (at * (to - from)) / count,
  );
  return { edges, flipped: false, wraps: false };
}
