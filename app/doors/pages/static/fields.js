/**
 * The field that a picture shows: what is asked for, and what came.
 *
 * @import { Axis } from "./dataset.js"
 * @import { Line } from "./raster.js"
 * @import { Mesh } from "./mesh.js"
 * @import { Slice } from "./queries.js"
 * @import { BinFile } from "./bin.js"
 * @import { OnProgress, Query } from "./requests.js"
 * @import { summaryOf } from "./scales.js"
 * @import { Session } from "./session.js"
 * @typedef {object} Wanted
 * @property {Axis} across
 * @property {Axis} along
 * @property {{ x: Slice, y: Slice }} slices the positions whose cells are there
 * @property {import("./cost.js").Much | null} much what all cells would cost, where some
 *   are left out for that
 * @property {string} whole what is said where all of them are wanted
 * @property {Query[]} queries two of them where a window lies across the seam of an axis
 * @typedef {object} Field What was fetched.
 * @property {Float32Array | Float64Array} values rows first
 * @property {Axis} across what runs across the picture, which on a mesh is no dimension
 * @property {Axis} along
 * @property {Line} x
 * @property {Line} y
 * @property {Mesh | null} mesh
 * @property {Wanted} wanted
 * @property {Record<string, import("./state.js").Range>} usual ranges, by the scales that they were
 *   found for
 * @property {ReturnType<typeof summaryOf>} [summary] once it was asked for
 */
import { gridAxes, learn } from "./dataset.js";
import { meshOf } from "./mesh.js";
import { cellsAlong, countOf, fieldQuery, inRows, partsOf, slicesOf, valuesOf } from "./queries.js";

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
  const { x, y } = slicesOf(across, along, grid === null ? state.box : null);
  const all = { [across.name]: x, [along.name]: y };
  const whole = JSON.stringify([variable.name, all]);
  const { slices: some, much } = session.afford(whole, all);
  const slices = { x: some[across.name], y: some[along.name] };
  const queries = partsOf(slices.x, across.size).map((x) =>
    fieldQuery(variable, { [across.name]: x, [along.name]: slices.y }, positions),
  );
  return { across, along, slices, much, whole, queries };
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
  const { variable, grid } = session;
  const { across, along, slices } = wanted;
  const files = await read(session, wanted, [["pack", "f4"]], signal, onProgress);
  const values = rowsOf(session, wanted, files, (file) => valuesOf(file, variable.name));
  learn(across, slices.x, files[0]);
  learn(along, slices.y, files[0]);
  if (grid === null) {
    const [x, y] = [cellsAlong(across, slices.x), cellsAlong(along, slices.y)];
    return { values, across, along, x, y, mesh: null, wanted, usual: {} };
  }
  const mesh = known ?? (await readMesh(session, wanted, files[0], signal));
  const [west, south, east, north] = mesh.whole;
  const [longitude, latitude] = gridAxes(grid, mesh.wraps);
  const x = { edges: Float64Array.of(west, east), flipped: false, wraps: mesh.wraps };
  const y = { edges: Float64Array.of(south, north), flipped: false, wraps: false };
  return { values, across: longitude, along: latitude, x, y, mesh, wanted, usual: {} };
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
 * @param {BinFile} file
 * @param {AbortSignal} signal
 */
async function readMesh(session, wanted, file, signal) {
  const { longitude, latitude } = /** @type {import("./dataset.js").Grid} */ (session.grid);
  const { across, along, slices } = wanted;
  const both = [longitude, latitude];
  let told = file;
  if (both.some((name) => !file.arrays.has(name))) {
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
