/**
 * The controls of a view: what is shown, and where along each dimension that is fixed.
 *
 * @import { Axis, Dataset } from "./dataset.js"
 * @import { Session } from "./session.js"
 * @typedef {object} DimensionListener
 * @property {(position: number, dragged: boolean) => void} onChoose `dragged` from the second
 *   position of a drag on: the first one is a choice
 * @property {(text: string) => void} onText a label that only the server understands
 */
import { labelAt, positionOf } from "./dataset.js";
import { button, el } from "./dom.js";
import { degreeText, numberText } from "./ticks.js";
import { readable } from "./times.js";

// A slider of more positions is coarse; its buttons are exact.
const MOST_STOPS = 1000;

/**
 * A label of an axis for people, with its units.
 *
 * @param {Axis} axis
 * @param {number} position
 * @param {string} zone
 */
export function labelText(axis, position, zone) {
  const label = labelAt(axis, position);
  if (label === null) return `${axis.name} ${position}`;
  if (axis.geographic) return degreeText(Number(label), axis.role === "X" ? "X" : "Y");
  if (axis.kind === "time") return readable(String(label), zone);
  const text = typeof label === "number" ? numberText(label, 7) : String(label);
  return axis.units !== "" && axis.kind === "number" ? `${text} ${axis.units}` : text;
}

/**
 * What is shown, in words: the variable, and where the other dimensions are fixed.
 *
 * @param {Session} session
 */
export function shownText({ variable, fixedAxes, positions, state }) {
  const places = fixedAxes.map((axis) => labelText(axis, positions[axis.name], state.zone));
  return [variable.title, ...places].join(", ");
}

/**
 * Rows of texts below their heads; the first of each row is its name.
 *
 * @param {string[]} heads
 * @param {string[][]} rows
 */
export function tableOf(heads, rows) {
  const cell = (/** @type {string} */ text, /** @type {number} */ at) =>
    at > 0 ? el("td", {}, text) : el("th", { scope: "row" }, text);
  const head = heads.map((name) => el("th", { scope: "col" }, name));
  const body = rows.map((row) => el("tr", {}, ...row.map(cell)));
  const table = el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...body));
  return el("div", { class: "scrolled", tabindex: "0" }, table);
}

/** A dimension that is fixed at one position: a slider, a field for a label, four buttons. */
export class DimensionControl {
  #position = 0;
  #zone = "UTC";
  #dragging = false;

  /**
   * @param {Axis} axis
   * @param {DimensionListener} listener
   */
  constructor(axis, listener) {
    this.axis = axis;
    this.listener = listener;
    const last = axis.size - 1;
    const step = Math.max(1, Math.ceil(axis.size / MOST_STOPS));
    const name = axis.title;
    this.slider = el("input", {
      type: "range",
      min: 0,
      max: last,
      step,
      value: 0,
      "aria-label": name,
      oninput: () => {
        this.#choose(Number(this.slider.value), this.#dragging);
        this.#dragging = true;
      },
      onchange: () => {
        this.#dragging = false;
      },
    });
    this.field = el("input", {
      type: "text",
      spellcheck: "false",
      autocomplete: "off",
      "aria-label": `${name}, as a label`,
      onchange: () => this.#typed(this.field.value.trim()),
    });
    const to = (
      /** @type {string} */ sign,
      /** @type {string} */ words,
      /** @type {() => number} */ where,
    ) => button(sign, () => this.#choose(where()), words, `${words}, ${name}`);
    this.element = el(
      "div",
      { class: "dimension", role: "group", "aria-label": name },
      el("span", { class: "name" }, name),
      this.field,
      el(
        "span",
        { class: "steps" },
        to("«", "First", () => 0),
        to("‹", "Previous", () => this.#position - 1),
        to("›", "Next", () => this.#position + 1),
        to("»", "Last", () => last),
      ),
      this.slider,
    );
  }

  /**
   * Show a position.
   *
   * @param {number} position
   * @param {string} zone
   */
  show(position, zone) {
    this.#position = position;
    this.#zone = zone;
    const words = labelText(this.axis, position, zone);
    this.slider.value = String(position);
    this.slider.setAttribute("aria-valuetext", words);
    this.field.value = words;
  }

  /**
   * @param {number} position
   * @param {boolean} [dragged]
   */
  #choose(position, dragged = false) {
    const held = Math.min(Math.max(position, 0), this.axis.size - 1);
    this.show(held, this.#zone);
    this.listener.onChoose(held, dragged);
  }

  /** @param {string} text */
  #typed(text) {
    const label = text.replace(/ UTC$/, "Z").replace(/^(\d{4}-\d{2}-\d{2}) (?=\d)/, "$1T");
    const plain = this.axis.units === "" ? label : label.replace(` ${this.axis.units}`, "");
    const position = positionOf(this.axis, plain.replace("−", "-"));
    if (position >= 0) this.#choose(position);
    else this.listener.onText(plain);
  }
}

/**
 * A field with a choice of names.
 *
 * @param {string} words what is chosen
 * @param {[string, string][]} choices values and what is read
 * @param {(value: string) => void} onChoose
 */
export function choice(words, choices, onChoose) {
  const options = choices.map(([value, text]) => el("option", { value }, text));
  const select = el("select", { onchange: () => onChoose(select.value) }, ...options);
  return { element: el("label", { class: "choice" }, el("span", {}, words), select), select };
}

/**
 * The choice of a variable.
 *
 * @param {Dataset} dataset
 * @param {(name: string) => void} onChoose
 */
export function variableChoice(dataset, onChoose) {
  /** @type {[string, string][]} */
  const choices = [...dataset.variables.values()].map((one) => [
    one.name,
    one.title === one.name ? one.name : `${one.title} (${one.name})`,
  ]);
  return choice("Variable", choices, onChoose);
}
