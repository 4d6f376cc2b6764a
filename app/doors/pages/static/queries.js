/**
 * What a view asks for: positions along each dimension, as `isel` takes them, and the field or the
 * series that the answer is.
 *
 * @import { Axis, Dataset, Variable } from "./dataset.js"
 * @import { BinFile } from "./bin.js"
 * @import { Line } from "./raster.js"
 * @import { Query } from "./requests.js"
 * @import { Box } from "./state.js"
 * @typedef {object} Slice Positions along one axis: from `start` on, before `stop`, every so many;
 *   around the Earth also beyond the last one, where the first ones follow.
 * @property {number} start
 * @property {number} stop
 * @property {number} step
 */
import { coordinateAt } from "./dataset.js";
import { shapeOf } from "./frame.js";
import { cellAt, lineOf, TURN } from "./raster.js";

export const MOST_CELLS = 1_500_000;
// Around a box that is looked at, as a part of it.
const ROOM = 0.25;
// Names that mean an option before they mean a dimension; brackets reach a dimension of such a name.
const OPTIONS =
  "variables f method tolerance pointwise explain at pack range cmap header bom compression unlimited history cdf5";

/**
 * The parameter that chooses by the labels of a dimension, as people would write it.
 *
 * @param {string} name
 */
export function parameter(name) {
  return ` ${OPTIONS} `.includes(` ${name} `) || name.includes("[") ? `sel[${name}]` : name;
}

/**
 * The cells that a picture is made of: those around a box, else all of them; every so many where
 * these are too many. Both axes are thinned alike, as far as they can be.
 *
 * @param {Axis} x
 * @param {Axis} y
 * @param {Box | null} box
 * @returns {{ x: Slice, y: Slice }}
 */
export function slicesOf(x, y, box) {
  if (box === null) return thinned(whole(x), whole(y));
  const [x0, y0, x1, y1] = x.geographic && y.geographic ? seen(x, y, box) : box;
  return thinned(around(x, x0, x1), around(y, y0, y1));
}

/**
 * The box in the shape of the map, which shows more than was asked for.
 *
 * @param {Axis} x
 * @param {Axis} y
 * @param {Box} box
 */
function seen(x, y, [x0, y0, x1, y1]) {
  const [across, along] = [x, y].map((axis) => {
    const { edges } = cellsAlong(axis, whole(axis));
    return edges[axis.size] - edges[0];
  });
  const shape = shapeOf(across, along);
  const high = Math.max((x1 - x0) / shape, y1 - y0);
  const [middle, centre] = [(x0 + x1) / 2, (y0 + y1) / 2];
  const [dx, dy] = [(high * shape) / 2, high / 2];
  return [middle - dx, centre - dy, middle + dx, centre + dy];
}

/**
 * @param {Axis} axis
 * @returns {Slice}
 */
export function whole(axis) {
  return { start: 0, stop: axis.size, step: 1 };
}

/** @param {Slice} slice */
export function stepsIn({ start, stop }) {
  return stop - start;
}

/**
 * How many positions a slice has.
 *
 * @param {Slice} slice
 */
export function countOf({ start, stop, step }) {
  return Math.ceil((stop - start) / step);
}

/**
 * A slice as parts that end with the axis.
 *
 * @param {Slice} slice
 * @param {number} size
 * @returns {Slice[]}
 */
export function partsOf({ start, stop, step }, size) {
  if (stop <= size) return [{ start, stop, step }];
  const rest = start + step * Math.ceil((size - start) / step) - size;
  const first = { start, stop: size, step };
  return rest < stop - size ? [first, { start: rest, stop: stop - size, step }] : [first];
}

/**
 * The positions between two coordinates, and some more on either side, for who pans a little.
 *
 * @param {Axis} axis
 * @param {number} from
 * @param {number} to
 * @param {number} [part] the room on either side, as a part of what is between
 * @returns {Slice}
 */
export function around(axis, from, to, part = ROOM) {
  const room = (to - from) * part;
  const line = cellsAlong(axis, whole(axis));
  const [first, last] = [line.edges[0], line.edges[axis.size]];
  let [low, high] = [from - room, to + room];
  if (axis.wraps) {
    const turns = Math.floor((low - first) / TURN);
    low -= TURN * turns;
    high -= TURN * turns;
    if (high >= last && high - low < TURN) {
      const ends = [low, high - TURN].map((at) => cellAt(line, at));
      const [start, end] = line.flipped ? ends.reverse() : ends;
      if (end + 1 < start) return { start, stop: end + axis.size + 1, step: 1 };
    }
    if (high >= last) return whole(axis);
  }
  const inside = (/** @type {number} */ at) =>
    cellAt(line, Math.min(Math.max(at, first), last - (last - first) * 1e-9));
  const [one, other] = [inside(low), inside(high)];
  return { start: Math.min(one, other), stop: Math.max(one, other) + 1, step: 1 };
}

/**
 * @param {Slice} x
 * @param {Slice} y
 */
