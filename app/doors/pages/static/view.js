/**
 * One dataset on the page: what the address says is shown, and what is chosen becomes the address.
 *
 * @import { Axis, Dataset, Variable } from "./dataset.js"
 * @import { Requests } from "./requests.js"
 * @import { Range, State } from "./state.js"
 * @import { Line } from "./raster.js"
 * @import { Series } from "./panels.js"
 * @typedef {object} Loaded The field that the picture shows.
 * @property {Float32Array | Float64Array} values rows first
 * @property {Axis} across
 * @property {Axis} along
 * @property {Line} x
 * @property {Line} y
 * @property {{ x: number, y: number }} every
 * @property {string} units
 */
import { arcsOf } from "./coast.js";
import { Colours } from "./colours.js";
import { DimensionControl, labelText, variableChoice } from "./controls.js";
import { nearest, positionOf } from "./dataset.js";
import { el } from "./dom.js";
import { Figure } from "./figure.js";
import { SeriesPanel } from "./panels.js";
import {
  cellsAlong,
  fieldQuery,
  inRows,
  lineQuery,
  seriesAxis,
  strides,
  valuesOf,
} from "./queries.js";
import { cellAt } from "./raster.js";
import { Latest } from "./requests.js";
import { colourTable, quantise, summaryOf, usualRange } from "./scales.js";
import { pictureKey, readState, usualState, writeState } from "./state.js";
import { numberText } from "./ticks.js";

const SLOW_MS = 300;

export class View {
  /** @type {State} */
  #state;
  /** @type {Record<string, number>} */
  #positions = {};
  /** @type {Map<string, DimensionControl>} */
  #controls = new Map();
  /** @type {Loaded | null} */
  #loaded = null;
  /** @type {Range} */
  #range = { low: 0, high: 1 };
  #shown = "";
  #fetching = new Latest();
  #tracing = new Latest();

