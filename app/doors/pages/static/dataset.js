/**
 * A dataset as `/datasets/{id}` describes it: its variables, and its axes with positions, labels
 * and the coordinates that a picture needs.
 *
 * @import { BinFile } from "./bin.js"
 * @typedef {"X" | "Y" | "Z" | "T"} Role
 * @typedef {number | string | boolean | null} Label
 * @typedef {"number" | "time" | "text" | "none"} AxisKind
 * @typedef {object} Axis One dimension.
 * @property {string} name
 * @property {number} size
 * @property {AxisKind} kind `none` has no labels but its positions; `time` is of any calendar
 * @property {Role | null} role
 * @property {boolean} geographic degrees of longitude or latitude
 * @property {boolean} wraps the last label's other neighbour is the first
 * @property {boolean} down larger values lie lower, such as depths and pressures
 * @property {string} units
 * @property {string} title
 * @property {Label[] | null} values all labels, where these are few
 * @property {Label} first the label at position 0, where it is known
 * @property {number | null} step between neighbours (milliseconds for times), if it is even
 * @property {string | null} calendar
 * @property {Map<number, Label>} known labels that the server told of, where only it knows them
 *
 * @typedef {object} Variable
 * @property {string} name
 * @property {string[]} dims
 * @property {string} dtype
 * @property {"number" | "text"} kind
 * @property {string} units
 * @property {string} title
 * @property {number[] | null} chunks their lengths along the dimensions
 * @property {boolean} described whether these are all that is read of it: no coordinates lie beside
 * @property {Record<string, unknown>} attrs
 *
 * @typedef {object} Dataset
 * @property {string} id
 * @property {string} title
 * @property {string} attribution
 * @property {Map<string, Axis>} axes in the order of the dimensions
 * @property {Map<string, Variable>} variables
 * @property {Grid[]} grids
 *
 * @typedef {object} Grid Variables with the longitudes and latitudes along some dimensions.
 * @property {string} longitude
 * @property {string} latitude
 * @property {string[]} dims
 */
import { durationOf, instantOf, labelOf } from "./times.js";

/**
 * @param {any} told the JSON of `/datasets/{id}`
 * @returns {Dataset}
 */
export function readDataset(told) {
  // Of a dimension's own labels nothing has to be read.
  const beside = Object.entries(told.coords).filter(([name]) => !(name in told.dims));
  const variables = Object.entries(told.data_vars).map(([name, one]) =>
    readVariable(
      name,
      one,
      beside.map(([, coord]) => coord.dims),
    ),
  );
  const axes = Object.entries(told.dims).map(([name, size]) =>
    readAxis(name, Number(size), told.coords[name]),
  );
  return {
    id: told.id,
    title: told.title ?? told.id,
    attribution: told.attribution ?? "",
    axes: new Map(axes.map((one) => [one.name, one])),
    variables: new Map(variables.map((one) => [one.name, one])),
    grids: told.grids ?? [],
  };
}

/**
 * @param {string} name
 * @param {any} told
 * @param {string[][]} beside the dimensions of coordinates that answers read too
 * @returns {Variable}
 */
function readVariable(name, told, beside) {
  const { dims, dtype, attrs, chunks = null } = told;
  const kind = /^(u?int|float|bool)/.test(dtype) ? "number" : "text";
  const title = text(attrs.long_name) || text(attrs.standard_name) || name;
  const among = (/** @type {string[]} */ some) => some.every((dim) => dims.includes(dim));
  const described = chunks !== null && !beside.some((some) => some.length > 0 && among(some));
  return { name, dims, dtype, kind, units: text(attrs.units), title, chunks, described, attrs };
}

/**
 * @param {string} name
 * @param {number} size
 * @param {any} coord what is told of the coordinate of this name; undefined without one
 * @returns {Axis}
 */