function thinned(x, y) {
  const [across, along] = [x.stop - x.start, y.stop - y.start];
  const each = Math.max(1, Math.ceil(Math.sqrt((across * along) / MOST_CELLS)));
  const rows = Math.min(each, Math.max(1, along));
  const columns = Math.ceil((across * Math.ceil(along / rows)) / MOST_CELLS);
  return { x: { ...x, step: Math.max(columns, 1) }, y: { ...y, step: rows } };
}

/**
 * The parameters of a field of two dimensions, the others at these positions.
 *
 * @param {Variable} variable
 * @param {Record<string, Slice>} slices of the two, by their names
 * @param {Record<string, number>} positions
 * @returns {Query}
 */
export function fieldQuery(variable, slices, positions) {
  /** @type {Query} */
  const query = [["variables", variable.name]];
  for (const name of variable.dims) {
    const slice = slices[name];
    const text = slice === undefined ? String(positions[name] ?? 0) : sliceText(slice);
    query.push([`isel[${name}]`, text]);
  }
  return query;
}

/** @param {Slice} slice */
function sliceText({ start, stop, step }) {
  return step > 1 ? `${start}:${stop}:${step}` : `${start}:${stop}`;
}

/**
 * The parameters of a line along one dimension, the others at these positions.
 *
 * @param {Variable} variable
 * @param {string} along
 * @param {Record<string, number>} positions
 * @param {string} [slice]
 * @returns {Query}
 */
export function lineQuery(variable, along, positions, slice = "") {
  /** @type {Query} */
  const query = [["variables", variable.name]];
  for (const name of variable.dims) {
    if (name !== along) query.push([`isel[${name}]`, String(positions[name] ?? 0)]);
    else if (slice !== "") query.push([`isel[${name}]`, slice]);
  }
  return query;
}

/**
 * The values of a variable as plain numbers; missing ones are NaN.
 *
 * @param {BinFile} file
 * @param {string} name
 * @returns {Float32Array | Float64Array}
 */
export function valuesOf(file, name) {
  const array = file.arrays.get(name);
  if (array === undefined) throw new RangeError(`${name} is not in the answer`);
  const { data } = array;
  if (data instanceof Float32Array || data instanceof Float64Array) return data;
  const { scale = 1, offset = 0, missing = null } = file.variables[name] ?? {};
  return Float64Array.from(data, (/** @type {number | bigint} */ level) => {
    return Number(level) === missing ? Number.NaN : Number(level) * scale + offset;
  });
}

/**
 * The values with a row for each position of `y`, whichever way the variable has them.
 *
 * @template {Float32Array | Float64Array | Uint8Array} Values
 * @param {Values} values
 * @param {boolean} turned whether the variable has `x` before `y`
 * @param {number} across
 * @param {number} along
 * @returns {Values}
 */
export function inRows(values, turned, across, along) {
  if (!turned) return values;
  const rows = /** @type {Values} */ (values.slice());
  for (let row = 0; row < along; row++) {
    for (let column = 0; column < across; column++) {
      rows[row * across + column] = /** @type {number} */ (values[column * along + row]);
    }
  }
  return rows;
}

/**
 * The cells of a picture along an axis; by their positions where labels neither rise nor fall.
 *
 * @param {Axis} axis
 * @param {Slice} slice
 * @returns {Line}
 */
export function cellsAlong(axis, { start, stop, step }) {
  const count = countOf({ start, stop, step });
  const at = (/** @type {(position: number) => number} */ of) =>
    Float64Array.from({ length: count }, (_, index) => of(start + index * step));
  const turn = coordinateAt(axis, 0) < coordinateAt(axis, 1) ? TURN : -TURN;
  const line = lineOf(
    at((position) =>
      position < axis.size
        ? coordinateAt(axis, position)
        : coordinateAt(axis, position - axis.size) + turn,
    ),
    axis.wraps && stop - start === axis.size,
  );
  // Of a window, too, each place has many longitudes.
  if (line !== null) return { ...line, wraps: axis.wraps };
  return /** @type {Line} */ (lineOf(at((position) => position)));
}

/**
 * The dimension along which a click shows a series: time, else the first one that is no axis of the
 * picture; null without any.
 *
 * @param {Dataset} dataset
 * @param {Variable} variable
 * @param {(string | null)[]} shown
 * @returns {Axis | null}
 */
export function seriesAxis(dataset, variable, shown) {
  const others = variable.dims
    .filter((name) => !shown.includes(name))
    .map((name) => /** @type {Axis} */ (dataset.axes.get(name)));
  return others.find((axis) => axis.role === "T") ?? others.find((axis) => axis.size > 1) ?? null;
}

/**
 * The dimension along which a place has a profile: up or down, where the picture has it not.
 *
 * @param {Dataset} dataset
 * @param {Variable} variable
 * @param {(string | null)[]} shown
 * @returns {Axis | null}
 */
export function profileAxis(dataset, variable, shown) {
  const axes = variable.dims.map((name) => /** @type {Axis} */ (dataset.axes.get(name)));
  return (
    axes.find(({ name, role, size }) => role === "Z" && size > 1 && !shown.includes(name)) ?? null
  );
}
