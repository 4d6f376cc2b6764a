/**
 * The bar of colours: how often each value is there, the two ends of the range as handles and as
 * fields, and what lies beyond them.
 *
 * @import { Range, Scaling, State } from "./state.js"
 * @import { Display } from "./units.js"
 */
import { choice } from "./controls.js";
import { button, el, onOtherStyles, styled } from "./dom.js";
import { colourTable, colourText, histogram, LEVELS, ramp } from "./scales.js";
import { CMAPS } from "./state.js";
import { numberText } from "./ticks.js";
import { displayOf } from "./units.js";

const TALL = 64;
const BAND = 14;
const AROUND_RANGE = 0.12;
const PARTS = 120;
// So often the fields follow a handle.
const READ_MS = 100;

export class Colours {
  /** @type {Uint32Array} */
  #counts = new Uint32Array(PARTS);
  /** @type {Range} */
  #span = { low: 0, high: 1 };
  /** @type {Range} */
  #range = { low: 0, high: 1 };
  /** @type {Scaling} */
  #scaling = "linear";
  /** @type {ArrayLike<number>} what was counted, and within which ends */
  #values = [];
  #counted = "";
  #told = 0;
  #wide = 0;
  #table = colourTable("viridis", false);
  #held = "";
  /** @type {Display} */
  #display = displayOf({ units: "", title: "", attrs: {} }, null);