  /**
   * @param {HTMLElement} place
   * @param {Requests} requests
   * @param {Dataset} dataset
   * @param {string} land the address of the coastline
   */
  constructor(place, requests, dataset, land) {
    this.place = place;
    this.requests = requests;
    this.dataset = dataset;
    this.land = land;
    this.notices = el("div", { class: "notices", role: "status" });
    this.readout = el("output", { class: "readout" }, "Point at the map to read a value.");
    this.every = el("span", { class: "every" });
    this.progress = el("progress", { hidden: true, "aria-label": "Reading" });
    this.dimensions = el("div", { class: "dimensions" });
    this.variables = variableChoice(dataset, (name) => this.#chooseVariable(name));
    this.figure = new Figure({
      onBox: (box) => this.#replace({ box }),
      onPoint: (x, y) => this.#read(x, y),
      onPick: (x, y) => this.#pick(x, y),
    });
    this.colours = new Colours((change, done) => this.#recolour(change, done));
    this.series = new SeriesPanel((position) => this.#pickAlong(position));
    this.#state = usualState(dataset, undefined);
    place.replaceChildren(
      el(
        "div",
        { class: "stage" },
        el("div", { class: "bar" }, this.variables.element, this.#buttons()),
        this.notices,
        this.figure.element,
        el("div", { class: "under" }, this.readout, this.every, this.progress),
        this.dimensions,
      ),
      el("aside", { class: "side" }, this.colours.element, this.series.element),
    );
    addEventListener("popstate", () => this.#readAddress());
  }

  async start() {
    await this.#readAddress();
    const arcs = await fetch(this.land).then((answer) => answer.json());
    this.figure.setCoast(arcsOf(arcs));
  }

  #buttons() {
    const button = (
      /** @type {string} */ sign,
      /** @type {string} */ words,
      /** @type {() => void} */ act,
    ) => el("button", { type: "button", title: words, "aria-label": words, onclick: act }, sign);
    return el(
      "span",
      { class: "steps" },
      button("+", "Zoom in", () => this.figure.zoom(0.6)),
      button("−", "Zoom out", () => this.figure.zoom(1 / 0.6)),
      button("⌂", "All of it", () => this.#push({ box: null })),
    );
  }

  async #readAddress() {
    const { state, notices } = readState(location.search, this.dataset);
    this.#state = state;
    const found = await Promise.all(
      Object.entries(state.fixed).map(([name, text]) => this.#position(name, text)),
    );
    for (const [at, name] of Object.keys(state.fixed).entries()) {
      if (found[at] === undefined) notices.push(`${name}=${state.fixed[name]} is not on its axis.`);
      this.#positions[name] = found[at] ?? 0;
    }
    this.#tell(notices);
    await this.#show();
  }

  /**
   * The position of a label; undefined where there is none. The server knows all of its grammar.
   *
   * @param {string} name
   * @param {string} text
   * @returns {Promise<number | undefined>}
   */
  async #position(name, text) {
    const axis = /** @type {Axis} */ (this.dataset.axes.get(name));
    const known = positionOf(axis, text);
    if (known >= 0) return known;
    const { id } = this.dataset;
    try {
      const told = await this.requests.json(`datasets/${encodeURIComponent(id)}/sel`, [
        ["variables", this.#state.variable],
        [`sel[${name}]`, text],
        ["explain", "true"],
      ]);
      const at = positionOf(axis, String(told.coords[name]?.data));
      return at >= 0 ? at : undefined;
    } catch {
      return undefined;
    }
  }

  /** @param {string[]} notices */
  #tell(notices) {
    this.notices.replaceChildren(...notices.map((words) => el("p", {}, words)));
  }

  get #variable() {
    return /** @type {Variable} */ (this.dataset.variables.get(this.#state.variable));
  }

  async #show() {
    this.place.dataset.state = "loading";
    await this.#showAll();
    this.place.dataset.state = "ready";
  }

  async #showAll() {
    this.variables.select.value = this.#state.variable;
    this.#showControls();
    const key = pictureKey({ ...this.#state, fixed: this.#labels() });
    if (key !== this.#shown) {
      const loaded = await this.#load();
      if (loaded === undefined) return;
      this.#loaded = loaded;
      this.#shown = key;
    }
    this.#draw();
    await this.#trace();
  }

  /** @returns {Record<string, string>} */
  #labels() {
    return Object.fromEntries(Object.entries(this.#positions).map(([k, v]) => [k, String(v)]));
  }

  #showControls() {
    const { x, y, zone } = this.#state;
    const names = this.#variable.dims.filter((name) => name !== x && name !== y);
    for (const name of names) {
      const axis = /** @type {Axis} */ (this.dataset.axes.get(name));
      this.#positions[name] ??= 0;
      if (!this.#controls.has(name)) {
        const choose = (/** @type {number} */ at, /** @type {string} */ text) =>
          this.#choosePosition(name, at, text);
        this.#controls.set(name, new DimensionControl(axis, choose));
      }
      this.#controls.get(name)?.show(Number(this.#positions[name]), zone);
    }
    const elements = names.map((name) => /** @type {any} */ (this.#controls.get(name)).element);
    if (elements.some((one, at) => this.dimensions.children[at] !== one)) {
      this.dimensions.replaceChildren(...elements);
    }
  }

  /** @returns {Promise<Loaded | undefined>} */
  async #load() {
    const { dataset } = this;
    const variable = this.#variable;
    const across = dataset.axes.get(this.#state.x ?? "");
    const along = dataset.axes.get(this.#state.y ?? "");
    if (across === undefined || along === undefined) return undefined;
    const every = strides(across, along);
    const query = fieldQuery(variable, across, along, every, this.#positions);
    const file = await this.#fetch((signal) =>
      this.requests.bin(this.#path, [...query, ["pack", "f4"]], { signal }),
    );
    if (file === undefined) return undefined;
    const [x, y] = [cellsAlong(across, every.x), cellsAlong(along, every.y)];
    const turned = variable.dims.indexOf(across.name) < variable.dims.indexOf(along.name);
    const raw = valuesOf(file, variable.name);
    const values = inRows(raw, turned, x.edges.length - 1, y.edges.length - 1);
    return { values, across, along, x, y, every, units: variable.units };
  }

  get #path() {
    return `datasets/${encodeURIComponent(this.dataset.id)}/isel`;
  }

  /**
   * @template T
   * @param {(signal: AbortSignal) => Promise<T>} work
   * @returns {Promise<T | undefined>}
   */
  async #fetch(work) {
    const slow = setTimeout(() => {
      this.progress.hidden = false;
    }, SLOW_MS);
    try {
      return await this.#fetching.run(work);
    } catch (error) {
      this.#tell([error instanceof Error ? error.message : String(error)]);
      return undefined;
    } finally {
      clearTimeout(slow);
      this.progress.hidden = true;
    }
  }

  #draw() {
    if (this.#loaded === null) return;
    const { values, every } = this.#loaded;
    const { scaling, range } = this.#state;
    this.#range = range ?? usualRange(values, scaling) ?? { low: 0, high: 1 };
    const summary = summaryOf(values);
    this.colours.show(values, summary, this.#state, this.#range, this.#loaded.units);
    this.#paint();
    this.figure.setBox(this.#state.box);
    const most = Math.max(every.x, every.y);
    const missing = summary.missing / summary.count;
    const told = [
      most > 1 ? `every ${most}th cell` : "",
      missing === 1 ? "no data in this slice" : missing > 0 ? `no data: ${percent(missing)}` : "",
    ];
    this.every.textContent = told.filter((one) => one !== "").join(" · ");
    this.figure.overlay.setAttribute("aria-label", this.#summary(summary));
  }

  #paint() {
    if (this.#loaded === null) return;
    const levels = quantise(this.#loaded.values, this.#range, this.#state.scaling);
    this.figure.setTable(colourTable(this.#state.cmap, this.#state.reverse));
    this.figure.setField({ ...this.#loaded, levels });
  }

  /** @param {{ low: number, high: number }} summary */
  #summary({ low, high }) {
    const { title, units } = this.#variable;
    const places = [...this.#controls.values()]
      .filter(({ element }) => element.isConnected)
      .map(({ axis, position }) => labelText(axis, position, this.#state.zone));
    const ends = `from ${numberText(low)} to ${numberText(high)} ${units}`.trim();
    return [title, ...places, ends].join(", ");
  }

  /**
   * @param {Partial<State>} change
   * @param {boolean} done
   */
  #recolour(change, done) {
    this.#state = { ...this.#state, ...change };
    if (change.range === undefined || change.range === null) this.#draw();
    else {
      this.#range = change.range;
      this.colours.showRange(this.#state, this.#range);
      this.#paint();
    }
    if (done) this.#replace({});
  }

  /** @param {string} name */
  #chooseVariable(name) {
    const usual = usualState(this.dataset, this.dataset.variables.get(name));
    const { fixed, cmap, zone, box } = this.#state;
    this.#push({ ...usual, fixed, cmap, zone, box });
  }

  /**
   * @param {string} name
   * @param {number} position
   * @param {string} text
   */
  async #choosePosition(name, position, text) {
    const at = position >= 0 ? position : await this.#position(name, text);
    if (at === undefined) {
      this.#tell([`${text} is not on ${name}.`]);
      this.#showControls();
      return;
    }
    this.#tell([]);
    this.#positions[name] = at;
    const label = position >= 0 ? text : String(text);
    this.#replace({ fixed: { ...this.#state.fixed, [name]: label } });
    await this.#show();
  }

  /**
   * The value of the cell around a place.
   *
   * @param {number} x
   * @param {number} y
   */
  #read(x, y) {
    const cell = this.#cellAt(x, y);
    if (cell === null || this.#loaded === null) {
      this.readout.textContent = "";
      return;
    }
    const value = Number(this.#loaded.values[cell.index]);
    const text = Number.isNaN(value) ? "no data" : `${numberText(value, 5)} ${this.#loaded.units}`;
    this.readout.replaceChildren(el("b", {}, text), ` at ${cell.words}`);
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  #cellAt(x, y) {
    if (this.#loaded === null) return null;
    const { across, along, every } = this.#loaded;
    const [column, row] = [cellAt(this.#loaded.x, x), cellAt(this.#loaded.y, y)];
    if (column < 0 || row < 0) return null;
    const at = { x: column * every.x, y: row * every.y };
    const { zone } = this.#state;
    const words = `${labelText(along, at.y, zone)}, ${labelText(across, at.x, zone)}`;
    return { index: row * (this.#loaded.x.edges.length - 1) + column, at, words };
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  #pick(x, y) {
    const cell = this.#cellAt(x, y);
    if (cell === null || this.#loaded === null) return;
    const turned = this.#loaded.across.wraps ? x - 360 * Math.floor((x + 180) / 360) : x;
    this.#push({ points: [[Number(turned.toFixed(4)), Number(y.toFixed(4))]] });
  }

  /** Show the series of the points that were picked. */
  async #trace() {
    const { points, x, y } = this.#state;
    this.figure.setMarks(points);
    const axis = seriesAxis(this.dataset, this.#variable, [x, y]);
    if (axis === null || points.length === 0 || this.#loaded === null) return;
    const { across, along } = this.#loaded;
    const series = await this.#tracing.run((signal) =>
      Promise.all(
        points.map(async ([px, py]) => {
          const at = { [across.name]: nearest(across, px), [along.name]: nearest(along, py) };
          const query = lineQuery(this.#variable, axis.name, { ...this.#positions, ...at });
          const file = await this.requests.bin(this.#path, query, { signal });
          const { zone } = this.#state;
          const place = `${labelText(along, Number(at[along.name]), zone)}, ${labelText(across, Number(at[across.name]), zone)}`;
          return /** @type {Series} */ ({
            title: place,
            values: valuesOf(file, this.#variable.name),
          });
        }),
      ),
    );
    if (series === undefined) return;
    this.series.show(axis, series, this.#variable, this.#state);
    this.series.mark(this.#positions[axis.name] ?? 0);
  }

  /** @param {number} position of the chart's axis */
  #pickAlong(position) {
    const { x, y } = this.#state;
    const axis = seriesAxis(this.dataset, this.#variable, [x, y]);
    if (axis === null) return;
    const control = this.#controls.get(axis.name);
    control?.step(position - control.position);
    this.series.mark(position);
  }

  /** @param {Partial<State>} change */
  #push(change) {
    this.#state = { ...this.#state, ...change };
    history.pushState(null, "", writeState(this.#state, this.dataset));
    this.#show();
  }

  /** @param {Partial<State>} change */
  #replace(change) {
    this.#state = { ...this.#state, ...change };
    history.replaceState(null, "", writeState(this.#state, this.dataset));
  }
}

/** @param {number} share */
function percent(share) {
  const text = (100 * share).toFixed(share < 0.1 ? 1 : 0);
  return `${text} %`;
}
