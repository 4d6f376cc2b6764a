/**
 * What a view shows, as a selection by labels, and the lines of code that give the same array. A key
 * stands in none of them: they take it from the environment.
 *
 * @import { Axis } from "./dataset.js"
 * @import { Query } from "./requests.js"
 * @import { Session } from "./session.js"
 * @typedef {object} Wanted
 * @property {string} name of the variable
 * @property {string} dtype of its values
 * @property {string[]} times the columns that are instants
 * @property {(suffix: string) => string} url of a file, by the suffix of its format
 * @property {string} file what it is called, without a suffix
 * @property {boolean} key whether one is needed
 */
import { coordinateAt, isInstants, labelAt, nearest } from "./dataset.js";
import { around, parameter } from "./queries.js";
import { TURN } from "./raster.js";
import { labelOf } from "./times.js";

/**
 * The parameters of `sel` for what is looked at; or, at a point, for the line along an axis there.
 *
 * @param {Session} session
 * @param {[number, number] | null} point
 * @param {Axis | null} line
 * @param {(place: number) => string | null} windowAt the positions that are looked at, on a grid of its
 *   own
 * @returns {Query}
 */
export function selection(session, point, line, windowAt) {
  const { state, variable, positions, grid } = session;
  const names = [state.x, state.y];
  const box = state.y === null || grid !== null ? null : state.box;
  /** @type {(axis: Axis, place: number) => Query} `place` is 0 across, 1 along, -1 elsewhere */
  const chosen = (axis, place) => {
    if (place < 0) return [at(axis, positions[axis.name])];
    const seen = grid === null || point !== null ? null : windowAt(place);
    if (seen !== null) return [[`isel[${axis.name}]`, seen]];
    if (point === null) return box === null ? [] : labelsBetween(axis, box[place], box[place + 2]);
    return grid === null ? [at(axis, nearest(axis, point[place]))] : [];
  };
  const axes = variable.dims.map((name) => session.axis(name));
  const left = point === null ? axes : axes.filter((axis) => axis !== line);
  /** @type {Query} */
  const place = grid !== null && point !== null ? [["at", point.join(",")]] : [];
  const labels = left.flatMap((axis) => chosen(axis, names.indexOf(axis.name)));
  return [["variables", variable.name], ...labels, ...place];
}

/**
 * @param {Axis} axis
 * @param {number} position
 * @returns {[string, string]}
 */
function at(axis, position) {
  const label = axis.kind === "none" ? null : labelAt(axis, position);
  if (label === null) return [`isel[${axis.name}]`, String(position)];
  return [parameter(axis.name), String(label).replace(/:00Z$/, "Z")];
}

/**
 * The labels of the cells between two coordinates; nothing where these are all.
 *
 * @param {Axis} axis
 * @param {number} from
 * @param {number} to
 * @returns {Query}
 */
function labelsBetween(axis, from, to) {
  const { start, stop } = around(axis, from, to, 0);
  if (stop > axis.size || stop - start === axis.size) {
    // Across the place where the axis begins, an interval of degrees is meant as it is written.
    const part = axis.wraps && to - from < TURN;
    const ends = [from, to].map((one) => Number(one.toPrecision(8)));
    return part ? [[parameter(axis.name), ends.join("/")]] : [];
  }
  const ends = [start, stop - 1].map((one) => coordinateAt(axis, one));
  if (stop - start === 1) return [at(axis, start)];
  const ordered = axis.kind === "number" || isInstants(axis);
  if (!ordered) return [[`isel[${axis.name}]`, `${start}:${stop}`]];
  ends.sort((one, other) => one - other);
  const labels = ends.map((one) => (axis.kind === "number" ? String(one) : labelOf(one)));
  return [[parameter(axis.name), labels.join("/")]];
}

/**
 * The lines of code, by the name of what runs them; each by a format that holds the values as they are.
 *
 * @param {Wanted} wanted
 * @returns {[string, string][]}
 */