  /**
   * @param {(change: Partial<State>, done: boolean) => void} onChange `done` once a drag has ended
   */
  constructor(onChange) {
    this.onChange = onChange;
    this.canvas = el("canvas", { class: "histogram", "aria-hidden": "true" });
    this.low = this.#field("Lowest colour at");
    this.high = this.#field("Highest colour at");
    /** @type {[string, string][]} */
    const maps = CMAPS.map((name) => [name, name]);
    this.maps = choice("Colours", maps, (cmap) => onChange({ cmap }, true));
    /** @type {[string, string][]} */
    const scalings = [
      ["linear", "linear"],
      ["log", "logarithmic"],
      ["symmetric", "symmetric"],
    ];
    this.scalings = choice("Scale", scalings, (scaling) =>
      onChange({ scaling: /** @type {Scaling} */ (scaling), range: null }, true),
    );
    this.reverse = el("input", {
      type: "checkbox",
      onchange: () => onChange({ reverse: this.reverse.checked }, true),
    });
    this.lock = el("input", {
      type: "checkbox",
      onchange: () => onChange({ range: this.lock.checked ? this.#range : null }, true),
    });
    this.suggested = button("Values cross zero: colour about it", () =>
      onChange({ scaling: "symmetric", cmap: "balance", range: null }, true),
    );
    this.suggested.hidden = true;
    this.units = el("span", { class: "units" });
    const usual = button("2–98 %", () => onChange({ range: null }, true));
    this.element = el(
      "div",
      { class: "colours", role: "group", "aria-label": "Colours" },
      this.canvas,
      el("div", { class: "ends" }, this.low, this.units, usual, this.high),
      el(
        "div",
        { class: "choices" },
        this.maps.element,
        this.scalings.element,
        el("label", { class: "check" }, this.reverse, "reversed"),
        el("label", { class: "check" }, this.lock, "range locked"),
        this.suggested,
      ),
    );
    this.#listen();
    new ResizeObserver(() => {
      this.#wide = this.canvas.clientWidth;
      this.#draw();
    }).observe(this.element);
    onOtherStyles(() => this.#draw());
  }

  /**
   * @param {string} words
   */
  #field(words) {
    return el("input", {
      type: "text",
      inputmode: "decimal",
      "aria-label": words,
      onchange: () => this.#typed(),
    });
  }

  /**
   * Show these values and this range of them.
   *
   * @param {ArrayLike<number>} values
   * @param {Range & { crossesZero: boolean }} all their least and most
   * @param {State} state
   * @param {Range} range
   * @param {Display} display
   */
  show(values, all, state, range, display) {
    const room = AROUND_RANGE * (range.high - range.low);
    this.#span = {
      low: Math.min(range.low - room, Math.max(all.low, range.low - 3 * room)),
      high: Math.max(range.high + room, Math.min(all.high, range.high + 3 * room)),
    };
    const counted = `${this.#span.low},${this.#span.high}`;
    if (values !== this.#values || counted !== this.#counted) {
      this.#counts = histogram(values, this.#span, PARTS);
    }
    [this.#values, this.#counted] = [values, counted];
    this.#display = display;
    this.units.textContent = display.units;
    this.suggested.hidden = !all.crossesZero || state.scaling !== "linear";
    this.maps.select.value = state.cmap;
    this.scalings.select.value = state.scaling;
    this.reverse.checked = state.reverse;
    this.#told = 0;
    this.showRange(state, range);
  }

  /**
   * @param {State} state
   * @param {Range} range
   */
  showRange(state, range) {
    this.#range = range;
    this.#scaling = state.scaling;
    this.#table = colourTable(state.cmap, state.reverse);
    this.#draw();
    // Other texts are another layout of the page, which no frame has time for.
    if (performance.now() - this.#told < READ_MS) return;
    this.#told = performance.now();
    this.lock.checked = state.range !== null;
    this.low.value = numberText(this.#display.to(range.low), 5);
    this.high.value = numberText(this.#display.to(range.high), 5);
  }

  #typed() {
    const [low, high] = [this.low, this.high].map((field) =>
      this.#display.from(Number(field.value.replace("−", "-"))),
    );
    const fine = Number.isFinite(low) && Number.isFinite(high) && Number(low) < Number(high);
    if (fine) this.onChange({ range: { low: Number(low), high: Number(high) } }, true);
    else {
      this.#told = 0;
      this.showRange(this.#shown(), this.#range);
    }
  }

  /** @returns {any} */
  #shown() {
    return { cmap: this.maps.select.value, reverse: this.reverse.checked, scaling: this.#scaling };
  }

  /** @param {number} value */
  #x(value) {
    const { low, high } = this.#span;
    return ((value - low) / (high - low)) * this.#wide;
  }

  #draw() {
    const width = this.#wide;
    if (width === 0) return;
    const ratio = Math.min(devicePixelRatio, 2);
    this.canvas.width = width * ratio;
    this.canvas.height = TALL * ratio;
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    context.scale(ratio, ratio);
    const most = Math.max(...this.#counts, 1);
    const room = TALL - BAND - 4;
    context.fillStyle = styled("--faint");
    for (let part = 0; part < PARTS; part++) {
      const tall = Math.sqrt(this.#counts[part] / most) * room;
      context.fillRect((part * width) / PARTS, room - tall + 2, width / PARTS + 0.5, tall);
    }
    this.#drawBar(context);
    for (const end of [this.#range.low, this.#range.high]) {
      const x = this.#x(end);
      context.fillStyle = styled("--ink");
      context.fillRect(x - 1, 0, 2, TALL);
      context.beginPath();
      context.arc(x, 6, 5, 0, 2 * Math.PI);
      context.fill();
    }
  }

  /**
   * The colours, with a triangle at each end for what lies beyond.
   *
   * @param {CanvasRenderingContext2D} context
   */
  #drawBar(context) {
    const [from, to] = [this.#x(this.#range.low), this.#x(this.#range.high)];
    const top = TALL - BAND;
    context.fillStyle = ramp(context, from, to, this.#table, this.#range, this.#scaling);
    context.fillRect(from, top, to - from, BAND);
    for (const [x, tip, level] of [
      [from, from - BAND, 0],
      [to, to + BAND, LEVELS - 1],
    ]) {
      context.fillStyle = colourText(this.#table, Number(level));
      context.beginPath();
      context.moveTo(Number(x), top);
      context.lineTo(Number(tip), top + BAND / 2);
      context.lineTo(Number(x), top + BAND);
      context.fill();
    }
  }

  #listen() {
    const { canvas } = this;
    const valueAt = (/** @type {PointerEvent} */ event) => {
      const share = (event.clientX - canvas.getBoundingClientRect().left) / canvas.clientWidth;
      return this.#span.low + share * (this.#span.high - this.#span.low);
    };
    canvas.addEventListener("pointerdown", (event) => {
      const value = valueAt(event);
      const { low, high } = this.#range;
      this.#held = Math.abs(value - low) < Math.abs(value - high) ? "low" : "high";
      canvas.setPointerCapture(event.pointerId);
    });
    const move = (/** @type {PointerEvent} */ event, /** @type {boolean} */ done) => {
      if (this.#held === "") return;
      const range = { ...this.#range, [this.#held]: valueAt(event) };
      if (range.low < range.high) this.onChange({ range }, done);
    };
    canvas.addEventListener("pointermove", (event) => move(event, false));
    canvas.addEventListener("pointerup", (event) => {
      move(event, true);
      this.#held = "";
    });
  }
}
