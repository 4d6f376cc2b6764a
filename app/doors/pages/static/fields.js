/**
 * The field that a picture shows: what is asked for, and what came.
 *
 * @import { Axis, Variable } from "./dataset.js"
 * @import { Line } from "./raster.js"
 * @import { Mesh } from "./mesh.js"
 * @import { Slice } from "./queries.js"
 * @import { BinFile } from "./bin.js"
 * @import { OnProgress, Query } from "./requests.js"
 * @import { summaryOf } from "./scales.js"
 * @import { Slices } from "./cost.js"
 * @import { Session } from "./session.js"
 * @import { State } from "./state.js"
 * @typedef {object} Wanted
 * @property {Axis} across
 * @property {Axis} along
 * @property {{ x: Slice, y: Slice }} slices the positions whose cells are there
 * @property {import("./session.js").Cost} cost
 * @property {Query[]} queries two of them where a window lies across the seam of an axis
 * @property {Query[]} all the same of all cells, where some are left out for what they cost
 * @property {Record<string, number>} positions
 * @typedef {object} Field What was fetched.
 * @property {Float32Array | Float64Array} values rows first
 * @property {Axis} across what runs across the picture, which on a mesh is no dimension
 * @property {Axis} along
 * @property {Line} x
 * @property {Line} y
 * @property {Mesh | null} mesh
 * @property {Wanted} wanted
 * @property {Uint8Array | null} read 1 where a value has come, of what comes in pieces
 * @property {Record<string, import("./state.js").Range>} usual ranges, by the scales that they were
 *   found for
 * @property {ReturnType<typeof summaryOf>} [summary] once it was asked for
 */
import { gridAxes, learn } from "./dataset.js";
import { meshOf } from "./mesh.js";
import {
  cellsAlong,
  countOf,
  fieldQuery,
  inRows,
  MOST_CELLS,
  partsOf,
  slicesOf,
  valuesOf,
} from "./queries.js";

/** @type {Query} */
const PACKED = [["pack", "f4"]];

/**
 * @param {Session} session
 * @param {Record<string, number>} [positions] others than those that are shown
 * @returns {Wanted}
 */
export function wantedField(session, positions = session.positions) {
  const { state, variable, grid, dataset } = session;
  const [across, along] = [state.x, state.y].map(
    (name) => /** @type {Axis} */ (dataset.axes.get(String(name))),
  );
  const costOf = (/** @type {State["box"]} */ box) => {
    const { x, y } = slicesOf(across, along, box);
    return session.afford({ [across.name]: x, [along.name]: y });
  };
  const box = grid === null ? state.box : null;
  let cost = costOf(null);
  const few = across.size * along.size <= MOST_CELLS && cost.known && cost.much === null;
  // Who looks at a part of what is much gets that part.
  if (box !== null && !few) cost = costOf(box);
  const of = (/** @type {Slices} */ slices) => queriesOf(variable, across, slices, positions);
  const some = cost.slices ?? cost.whole;
  const slices = { x: some[across.name], y: some[along.name] };
  const [queries, all] = [of(some), of(cost.whole)];
  return { across, along, slices, cost, queries, all, positions: { ...positions } };
}

/**
 * @param {Variable} variable
 * @param {Axis} across
 * @param {Slices} slices
 * @param {Record<string, number>} positions
 */
function queriesOf(variable, across, slices, positions) {
  return partsOf(slices[across.name], across.size).map((x) =>
    fieldQuery(variable, { ...slices, [across.name]: x }, positions),
  );
}

/**
 * @param {Session} session
 * @param {Wanted} wanted
 * @param {AbortSignal} signal
 * @param {Mesh | null} known the mesh of the field before, if it is the same
 * @param {OnProgress} [onProgress]
 * @returns {Promise<Field>}
 */
export async function readField(session, wanted, signal, known, onProgress) {
  const [values, file] = await readValues(session, wanted, signal, onProgress);
  return fieldOf(session, wanted, values, known ?? file, signal);
}

/**
 * The same of what comes in pieces: all of it, of which nothing is there yet.
 *
 * @param {Session} session
 * @param {Wanted} wanted
 * @param {AbortSignal} signal
 */
export async function emptyField(session, wanted, signal) {
  const { across, along, cost } = wanted;
  const slices = { x: cost.whole[across.name], y: cost.whole[along.name] };
  const count = countOf(slices.x) * countOf(slices.y);
  const values = new Float32Array(count).fill(Number.NaN);
  const field = await fieldOf(session, { ...wanted, slices }, values, null, signal);
  return { ...field, read: new Uint8Array(count) };
}

/**
 * Read a piece into it.
 *
 * @param {Session} session
 * @param {Field} field
 * @param {Slices} piece
 * @param {AbortSignal} signal
 * @returns {Promise<Field>} with what is there now
 */
export async function readPart(session, field, piece, signal) {
  const { wanted, values, read } = field;
  const { across, along, positions } = wanted;
  const [x, y] = [piece[across.name], piece[along.name]];
  const queries = queriesOf(session.variable, across, piece, positions);
  const part = { ...wanted, slices: { x, y }, queries };
  const [block] = await readValues(session, part, signal);
  const [wide, columns] = [countOf(x), countOf(wanted.slices.x)];
  const from = (/** @type {Slice} */ { start, step }, /** @type {Slice} */ all) =>
    (start - all.start) / step;
  const first = from(y, wanted.slices.y) * columns + from(x, wanted.slices.x);
  for (let at = 0, to = first; at < block.length; at += wide, to += columns) {
    values.set(block.subarray(at, at + wide), to);
    read?.fill(1, to, to + wide);
  }
  // The values are others than before, for who keeps something of them.
  return { ...field, values: values.subarray(0), usual: {}, summary: undefined };
}

