/**
 * What the page shows, as its address says it: `?_var=t2m&time=2024-01-01T06:00Z&level=850
 * &_x=longitude&_y=latitude&_box=-20,30,40,70&_cmap=viridis&_range=250,310&_at=13.4,52.5&_tz=UTC`.
 *
 * Dimensions stand there in Sluice's own grammar. The page's keys begin with an underscore, since a
 * dimension may have any name; one that begins so too is written with a second underscore before.
 *
 * @import { Axis, Dataset, Variable } from "./dataset.js"
 * @typedef {[number, number, number, number]} Box west, south, east, north; or x and y from, to
 * @typedef {{ low: number, high: number }} Range
 * @typedef {"linear" | "log" | "symmetric"} Scaling
 * @typedef {object} State
 * @property {string} variable
 * @property {string | null} x the dimension that runs across; null where there is none
 * @property {string | null} y the dimension that runs along; null for charts and values
 * @property {Record<string, string>} fixed the label of each dimension that is fixed
 * @property {Box | null} box what is looked at; null for all of it
 * @property {string} cmap
 * @property {boolean} reverse
 * @property {Scaling} scaling
 * @property {Range | null} range of colours; null for the usual one
 * @property {[number, number][]} points where series were asked for
 * @property {string | null} units for display; null for the variable's own
 * @property {"series" | "profile"} tab which line of the points is shown
 * @property {string} zone of times, for display
 */
import { encoded } from "./requests.js";
import { isZone } from "./times.js";
import { unitsFor } from "./units.js";

export const CMAPS = ["viridis", "cividis", "magma", "balance", "turbo"];
const SCALINGS = ["linear", "log", "symmetric"];
export const MOST_POINTS = 4;

/**
 * The state that an address asks for. What it asks for in vain is a notice for people, and the
 * usual value is in its place.
 *
 * @param {string} search the address from its question mark on
 * @param {Dataset} dataset
 * @returns {{ state: State, notices: string[] }}
 */
export function readState(search, dataset) {
  const asked = new URLSearchParams(search);
  /** @type {string[]} */
  const notices = [];
  const variable = chosenVariable(asked, dataset, notices);
  const state = usualState(dataset, variable);
  readDimensions(asked, dataset, variable, state, notices);
  readColours(asked, state, notices);
  state.box = readNumbers(asked, "_box", 4, notices, ([a, b, c, d]) => a < c && b < d);
  state.points = readPoints(asked, notices);
  const units = asked.get("_units");
  if (units !== null && variable !== undefined) {
    if (unitsFor(variable).includes(units)) state.units = units;
    else notices.push(`_units=${units} is nothing that ${variable.name} can be shown in.`);
  }
  if (asked.get("_tab") === "profile") state.tab = "profile";
  const zone = asked.get("_tz") ?? "UTC";
  if (isZone(zone)) state.zone = zone;
  else notices.push(`_tz=${zone} is no time zone; times are in UTC.`);
  return { state, notices };
}

/**
 * What is shown where nothing was asked for: a map where there is one, the first step of the rest.
 *
 * @param {Dataset} dataset
 * @param {Variable | undefined} variable
 * @returns {State}
 */
export function usualState(dataset, variable) {
  const dims = variable?.dims ?? [];
  const axes = dims.map((name) => /** @type {Axis} */ (dataset.axes.get(name)));
  const { x, y } = usualAxes(axes, variable?.kind === "text");
  return {
    variable: variable?.name ?? "",
    x,
    y,
    fixed: {},
    box: null,
    cmap: "viridis",
    reverse: false,
    scaling: "linear",
    range: null,
    points: [],
    units: null,
    tab: "series",
    zone: "UTC",
  };
}

/**
 * The dimensions that run across and along: longitude and latitude, else X and Y, else the last two
 * that are longer than one; of one such dimension a chart.
 *
 * @param {Axis[]} axes of one variable, in order
 * @param {boolean} [isText] whether it is no numbers, which are a table along one dimension
 * @returns {{ x: string | null, y: string | null }}
 */
export function usualAxes(axes, isText = false) {
  const of = (/** @type {string} */ role) => axes.find((axis) => axis.role === role)?.name;
  const [across, along] = [of("X"), of("Y")];
  if (across !== undefined && along !== undefined && !isText) return { x: across, y: along };
  const long = axes.filter((axis) => axis.size > 1).map((axis) => axis.name);
  const [y, x] = long.length > 1 && !isText ? long.slice(-2) : [null, long[0] ?? null];
  return { x: x ?? null, y: y ?? null };
}

/**
 * The address of a state, without what is as usual.
 *
 * @param {State} state
 * @param {Dataset} dataset
 * @returns {string} from the question mark on
 */