export function snippets({ name, dtype, times, url, file, key }) {
  const said = JSON.stringify;
  const variable = said(name);
  const [csv, nc, json, npy] = ["csv", "nc", "json", "npy"].map((suffix) => said(url(suffix)));
  // NetCDF has no complex numbers, and Octave reads no texts of it.
  const complex = dtype.startsWith("complex");
  const wide = wideOf(dtype);
  const text = (/** @type {(string | false)[]} */ ...lines) =>
    lines.filter((line) => line !== false).join("\n");
  const header = (/** @type {string} */ open, /** @type {string} */ from) =>
    key ? `, ${open}"X-API-Key": ${from}}` : "";
  const python = 'os.environ["SLUICE_KEY"]';
  const quoted = url("csv").replaceAll("'", "%27");
  const read = "io.BytesIO(urllib.request.urlopen(request).read())";
  /** @type {[string, string][]} */
  const all = [
    [
      complex ? "Python, NumPy" : "Python, xarray",
      text(
        `import io, ${key ? "os, " : ""}urllib.request`,
        `import ${complex ? "numpy as np" : "xarray as xr"}`,
        "",
        `url = ${complex ? npy : nc}`,
        `request = urllib.request.Request(url${header("headers={", python)})`,
        complex ? `values = np.load(${read})` : `ds = xr.open_dataset(${read}, engine="h5netcdf")`,
        !complex && `values = ds[${variable}].values`,
      ),
    ],
    [
      "Python, pandas",
      text(
        key && "import os",
        "import pandas as pd",
        "",
        `url = ${csv}`,
        `table = pd.read_csv(url, parse_dates=${said(times)}${header("storage_options={", python)})`,
      ),
    ],
    ["curl", `curl -o '${file}.csv' ${key ? '-H "X-API-Key: $SLUICE_KEY" ' : ""}'${quoted}'`],
    [
      "R",
      text(
        `address <- ${csv}`,
        key
          ? 'source <- url(address, headers = c("X-API-Key" = Sys.getenv("SLUICE_KEY")))'
          : "source <- url(address)",
        "table <- read.csv(source, check.names = FALSE)",
        ...times.map(
          (one) =>
            `table[[${said(one)}]] <- as.POSIXct(table[[${said(one)}]], format = "%Y-%m-%dT%H:%M:%SZ", tz = "UTC")`,
        ),
      ),
    ],
    [
      "JavaScript",
      text(
        `const answer = await fetch(${wide ? npy : json}${key ? ', { headers: { "X-API-Key": process.env.SLUICE_KEY } }' : ""});`,
        ...(wide ?? [
          "const { coords, data_vars } = await answer.json();",
          `const values = data_vars[${variable}].data;`,
        ]),
      ),
    ],
    [
      "MATLAB, Octave",
      text(
        "% In Octave first: pkg load netcdf",
        // Octave has no `websave`, and `urlwrite` sends no header.
        key
          ? `file = websave("${file}.nc", ${nc}, weboptions("KeyName", "X-API-Key", "KeyValue", getenv("SLUICE_KEY")));`
          : `file = urlwrite(${nc}, "${file}.nc");`,
        `values = ncread(file, "${name.replaceAll('"', '""')}");`,
      ),
    ],
  ];
  return /^(u?int|float|bool|date|time)/.test(dtype) ? all : all.slice(0, -1);
}

/**
 * The lines of JavaScript for integers that its numbers round; null where they hold all values.
 *
 * @param {string} dtype
 */
function wideOf(dtype) {
  if (!/^u?int64$/.test(dtype)) return null;
  const array = `Big${dtype[0] === "u" ? "Uint" : "Int"}64Array`;
  return [
    "const bytes = await answer.arrayBuffer();",
    `const values = new ${array}(bytes, 10 + new DataView(bytes).getUint16(8, true));`,
  ];
}
