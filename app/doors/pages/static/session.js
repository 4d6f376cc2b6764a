/**
 * What is shown now, for all parts of the page: they read it here, change it here, and are told.
 *
 * A change is either pushed (what was chosen: Back undoes it) or replaces the address (what was
 * dragged). The address is written first, then every listener is told.
 *
 * @import { Axis, Dataset, Grid, Variable } from "./dataset.js"
 * @import { Slices, Weight } from "./cost.js"
 * @import { Query, Requests } from "./requests.js"
 * @import { State } from "./state.js"
 * @import { Display } from "./units.js"
 * @typedef {string | { words: string, name: string, labels: string[] }} Notice what went wrong; with
 *   labels that the dimension of this name has
 * @typedef {object} Cost What a view costs, wherever the other dimensions are fixed.
 * @property {string} key
 * @property {Slices} whole
 * @property {Slices | null} slices what is read of it unasked; null for nothing
 * @property {Weight | null} much what the whole costs, where it is not
 * @property {boolean} known whether the server has to be asked before anything is read
 * @typedef {(notices: Notice[] | null) => void} Listener `notices` are there where an address was
 *   read, and null where something was changed
 */
import { boundOf, explained, isMuch, sparse } from "./cost.js";
import { labelAt, positionOf } from "./dataset.js";
import { Problem } from "./requests.js";
import { readState, usualState, writeState } from "./state.js";
import { displayOf } from "./units.js";

export class Session {
  /** @type {Listener} what is told of each change */
  onChange = () => {};
  /** @type {string[]} labels on either side of the one that was not found last */
  nearest = [];
  /** Bytes of chunks that one request may read. */
  most = Number(document.body.dataset.most);
  /** @type {Map<string, Weight>} what the server said of views, by what they show */
  #weights = new Map();

  /**
   * @param {Dataset} dataset
   * @param {Requests} requests
   */
  constructor(dataset, requests) {
    this.dataset = dataset;
    this.requests = requests;
    /** @type {State} */
    this.state = usualState(dataset, undefined);
    /**
     * Where each dimension is fixed; the axes of the picture keep where they were.
     *
     * @type {Record<string, number>}
     */
    this.positions = Object.fromEntries([...dataset.axes.keys()].map((name) => [name, 0]));
  }

  /** @returns {Variable} what is shown */
  get variable() {
    return /** @type {Variable} */ (this.dataset.variables.get(this.state.variable));
  }

  /** @returns {Display} how its values are shown */
  get display() {
    return displayOf(this.variable, this.state.units);
  }

  /** @returns {string} the path below which positions choose */
  get isel() {
    return `datasets/${encodeURIComponent(this.dataset.id)}/isel`;
  }

  /** @returns {string} the path below which labels choose */
  get sel() {
    return `datasets/${encodeURIComponent(this.dataset.id)}/sel`;
  }

  /**
   * @param {string} name
   * @returns {Axis}
   */
  axis(name) {
    return /** @type {Axis} */ (this.dataset.axes.get(name));
  }

  /** @returns {Grid | null} where the cells of a picture lie, where its dimensions do not say it */
  get grid() {
    const { x, y } = this.state;
    const has = (/** @type {Grid} */ { longitude, dims }) =>
      // Of a plain grid the longitudes are a dimension.
      dims.length === 2 && !dims.includes(longitude) && [x, y].every((n) => dims.includes(`${n}`));
    return this.dataset.grids.find(has) ?? null;
  }

  /** @returns {Axis[]} the dimensions of the variable that the picture does not run along */
  get fixedAxes() {
    const { x, y } = this.state;
    return this.variable.dims.filter((name) => name !== x && name !== y).map((n) => this.axis(n));
  }

  /** @returns {Axis[]} those with a control: of a chart its own axis too, where a value is read */
  get movableAxes() {
    const { x, y } = this.state;
    const own = x !== null && y === null && this.variable.kind === "number" ? [this.axis(x)] : [];
    return [...own, ...this.fixedAxes];
  }

  /** @returns {Axis | undefined} a dimension of the variable without positions: there are no values */
  get bare() {
    return this.variable.dims.map((name) => this.axis(name)).find(({ size }) => size === 0);
  }

  /** @param {Partial<State>} change */
  push(change) {
    this.#change(change, "pushState");
  }

  /** @param {Partial<State>} change */
  replace(change) {
    this.#change(change, "replaceState");
  }