/**
 * The values of a picture, and the answer that they were in.
 *
 * @param {Session} session
 * @param {Wanted} wanted
 * @param {AbortSignal} signal
 * @param {OnProgress} [onProgress]
 * @returns {Promise<[Float32Array | Float64Array, BinFile]>}
 */
async function readValues(session, wanted, signal, onProgress) {
  const { name } = session.variable;
  const { across, along, slices } = wanted;
  const files = await read(session, wanted, PACKED, signal, onProgress);
  learn(across, slices.x, files[0]);
  learn(along, slices.y, files[0]);
  return [rowsOf(session, wanted, files, (file) => valuesOf(file, name)), files[0]];
}

/**
 * Values with the places of their cells.
 *
 * @param {Session} session
 * @param {Wanted} wanted
 * @param {Float32Array | Float64Array} values
 * @param {Mesh | BinFile | null} known what has the places, where they are no axes
 * @param {AbortSignal} signal
 * @returns {Promise<Field>}
 */
async function fieldOf(session, wanted, values, known, signal) {
  const { across, along, slices } = wanted;
  const { grid } = session;
  const common = { values, wanted, read: null, usual: {} };
  if (grid === null) {
    const [x, y] = [cellsAlong(across, slices.x), cellsAlong(along, slices.y)];
    return { ...common, across, along, x, y, mesh: null };
  }
  const isMesh = known !== null && "whole" in known;
  const mesh = isMesh ? known : await readMesh(session, wanted, known, signal);
  const [west, south, east, north] = mesh.whole;
  const [longitude, latitude] = gridAxes(grid, mesh.wraps);
  const x = { edges: Float64Array.of(west, east), flipped: false, wraps: mesh.wraps };
  const y = { edges: Float64Array.of(south, north), flipped: false, wraps: false };
  return { ...common, across: longitude, along: latitude, x, y, mesh };
}

/**
 * The levels of a field in a range, as the server packs them: a byte for each cell.
 *
 * @param {Session} session
 * @param {Wanted} wanted
 * @param {string} range
 * @param {AbortSignal} signal
 */
export async function readLevels(session, wanted, range, signal) {
  /** @type {Query} */
  const packed = [
    ["pack", "u1"],
    ["range", range],
  ];
  const files = await read(session, wanted, packed, signal);
  const { name } = session.variable;
  return rowsOf(session, wanted, files, (file) => {
    return /** @type {Uint8Array} */ (file.arrays.get(name)?.data);
  });
}

/**
 * @param {Session} session
 * @param {Wanted} wanted
 * @param {Query} more
 * @param {AbortSignal} signal
 * @param {OnProgress} [onProgress]
 */
function read({ requests, isel }, { queries }, more, signal, onProgress) {
  const options = { signal, ...(onProgress && { onProgress }) };
  return Promise.all(queries.map((query) => requests.bin(isel, [...query, ...more], options)));
}

/**
 * The longitudes and latitudes of the cells; they are in the answer where the store calls them
 * coordinates.
 *
 * @param {Session} session
 * @param {Wanted} wanted
 * @param {BinFile | null} file
 * @param {AbortSignal} signal
 */
async function readMesh(session, wanted, file, signal) {
  const { longitude, latitude } = /** @type {import("./dataset.js").Grid} */ (session.grid);
  const { across, along, slices } = wanted;
  const both = [longitude, latitude];
  let told = file;
  if (told === null || both.some((name) => !file?.arrays.has(name))) {
    const grid = { ...session.variable, name: both.join(","), dims: [along.name, across.name] };
    const query = fieldQuery(grid, { [across.name]: slices.x, [along.name]: slices.y }, {});
    told = await session.requests.bin(session.isel, query, { signal });
  }
  const columns = countOf(slices.x);
  const [lon, lat] = both.map((name) => {
    const turned = told.variables[name].dims[0] === across.name;
    return inRows(valuesOf(told, name), turned, columns, countOf(slices.y));
  });
  return meshOf(lon, lat, columns);
}

/**
 * Rows of a picture, of one answer or of two that stand side by side.
 *
 * @template {Float32Array | Float64Array | Uint8Array} Values
 * @param {Session} session
 * @param {Wanted} wanted
 * @param {BinFile[]} files
 * @param {(file: BinFile) => Values} of
 * @returns {Values}
 */
function rowsOf({ variable }, { across, along, slices }, files, of) {
  const turned = variable.dims.indexOf(across.name) < variable.dims.indexOf(along.name);
  const rows = countOf(slices.y);
  const parts = files.map((file) => {
    const values = of(file);
    return inRows(values, turned, values.length / rows, rows);
  });
  if (parts.length === 1) return parts[0];
  const [one, other] = parts.map((part) => part.length / rows);
  const Kind = /** @type {any} */ (parts[0].constructor);
  const whole = new Kind(rows * (one + other));
  for (let row = 0; row < rows; row++) {
    whole.set(parts[0].subarray(row * one, (row + 1) * one), row * (one + other));
    whole.set(parts[1].subarray(row * other, (row + 1) * other), row * (one + other) + one);
  }
  return whole;
}