export function writeState(state, dataset) {
  const usual = usualState(dataset, dataset.variables.get(state.variable));
  const ends = (/** @type {number[]} */ numbers) =>
    numbers.map((one) => Number(one.toPrecision(8))).join(",");
  const { range, scaling, units, tab, zone } = state;
  /** @type {[string, unknown, unknown][]} what is said, and what is usual */
  const said = [
    ["_x", state.x, usual.x],
    ["_y", state.y, usual.y],
    ["_box", state.box && ends(state.box), null],
    ["_cmap", state.cmap, usual.cmap],
    ["_reverse", state.reverse, false],
    ["_scale", scaling, usual.scaling],
    ["_range", range && ends([range.low, range.high]), null],
    ...state.points.map(
      (point) => /** @type {[string, string, null]} */ (["_at", ends(point), null]),
    ),
    ["_units", units, null],
    ["_tab", tab, usual.tab],
    ["_tz", zone, usual.zone],
  ];
  const pairs = [
    ["_var", state.variable],
    ...Object.entries(state.fixed).map(([name, label]) => [keyOf(name), label]),
    ...said.filter(([, is, was]) => is !== was).map(([key, is]) => [key, String(is ?? "")]),
  ];
  return `?${pairs.map(([name, value]) => `${encoded(name)}=${encoded(value)}`).join("&")}`;
}

/**
 * The name of a dimension among the keys of an address.
 *
 * @param {string} name
 */
export function keyOf(name) {
  return name.startsWith("_") ? `_${name}` : name;
}

/**
 * @param {URLSearchParams} asked
 * @param {Dataset} dataset
 * @param {string[]} notices
 */
function chosenVariable(asked, dataset, notices) {
  const variables = [...dataset.variables.values()];
  const usual = variables.reduce(
    (best, one) => (best === undefined || rank(one) > rank(best) ? one : best),
    variables[0],
  );
  const name = asked.get("_var");
  if (name === null) return usual;
  const found = dataset.variables.get(name);
  if (found === undefined) notices.push(`There is no variable ${name}.`);
  return found ?? usual;
}

/** @param {Variable} variable how much there is to see of it */
function rank(variable) {
  return (variable.kind === "number" ? 10 : 0) + Math.min(variable.dims.length, 4);
}

/**
 * @param {URLSearchParams} asked
 * @param {Dataset} dataset
 * @param {Variable | undefined} variable
 * @param {State} state
 * @param {string[]} notices
 */
function readDimensions(asked, dataset, variable, state, notices) {
  readAxes(asked, variable?.dims ?? [], state, notices);
  const known = new Map([...dataset.axes.keys()].map((name) => [keyOf(name), name]));
  for (const [key, label] of asked) {
    const name = known.get(key);
    if (name !== undefined && name !== (state.y && state.x) && name !== state.y)
      state.fixed[name] = label;
    else if (name === undefined && !key.startsWith("_")) notices.push(`There is no ${key} here.`);
  }
}

/**
 * @param {URLSearchParams} asked
 * @param {string[]} dims
 * @param {State} state
 * @param {string[]} notices
 */
function readAxes(asked, dims, state, notices) {
  for (const key of /** @type {const} */ (["x", "y"])) {
    const name = asked.get(`_${key}`);
    if (name === null) continue;
    if (name === "" && key === "y") state.y = null;
    else if (dims.includes(name)) state[key] = name;
    else notices.push(`_${key}=${name} is no dimension of ${state.variable}.`);
  }
  if (state.x === state.y) state.y = dims.find((name) => name !== state.x) ?? null;
}

/**
 * @param {URLSearchParams} asked
 * @param {State} state
 * @param {string[]} notices
 */
function readColours(asked, state, notices) {
  const cmap = asked.get("_cmap");
  if (cmap !== null && CMAPS.includes(cmap)) state.cmap = cmap;
  else if (cmap !== null) notices.push(`_cmap=${cmap} is none of ${CMAPS.join(", ")}.`);
  const scaling = asked.get("_scale");
  if (scaling !== null && SCALINGS.includes(scaling)) {
    state.scaling = /** @type {Scaling} */ (scaling);
  } else if (scaling !== null) notices.push(`_scale=${scaling} is none of ${SCALINGS.join(", ")}.`);
  state.reverse = asked.get("_reverse") === "true";
  const ends = readNumbers(asked, "_range", 2, notices, ([low, high]) => low < high);
  state.range = ends === null ? null : { low: ends[0], high: ends[1] };
}

/**
 * @param {URLSearchParams} asked
 * @param {string[]} notices
 * @returns {[number, number][]}
 */
function readPoints(asked, notices) {
  const points = asked.getAll("_at").map((text) => numbersOf(text, 2));
  if (points.includes(null)) notices.push("_at is two numbers, such as 13.4,52.5.");
  const found = /** @type {[number, number][]} */ (points.filter((point) => point !== null));
  if (found.length > MOST_POINTS) notices.push(`At most ${MOST_POINTS} points are shown.`);
  return found.slice(0, MOST_POINTS);
}

/**
 * @param {URLSearchParams} asked
 * @param {string} key
 * @param {number} count
 * @param {string[]} notices
 * @param {(numbers: number[]) => boolean} fits
 * @returns {any}
 */
function readNumbers(asked, key, count, notices, fits) {
  const text = asked.get(key);
  if (text === null) return null;
  const numbers = numbersOf(text, count);
  if (numbers !== null && fits(numbers)) return numbers;
  notices.push(`${key}=${text} is not understood: ${count} numbers, from low to high.`);
  return null;
}

/**
 * @param {string} text
 * @param {number} count
 */
function numbersOf(text, count) {
  const parts = text.split(",");
  const numbers = parts.map(Number);
  const fine = parts.every((part) => part.trim() !== "") && numbers.every(Number.isFinite);
  return fine && numbers.length === count ? numbers : null;
}
