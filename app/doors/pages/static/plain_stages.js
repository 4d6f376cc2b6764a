/**
 * The views of what has fewer than two dimensions, and of text: a chart, a value, a table.
 *
 * @import { Line, Slices } from "./cost.js"
 * @import { OnProgress } from "./requests.js"
 * @import { Session } from "./session.js"
 */
import { Chart } from "./chart.js";
import { labelText, tableOf } from "./controls.js";
import { emptyLine } from "./cost.js";
import { learn } from "./dataset.js";
import { el } from "./dom.js";
import { LineReader } from "./pieces.js";
import { lineQuery, valuesOf } from "./queries.js";
import { Latest } from "./requests.js";
import { numberText, ordinal } from "./ticks.js";

// More rows of a table than that are no view of it.
const MOST_TEXTS = 200;
// More values along a line are thinned out: a screen has not so many pixels.
const MOST_DRAWN = 5000;

/** Numbers along one dimension. */
export class LineStage {
  #values = /** @type {number[]} */ ([]);
  #every = 1;
  /** @type {Line | null} all of what the chart has a part of */
  #line = null;
  #reading = new Latest();

  /** @param {Session} session */
  constructor(session) {
    this.session = session;
    this.chart = new Chart((at) => session.move(String(session.state.x), at));
    this.readout = el("output", { class: "readout" });
    this.told = el("span", { class: "told" });
    this.reader = new LineReader(session, () => this.#grow(), null);
    this.element = el(
      "div",
      { class: "line" },
      this.chart.element,
      el("div", { class: "under" }, this.readout, this.told),
      this.reader.row.element,
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
    const cost = this.session.afford({ [axis.name]: { start: 0, stop: axis.size, step } });
    const of = (/** @type {Slices} */ slices) => {
      const every = slices[axis.name].step;
      return lineQuery(variable, axis.name, positions, every > 1 ? `::${every}` : "");
    };
    const slices = cost.slices ?? cost.whole;
    const every = slices[axis.name].step;
    return { axis, every, cost, query: of(slices), all: [of(cost.whole)] };
  }

  /**
   * @param {AbortSignal} signal
   * @param {OnProgress} onProgress
   */
  async load(signal, onProgress) {
    const { requests, variable, isel } = this.session;
    this.reader.row.reading.cancel();
    const { axis, every, query, cost } = await this.session.weighed(() => this.#wanted(), signal);
    [this.#values, this.#every] = [[], every];
    if (cost.slices !== null) {
      const file = await requests.bin(isel, [...query, ["pack", "f4"]], { signal, onProgress });
      learn(axis, { start: 0, step: every }, file);
      this.#values = Array.from(valuesOf(file, variable.name));
    }
    const { positions } = this.session;
    this.#line = emptyLine(lineQuery(variable, axis.name, positions), variable, axis);
    this.reader.row.tell();
    if (cost.much !== null) this.reader.offer([this.#line], cost.much);
  }

  /** Show as much of the whole line as there is. */
  #grow() {
    if (this.#line === null) return;
    const { values, every } = this.#line;
    [this.#values, this.#every] = [Array.from(values), every];
    this.draw();
  }

  draw() {
    const { variable, display, state } = this.session;
    const axis = this.session.axis(String(state.x));
    const curve = { title: variable.title, values: this.#values.map(display.to) };
    this.chart.show(axis, this.#every, [curve], display.units, state.zone);
    this.told.textContent = this.#every > 1 ? `every ${ordinal(this.#every)} value` : "";
    this.chart.mark(this.session.positions[axis.name]);
    this.#read(axis);
  }

  /**
   * The value at the chosen place, which need not be among those of the chart.
   *
   * @param {import("./dataset.js").Axis} axis
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

/** One value, or a few texts: what there is of a variable, as a table; or that there is nothing. */
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
    if (this.session.bare) return;
    const told = await requests.json(isel, this.#query(), { signal });
    const { data } = told.data_vars[variable.name];
    this.#values = this.session.state.x === null ? [data] : data;
  }

  draw() {
    const { variable, display, state, bare } = this.session;
    if (bare) {
      const words = `${bare.title} has no positions yet: there is nothing to show.`;
      this.element.replaceChildren(el("p", { class: "hint" }, words));
      return;
    }
    if (state.x === null) {
      const [value] = this.#values;
      const shown = typeof value === "number" ? display.to(value) : value;
      const text = `${valueText(shown)} ${display.units}`.trim();
      this.element.replaceChildren(el("p", { class: "value" }, text));
      return;
    }
    const axis = this.session.axis(state.x);
    const rows = this.#values.map((value, at) => [
      labelText(axis, at, state.zone),
      valueText(value),
    ]);
    const left = axis.size - rows.length;
    const more = left > 0 ? el("p", { class: "hint" }, `… and ${left} more`) : null;
    this.element.replaceChildren(tableOf([axis.title, variable.title], rows), more ?? "");
  }
}

/** @param {unknown} value as JSON has it */
function valueText(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "no data";
  return typeof value === "number" ? numberText(value, 7) : String(value);
}