  /** Take over what the address of the page says. */
  async readAddress() {
    const { state, notices: told } = readState(location.search, this.dataset);
    /** @type {Notice[]} */
    const notices = told;
    this.state = state;
    for (const [name, text] of Object.entries(state.fixed)) {
      if (this.axis(name).size === 0) continue;
      const found = await this.resolve(name, text);
      if (found === undefined) {
        const words = `${name}=${text} is not on its axis: its first place is shown.`;
        notices.push({ words, name, labels: this.nearest });
        delete state.fixed[name];
      }
      this.positions[name] = found ?? 0;
    }
    const unnamed = [...this.dataset.axes.keys()].filter((name) => !(name in state.fixed));
    for (const name of unnamed) this.positions[name] = 0;
    this.onChange(notices);
  }

  /**
   * Fix a dimension at another position.
   *
   * @param {string} name
   * @param {number} position
   * @param {boolean} [dragged] whether it is one of many on the way to another
   */
  async move(name, position, dragged = false) {
    const axis = this.axis(name);
    const held = Math.min(Math.max(position, 0), axis.size - 1);
    this.positions[name] = held;
    const label = labelAt(axis, held) ?? (await this.#ask(axis, held));
    if (this.positions[name] !== held) return;
    const fixed = { ...this.state.fixed, [name]: written(label ?? held) };
    if (dragged) this.replace({ fixed });
    else this.push({ fixed });
  }

  /**
   * Show another position for the moment, as a film does: no address tells of it.
   *
   * @param {string} name
   * @param {number} position
   */
  pass(name, position) {
    this.positions[name] = position;
    const label = labelAt(this.axis(name), position) ?? position;
    this.state = { ...this.state, fixed: { ...this.state.fixed, [name]: written(label) } };
    this.onChange(null);
  }

  /**
   * What is read of these positions: all of them where that is not much.
   *
   * @param {Slices} whole
   * @returns {Cost}
   */
  afford(whole) {
    const { variable, most } = this;
    const key = JSON.stringify([variable.name, whole]);
    const bound = boundOf(variable, whole, most);
    const weight = this.#weights.get(key) ?? bound;
    const known = weight !== bound || bound.little;
    if (!isMuch(weight)) return { key, whole, slices: whole, much: null, known };
    return { key, whole, slices: sparse(variable, whole, weight, most), much: weight, known };
  }

  /**
   * A view whose cost is known: the server was asked, where the description does not say it.
   *
   * @template {{ cost: Cost, all: Query[] }} Wanted `all` is what asks for the whole
   * @param {() => Wanted} want
   * @param {AbortSignal} signal
   */
  async weighed(want, signal) {
    for (;;) {
      const wanted = want();
      if (wanted.cost.known) return wanted;
      this.#weights.set(wanted.cost.key, await explained(this, wanted.all, signal));
    }
  }

  /**
   * What the server says of a part of the variable.
   *
   * @param {string} how the parameter that chooses it
   * @param {string} text
   */
  #explain(how, text) {
    return this.requests.json(this.sel, [
      ["variables", this.state.variable],
      [how, text],
      ["explain", "true"],
    ]);
  }

  /**
   * The label of a position that only the server knows.
   *
   * @param {Axis} axis
   * @param {number} position
   */
  async #ask(axis, position) {
    try {
      const told = await this.#explain(`isel[${axis.name}]`, String(position));
      const label = told.coords[axis.name]?.data ?? null;
      if (label !== null) axis.known.set(position, label);
      return label;
    } catch {
      return null;
    }
  }

  /**
   * The position of a label; undefined where there is none. The server knows all of the grammar.
   *
   * @param {string} name
   * @param {string} text
   * @returns {Promise<number | undefined>}
   */
  async resolve(name, text) {
    const axis = this.axis(name);
    const known = positionOf(axis, text);
    if (known >= 0) return known;
    this.nearest = [];
    try {
      const told = await this.#explain(`sel[${name}]`, text);
      const label = told.coords[name]?.data;
      const at = positionOf(axis, String(label));
      if (at >= 0 || label === undefined) return at >= 0 ? at : undefined;
      // Where only the server knows the labels, it counts those up to this one.
      const counted = await this.#explain(`sel[${name}]`, `../${label}`);
      const place = counted.dims[name] - 1;
      axis.known.set(place, label);
      return place;
    } catch (error) {
      const labels = error instanceof Problem ? (error.told["nearest"] ?? []) : [];
      this.nearest = labels.map(String);
      return undefined;
    }
  }

  /**
   * @param {Partial<State>} change
   * @param {"pushState" | "replaceState"} how
   */
  #change(change, how) {
    this.state = { ...this.state, ...change };
    history[how](null, "", writeState(this.state, this.dataset));
    this.onChange(null);
  }
}

/** @param {unknown} label */
function written(label) {
  return String(label).replace(/:00Z$/, "Z");
}