function readAxis(name, size, coord) {
  const attrs = coord?.attrs ?? {};
  const units = text(attrs.units);
  const kind = kindOf(coord);
  const role = coord?.role ?? null;
  const step = stepOf(kind, coord);
  const ends = coord?.ascending === false ? [coord.max, coord.min] : [coord?.min, coord?.max];
  return {
    name,
    size,
    kind,
    role,
    geographic: kind === "number" && /[XY]/.test(role) && units.startsWith("degree"),
    wraps: Boolean(coord?.wraps),
    // Rows that have no labels are those of an image, whose first one is the uppermost.
    down: kind === "none" || (role === "Z" && isDown(attrs, units)),
    units,
    title: text(attrs.long_name) || name,
    values: kind === "none" ? null : (coord.values ?? null),
    first: kind === "none" ? 0 : (coord.values?.[0] ?? ends[0] ?? null),
    step: kind === "none" ? 1 : step,
    calendar: coord?.calendar ?? null,
    known: knownOf(size, ends),
  };
}

/**
 * @param {number} size
 * @param {Label[]} ends the first and the last label
 * @returns {Map<number, Label>}
 */
function knownOf(size, [first, last]) {
  const pairs = /** @type {[number, Label][]} */ ([
    [0, first],
    [size - 1, last],
  ]);
  return new Map(pairs.filter(([, label]) => label !== null && label !== undefined));
}

/**
 * @param {any} coord
 * @returns {AxisKind}
 */
function kindOf(coord) {
  if (coord === undefined || coord.dims.length !== 1) return "none";
  if (coord.calendar !== null && coord.calendar !== undefined) return "time";
  if (/^(u?int|float)/.test(coord.dtype)) return "number";
  return "text";
}

/**
 * @param {AxisKind} kind
 * @param {any} coord
 * @returns {number | null}
 */
function stepOf(kind, coord) {
  const told = coord?.step ?? null;
  if (told === null) return null;
  const step = kind === "time" ? durationOf(String(told)) : Number(told);
  return Number.isFinite(step) ? step : null;
}

/**
 * @param {Record<string, unknown>} attrs
 * @param {string} units
 */
function isDown(attrs, units) {
  if (attrs.positive === "down") return true;
  if (attrs.positive === "up") return false;
  return /^(h?Pa|mbar|millibars?)$/.test(units) || /depth|pressure/.test(text(attrs.standard_name));
}

/** @param {unknown} value */
function text(value) {
  return typeof value === "string" ? value : "";
}

// Longer answers teach no labels: a page has no use for so many.
const MOST_LEARNED = 20_000;
/** @type {Record<string, number>} units of instants, as answers begin them, in milliseconds */
const TICKS = { nan: 1e-6, mic: 1e-3, mil: 1, sec: 1000 };

/**
 * Keep the labels that an answer has, of an axis whose labels only the server knows.
 *
 * @param {Axis} axis
 * @param {{ start: number, step: number }} slice the positions in the answer
 * @param {BinFile} file
 */
export function learn(axis, { start, step }, file) {
  const data = file.arrays.get(axis.name)?.data;
  if (axis.values !== null || axis.step !== null || axis.kind === "none") return;
  if (data === undefined || data.length > MOST_LEARNED) return;
  const tick = TICKS[file.variables[axis.name].units?.slice(0, 3) ?? ""];
  if (isInstants(axis) && tick === undefined) return;
  for (const [at, value] of data.entries()) {
    const label = isInstants(axis) ? labelOf(Number(value) * tick) : Number(value);
    axis.known.set(start + at * step, label);
  }
}

/**
 * Longitudes and latitudes as the axes of a picture that its grid does not have.
 *
 * @param {Grid} grid
 * @param {boolean} wraps
 * @returns {[Axis, Axis]}
 */
export function gridAxes({ longitude, latitude }, wraps) {
  const attrs = { units: "degrees" };
  const told = { dims: [""], dtype: "float64", attrs, values: null };
  return [
    readAxis(longitude, 0, { ...told, role: "X", wraps }),
    readAxis(latitude, 0, { ...told, role: "Y" }),
  ];
}

/**
 * The label at a position; null where only the server knows it (a long axis without a step).
 *
 * @param {Axis} axis
 * @param {number} position
 * @returns {Label}
 */
