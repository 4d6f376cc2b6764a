/**
 * The views of what has fewer than two dimensions, and of text: a chart, a value, a table.
 *
 * @import { Axis } from "./dataset.js"
 * @import { OnProgress } from "./requests.js"
 * @import { Session } from "./session.js"
 */
import { Chart } from "./chart.js";
import { chartAxis, costWords, labelText } from "./controls.js";
import { coordinateAt, learn } from "./dataset.js";
import { el } from "./dom.js";
import { lineQuery, valuesOf } from "./queries.js";
import { Latest } from "./requests.js";
import { numberText } from "./ticks.js";

// More rows of a table than that are no view of it.
const MOST_TEXTS = 200;
// More values along a line are thinned out: a screen has not so many pixels.
const MOST_DRAWN = 5000;

/** Numbers along one dimension. */
export class LineStage {
  #coordinates = /** @type {number[]} */ ([]);
  #values = /** @type {number[]} */ ([]);
  #every = 1;
  #reading = new Latest();

  /** @param {Session} session */
  constructor(session) {
    this.session = session;
    this.chart = new Chart((at) => session.move(String(session.state.x), at * this.#every));
    this.readout = el("output", { class: "readout" });
    this.told = el("span", { class: "told" });
    this.element = el(
      "div",
      { class: "line" },
      this.chart.element,
      el("div", { class: "under" }, this.readout, this.told),
    );
    this.side = null;
  }

  get key() {
    return JSON.stringify(this.#wanted().query);
  }

  #wanted() {
    const { variable, state, positions } = this.session;
    const axis = this.session.axis(String(state.x));
    const step = Math.ceil(axis.size / MOST_DRAWN);
    const whole = JSON.stringify([variable.name, axis.name]);
    const all = { [axis.name]: { start: 0, stop: axis.size, step } };
    const { slices, much } = this.session.afford(whole, all);
    const every = slices[axis.name].step;
    const slice = every > 1 ? `::${every}` : "";
    return { axis, every, much, whole, query: lineQuery(variable, axis.name, positions, slice) };
  }

  /**
   * @param {AbortSignal} signal
   * @param {OnProgress} onProgress
   */
  async load(signal, onProgress) {
    const { requests, variable, isel } = this.session;
    const { axis, every, query } = this.#wanted();
    const file = await requests.bin(isel, [...query, ["pack", "f4"]], { signal, onProgress });
    learn(axis, { start: 0, step: every }, file);
    this.#every = every;
    this.#values = Array.from(valuesOf(file, variable.name));
    this.#coordinates = this.#values.map((_, at) => coordinateAt(axis, at * every));
  }

  draw() {
    const { variable, display, state } = this.session;
    const axis = this.session.axis(String(state.x));
    const { isTime, words } = chartAxis(axis);
    const along = isTime ? this.#coordinates.map((one) => one / 1000) : this.#coordinates;
    const curve = { title: variable.title, values: this.#values.map(display.to) };
    this.chart.show(along, [curve], { isTime, words, units: display.units, zone: state.zone });
    this.told.replaceChildren(
      this.#every > 1 ? `every ${this.#every}th value` : "",
      ...costWords(this.session, this.#wanted()),
    );
    this.chart.mark(Math.round(this.session.positions[axis.name] / this.#every));
    this.#read(axis);
  }

  /**
   * The value at the chosen place, which need not be among those of the chart.
   *
   * @param {Axis} axis
   */
  #read(axis) {
    const { requests, isel, variable, display, positions, state } = this.session;
    if (!(axis.name in state.fixed)) {
      this.readout.textContent = "Click on the chart, or type a place, to read a value.";
      return;
    }
    this.#reading.run(async (signal) => {
      const file = await requests.bin(isel, lineQuery(variable, "", positions), { signal });
      const value = valueText(display.to(valuesOf(file, variable.name)[0]));
      const place = labelText(axis, positions[axis.name], state.zone);
      this.readout.replaceChildren(el("b", {}, `${value} ${display.units}`.trim()), ` at ${place}`);
    });
  }
}

/** One value, or a few texts: what there is of a variable, as a table. */
export class TableStage {
  /** @type {unknown[]} */
  #values = [];

  /** @param {Session} session */
  constructor(session) {
    this.session = session;
    this.element = el("div", { class: "plain" });
    this.side = null;
  }

  get key() {
    return JSON.stringify(this.#query());
  }

  #query() {
    const { variable, state, positions } = this.session;
    const axis = state.x === null ? null : this.session.axis(state.x);
    const slice = axis !== null && axis.size > MOST_TEXTS ? `0:${MOST_TEXTS}` : "";
    return lineQuery(variable, state.x ?? "", positions, slice);
  }

  /** @param {AbortSignal} signal */
  async load(signal) {
    const { requests, variable, isel } = this.session;
    const told = await requests.json(isel, this.#query(), { signal });
    const { data } = told.data_vars[variable.name];
    this.#values = this.session.state.x === null ? [data] : data;
  }

  draw() {
    const { variable, display, state } = this.session;
    if (state.x === null) {
      const [value] = this.#values;
      const shown = typeof value === "number" ? display.to(value) : value;
      const text = `${valueText(shown)} ${display.units}`.trim();
      this.element.replaceChildren(el("p", { class: "value" }, text));
      return;
    }
    const axis = this.session.axis(state.x);
    const rows = this.#values.map((value, at) =>
      el(
        "tr",
        {},
        el("th", { scope: "row" }, labelText(axis, at, state.zone)),
        el("td", {}, valueText(value)),
      ),
    );
    const head = [axis.title, variable.title].map((name) => el("th", { scope: "col" }, name));
    const table = el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows));
    const left = axis.size - rows.length;
    const more = left > 0 ? el("p", { class: "hint" }, `… and ${left} more`) : null;
    this.element.replaceChildren(
      el("div", { class: "scrolled", tabindex: "0" }, table),
      more ?? "",
    );
  }
}

/** @param {unknown} value as JSON has it */
function valueText(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "no data";
  return typeof value === "number" ? numberText(value, 7) : String(value);
}
