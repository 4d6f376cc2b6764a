/**
 * The view of two dimensions: a map, a section, a Hovmoller diagram, an image.
 *
 * @import { Axis } from "./dataset.js"
 * @import { Line } from "./raster.js"
 * @import { Slice } from "./queries.js"
 * @import { OnProgress } from "./requests.js"
 * @import { Session } from "./session.js"
 * @import { Range, State } from "./state.js"
 * @typedef {object} Field What was fetched.
 * @property {Float32Array | Float64Array} values rows first
 * @property {Axis} across
 * @property {Axis} along
 * @property {Line} x
 * @property {Line} y
 * @property {{ x: Slice, y: Slice }} slices the positions whose cells are there
 * @typedef {object} Cell
 * @property {number} index among the values
 * @property {Record<string, number>} at the position along each of the two dimensions
 */
import { Colours } from "./colours.js";
import { labelText } from "./controls.js";
import { coordinateAt } from "./dataset.js";
import { el } from "./dom.js";
import { Figure } from "./figure.js";
import { cellsAlong, fieldQuery, inRows, slicesOf, valuesOf } from "./queries.js";
import { cellAt, TURN } from "./raster.js";
import { colourTable, quantise, summaryOf, usualRange } from "./scales.js";
import { MOST_POINTS } from "./state.js";
import { numberText } from "./ticks.js";

export class FieldStage {
  /** @type {Field | null} */
  #field = null;
  /** @type {Range} */
  #range = { low: 0, high: 1 };
  // What the picture is coloured by, and its levels are made by, so that a change of the box, or of
  // the colour map alone, costs no walk over all values.
  #coloured = "";
  #levelled = "";

