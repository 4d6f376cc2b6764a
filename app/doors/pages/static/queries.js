/**
 * What a view asks for: positions along each dimension, as `isel` takes them, and the field or the
 * series that the answer is.
 *
 * @import { Axis, Dataset, Variable } from "./dataset.js"
 * @import { BinFile } from "./bin.js"
 * @import { Query } from "./requests.js"
 * @typedef {object} Slices Which cells of a picture are asked for: every so many.
 * @property {number} x
 * @property {number} y
 */
import { coordinateAt } from "./dataset.js";
import { lineOf } from "./raster.js";

export const MOST_CELLS = 1_500_000;
// Names that mean an option before they mean a dimension; brackets reach a dimension of such a name.
const OPTIONS = new Set(
  "variables f method tolerance pointwise explain pack range cmap size columns at".split(" "),
);

/**
 * @param {string} name of a dimension
 * @param {"isel" | "sel"} by
 */
export function parameter(name, by) {
  return OPTIONS.has(name) || name.includes("[") ? `${by}[${name}]` : name;
}

/**
 * How many cells are left out between two that are asked for, so that there are not too many.
 *
 * @param {Axis} x
 * @param {Axis} y
 * @returns {Slices}
 */
export function strides(x, y) {
  const each = Math.max(1, Math.ceil(Math.sqrt((x.size * y.size) / MOST_CELLS)));
  const along = Math.min(each, Math.max(1, y.size));
  return { x: Math.max(1, Math.ceil((x.size * y.size) / along / MOST_CELLS)), y: along };
}

/**
 * The parameters of a field of two dimensions, the others at these positions.
 *
 * @param {Variable} variable
 * @param {Axis} x
 * @param {Axis} y
 * @param {Slices} slices
 * @param {Record<string, number>} positions
 * @returns {Query}
 */
export function fieldQuery(variable, x, y, slices, positions) {
  /** @type {Query} */
  const query = [["variables", variable.name]];
  for (const name of variable.dims) {
    const step = name === x.name ? slices.x : name === y.name ? slices.y : 0;
    if (step === 0) query.push([parameter(name, "isel"), String(positions[name] ?? 0)]);
    else if (step > 1) query.push([parameter(name, "isel"), `::${step}`]);
  }
  return query;
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
    if (name !== along) query.push([parameter(name, "isel"), String(positions[name] ?? 0)]);
    else if (slice !== "") query.push([parameter(name, "isel"), slice]);
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
 * The cells of a picture along an axis of which every so many are there; by their positions where
 * labels neither rise nor fall.
 *
 * @param {Axis} axis
 * @param {number} step
 */
export function cellsAlong(axis, step) {
  const count = Math.ceil(axis.size / step);
  const at = (/** @type {(position: number) => number} */ of) =>
    Float64Array.from({ length: count }, (_, index) => of(index * step));
  const line = lineOf(
    at((position) => coordinateAt(axis, position)),
    axis.wraps,
  );
  const { edges, flipped, wraps } = line ?? lineOf(at((position) => position)) ?? {};
  return {
    edges: edges ?? new Float64Array([0, 1]),
    flipped: flipped ?? false,
    wraps: wraps ?? false,
  };
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