export function labelAt(axis, position) {
  if (axis.kind === "none") return position;
  if (axis.values !== null) return axis.values[position] ?? null;
  if (axis.step === null || axis.first === null) return axis.known.get(position) ?? null;
  if (axis.kind === "time") {
    const start = instantOf(String(axis.first));
    return Number.isNaN(start) ? null : labelOf(start + position * axis.step);
  }
  // Sums of steps such as 0.1 are rounded back to what was written.
  return Number((Number(axis.first) + position * axis.step).toPrecision(12));
}

/**
 * The position that a label has; -1 where it is none of this axis, or only the server knows it.
 *
 * @param {Axis} axis
 * @param {string} label as a request would have it: `850`, `2024-01-01T06:00Z`
 */
export function positionOf(axis, label) {
  if (axis.kind === "none" || axis.kind === "number") {
    if (label.trim() === "" || !Number.isFinite(Number(label))) return -1;
    return placeOf(axis, Number(label), (one) => Number(one));
  }
  if (isInstants(axis)) {
    const instant = instantFrom(label);
    return Number.isNaN(instant) ? -1 : placeOf(axis, instant, (one) => instantOf(String(one)));
  }
  // Dates of other calendars are texts here, whose last zeros may be left out.
  const zeros = axis.kind === "time" ? ["", "T00:00:00", ":00"] : [""];
  const found = zeros.map((end) => axis.values?.indexOf(label + end) ?? -1);
  return Math.max(...found);
}

/**
 * The position nearest to a number or an instant; -1 on an axis that has no such order.
 *
 * @param {Axis} axis
 * @param {number} wanted in the axis's own coordinates
 */
export function nearest(axis, wanted) {
  const { size } = axis;
  if (axis.values === null && axis.step !== null) {
    const start = coordinateOf(axis, axis.first);
    const at = Math.round((wanted - start) / axis.step);
    return Number.isNaN(at) ? -1 : Math.min(Math.max(at, 0), size - 1);
  }
  let best = -1;
  let distance = Number.POSITIVE_INFINITY;
  for (let at = 0; at < size; at++) {
    let away = Math.abs(coordinateAt(axis, at) - wanted);
    if (axis.wraps) away = Math.min(away % 360, 360 - (away % 360));
    if (away < distance) [best, distance] = [at, away];
  }
  return best;
}

/**
 * Where a position lies along the picture's axis: its number, the milliseconds of its instant, or
 * the position itself where labels are neither.
 *
 * @param {Axis} axis
 * @param {number} position
 */
export function coordinateAt(axis, position) {
  if (axis.values === null && axis.step !== null && (axis.kind === "number" || isInstants(axis))) {
    return coordinateOf(axis, axis.first) + position * axis.step;
  }
  const label = labelAt(axis, position);
  const coordinate = label === null ? Number.NaN : coordinateOf(axis, label);
  return Number.isNaN(coordinate) ? position : coordinate;
}

/**
 * Whether the coordinates of an axis are instants: milliseconds since 1970.
 *
 * @param {Axis} axis
 */
export function isInstants(axis) {
  return axis.kind === "time" && !Number.isNaN(instantOf(String(axis.first)));
}

/**
 * @param {Axis} axis
 * @param {Label} label
 */
function coordinateOf(axis, label) {
  if (axis.kind === "text") return Number.NaN;
  return axis.kind === "time" ? instantOf(String(label)) : Number(label);
}

/**
 * @param {Axis} axis
 * @param {number} wanted
 * @param {(label: Label) => number} of
 */
function placeOf(axis, wanted, of) {
  if (axis.values !== null) return axis.values.findIndex((one) => of(one) === wanted);
  if (axis.step === null) {
    const found = [...axis.known].find(([, one]) => of(one) === wanted);
    return found === undefined ? -1 : found[0];
  }
  const at = (wanted - of(axis.first)) / axis.step;
  const position = Math.round(at);
  const close = Math.abs(at - position) < 1e-6;
  return close && position >= 0 && position < axis.size ? position : -1;
}

/** @param {string} label without seconds or with, with Z or without, a date alone */
function instantFrom(label) {
  const full = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?/.test(label);
  if (!full) return Number.NaN;
  const whole = label.includes("T") ? label : `${label}T00:00`;
  return Date.parse(/Z$|[+-]\d{2}:\d{2}$/.test(whole) ? whole : `${whole}Z`);
}