  /**
   * @param {Session} session
   */
  constructor(session) {
    this.session = session;
    this.readout = el("output", { class: "readout" }, "Point at the picture to read a value.");
    this.told = el("span", { class: "told" });
    this.figure = new Figure({
      onBox: (box) => session.replace({ box }),
      onPoint: (x, y) => this.#read(x, y),
      onPick: (x, y) => this.#pick(x, y),
    });
    this.colours = new Colours((change, done) => this.#recolour(change, done));
    this.element = el(
      "div",
      { class: "field" },
      this.figure.element,
      el("div", { class: "under" }, this.readout, this.told),
    );
    /** What stands beside the picture. */
    this.side = this.colours.element;
  }

  /** @returns {Range} of the colours, as they are now */
  get range() {
    return this.#range;
  }

  /** What would be fetched; another one is another picture. */
  get key() {
    return JSON.stringify(this.#wanted().query);
  }

  #wanted() {
    const { variable, state, positions } = this.session;
    const across = this.session.axis(String(state.x));
    const along = this.session.axis(String(state.y));
    const { x, y } = slicesOf(across, along, state.box);
    const query = fieldQuery(variable, { [across.name]: x, [along.name]: y }, positions);
    return { across, along, slices: { x, y }, query };
  }

  /**
   * @param {AbortSignal} signal
   * @param {OnProgress} onProgress
   */
  async load(signal, onProgress) {
    const { requests, variable, isel } = this.session;
    const { across, along, slices, query } = this.#wanted();
    const file = await requests.bin(isel, [...query, ["pack", "f4"]], { signal, onProgress });
    const [x, y] = [cellsAlong(across, slices.x), cellsAlong(along, slices.y)];
    const turned = variable.dims.indexOf(across.name) < variable.dims.indexOf(along.name);
    const raw = valuesOf(file, variable.name);
    const values = inRows(raw, turned, x.edges.length - 1, y.edges.length - 1);
    this.#field = { values, across, along, x, y, slices };
    this.#coloured = this.#levelled = "";
  }

  /** Show what the state says of colours, box and points. */
  draw() {
    if (this.#field === null) return;
    const { state } = this.session;
    const key = JSON.stringify([
      state.scaling,
      state.range,
      state.cmap,
      state.reverse,
      state.units,
    ]);
    if (key !== this.#coloured) this.#colour(this.#field, state);
    this.#coloured = key;
    this.figure.setBox(state.box);
    this.figure.setMarks(state.points);
  }

  /**
   * What takes a walk over all values: the usual range, the histogram, what is missing.
   *
   * @param {Field} field
   * @param {State} state
   */
  #colour({ values, slices }, state) {
    this.#range = state.range ?? usualRange(values, state.scaling) ?? { low: 0, high: 1 };
    const summary = summaryOf(values);
    this.colours.show(values, summary, state, this.#range, this.session.display);
    this.#paint(state);
    this.told.textContent = [strideText(slices), missingText(summary)].filter(Boolean).join(" · ");
    this.figure.overlay.setAttribute("aria-label", this.#summary(summary));
  }

  /** @param {Float32Array[]} arcs of the coast */
  setCoast(arcs) {
    this.figure.setCoast(arcs);
  }

  /** @param {number} factor */
  zoom(factor) {
    this.figure.zoom(factor);
  }

  /** @param {State} state */
  #paint(state) {
    if (this.#field === null) return;
    this.figure.setTable(colourTable(state.cmap, state.reverse));
    const key = JSON.stringify([this.#range, state.scaling]);
    if (key === this.#levelled) return;
    this.#levelled = key;
    const levels = quantise(this.#field.values, this.#range, state.scaling);
    this.figure.setField({ ...this.#field, levels });
  }

  /**
   * A drag recolours the picture alone; its end is the address's matter.
   *
   * @param {Partial<State>} change
   * @param {boolean} done
   */
  #recolour(change, done) {
    if (done) {
      this.session.replace(change);
      return;
    }
    const state = { ...this.session.state, ...change };
    this.#range = change.range ?? this.#range;
    this.colours.showRange(state, this.#range);
    this.#paint(state);
  }

  /** @param {{ low: number, high: number }} summary */
  #summary({ low, high }) {
    const { variable, display, fixedAxes, positions, state } = this.session;
    const places = fixedAxes.map((axis) => labelText(axis, positions[axis.name], state.zone));
    const ends =
      `from ${numberText(display.to(low))} to ${numberText(display.to(high))} ${display.units}`.trim();
    return [variable.title, ...places, ends].join(", ");
  }

  /**
   * The value of the cell around a place, and where that cell truly is.
   *
   * @param {number} x
   * @param {number} y
   */
  #read(x, y) {
    const cell = this.#cellAt(x, y);
    if (cell === null || this.#field === null) {
      this.readout.textContent = "";
      return;
    }
    const { display, state } = this.session;
    const { across, along, values } = this.#field;
    const value = values[cell.index];
    const text = Number.isNaN(value)
      ? "no data"
      : `${numberText(display.to(value), 5)} ${display.units}`;
    const place = [along, across].map((axis) => labelText(axis, cell.at[axis.name], state.zone));
    this.readout.replaceChildren(el("b", {}, text), ` at ${place.join(", ")}`);
  }

  /**
   * @param {number} x
   * @param {number} y
   * @returns {Cell | null}
   */
  #cellAt(x, y) {
    if (this.#field === null) return null;
    const { across, along, slices, x: columns, y: rows } = this.#field;
    const [column, row] = [cellAt(columns, x), cellAt(rows, y)];
    if (column < 0 || row < 0) return null;
    const at = {
      [across.name]: slices.x.start + column * slices.x.step,
      [along.name]: slices.y.start + row * slices.y.step,
    };
    return { index: row * (columns.edges.length - 1) + column, at };
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  #pick(x, y) {
    const cell = this.#cellAt(x, y);
    if (cell === null || this.#field === null) return;
    const { across, along } = this.#field;
    const [x0, y0] = [across, along].map((axis) => coordinateAt(axis, cell.at[axis.name]));
    // One place has one address, whichever way its store counts longitudes.
    const turns = across.wraps ? Math.floor((x0 + TURN / 2) / TURN) : 0;
    const point = [x0 - TURN * turns, y0];
    const { points } = this.session.state;
    if (points.some(([x1, y1]) => x1 === point[0] && y1 === point[1])) return;
    const kept = points.slice(0, MOST_POINTS - 1);
    this.session.push({ points: [...kept, /** @type {[number, number]} */ (point)] });
  }
}

/** @param {{ x: Slice, y: Slice }} slices */
function strideText({ x, y }) {
  const most = Math.max(x.step, y.step);
  const ending = { 2: "2nd", 3: "3rd" }[most] ?? `${most}th`;
  return most > 1 ? `every ${ending} cell` : "";
}

/** @param {{ count: number, missing: number }} summary */
function missingText({ count, missing }) {
  if (missing === count) return "no data in this slice";
  if (missing === 0) return "";
  const share = (100 * missing) / count;
  return `no data: ${share.toFixed(share < 10 ? 1 : 0)} %`;
}
