/**
 * What is shown now, for all parts of the page: they read it here, change it here, and are told.
 *
 * A change is either pushed (what was chosen: Back undoes it) or replaces the address (what was
 * dragged). The address is written first, then every listener is told.
 *
 * @import { Axis, Dataset, Variable } from "./dataset.js"
 * @import { Requests } from "./requests.js"
 * @import { State } from "./state.js"
 * @import { Display } from "./units.js"
 * @typedef {string | { words: string, name: string, labels: string[] }} Notice what went wrong; with
 *   labels that the dimension of this name has
 * @typedef {(notices: Notice[] | null) => void} Listener `notices` are there where an address was
 *   read, and null where something was changed
 */
import { labelAt, positionOf } from "./dataset.js";
import { Problem } from "./requests.js";
import { readState, usualState, writeState } from "./state.js";
import { displayOf } from "./units.js";

export class Session {
  /** @type {Listener[]} */
  #listeners = [];
  /** @type {string[]} labels on either side of the one that was not found last */
  nearest = [];

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

  /** @returns {Axis[]} the dimensions of the variable that the picture does not run along */
  get fixedAxes() {
    const { x, y } = this.state;
    return this.variable.dims.filter((name) => name !== x && name !== y).map((n) => this.axis(n));
  }

  /** @param {Listener} listener */
  listen(listener) {
    this.#listeners.push(listener);
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
    this.#tell(notices);
  }

  /**
   * Fix a dimension at another position.
   *
   * @param {string} name
   * @param {number} position
   * @param {boolean} [dragged] whether it is one of many on the way to another
   */
  move(name, position, dragged = false) {
    const axis = this.axis(name);
    const held = Math.min(Math.max(position, 0), axis.size - 1);
    this.positions[name] = held;
    const label = labelAt(axis, held);
    const fixed = { ...this.state.fixed };
    // Where only the server knows the label, the grammar has a way to say the position.
    if (label === null) fixed[name] = `${held}`;
    else fixed[name] = String(label).replace(/:00Z$/, "Z");
    if (dragged) this.replace({ fixed });
    else this.push({ fixed });
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
      const told = await this.requests.json(this.sel, [
        ["variables", this.state.variable],
        [`sel[${name}]`, text],
        ["explain", "true"],
      ]);
      const at = positionOf(axis, String(told.coords[name]?.data));
      return at >= 0 ? at : undefined;
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
    this.#tell(null);
  }

  /** @param {Notice[] | null} notices */
  #tell(notices) {
    for (const listener of this.#listeners) listener(notices);
  }
}
