/**
 * The picture of a field on the page: a canvas of cells, and one above it with coast, marks and the
 * cross of the keyboard. It pans, zooms and says what it is asked for; what it shows it is told.
 *
 * @import { Line } from "./raster.js"
 * @import { Box } from "./state.js"
 * @import { Axis } from "./dataset.js"
 * @typedef {object} Field
 * @property {Uint8Array} levels rows first
 * @property {Line} x
 * @property {Line} y
 * @property {Axis} across
 * @property {Axis} along
 * @typedef {object} Listener
 * @property {(box: Box) => void} onBox another box is looked at, and has been for a moment
 * @property {(x: number, y: number) => void} onPoint what is under the pointer, or the cross
 * @property {(x: number, y: number) => void} onPick a place was chosen
 */
import { trace } from "./coast.js";
import { el, settled, styled } from "./dom.js";
import { cellsOf, paint, TURN } from "./raster.js";
import { word } from "./scales.js";
import { degreeText, degreeTicks, numberText, roundTicks, timeText, timeTicks } from "./ticks.js";

const MARGIN = { left: 52, right: 12, top: 8, bottom: 24 };
const SETTLED_MS = 150;
const CLICK_PIXELS = 4;
const TICK_PIXELS = 90;
const MOST_SHARE_OF_WINDOW = 0.68;

export class Figure {
  /** @type {Field | null} */
  #field = null;
  /** @type {Uint32Array} */
  #table = new Uint32Array(256);
  /** @type {Float32Array[]} */
  #coast = [];
  /** @type {Box} */
  #box = [0, 0, 1, 1];
  /** @type {[number, number][]} */
  #marks = [];
  /** @type {[number, number] | null} */
  #cross = null;
  #size = { width: 0, height: 0 };
  #frame = 0;

  /**
   * @param {Listener} listener
   */
  constructor(listener) {
    this.listener = listener;
    this.cells = el("canvas", { class: "cells", "aria-hidden": "true" });
    this.overlay = el("canvas", { class: "overlay", role: "img", tabindex: "0" });
    this.element = el("div", { class: "figure" }, this.cells, this.overlay);
    this.#tellBox = settled(SETTLED_MS, () => listener.onBox([...this.#box]));
    this.#listen();
    new ResizeObserver(() => this.#resize()).observe(this.element);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
  }

  /** @type {() => void} */
  #tellBox;

  /** The box that is looked at. */
  get box() {
    return this.#box;
  }

  /**
   * @param {Field} field
   */
  setField(field) {
    const before = this.#field;
    this.#field = field;
    if (before?.across !== field.across || before?.along !== field.along) this.#resize();
    this.redraw();
  }

  /** @param {Uint32Array} table */
  setTable(table) {
    this.#table = table;
    this.redraw();
  }

  /** @param {Float32Array[]} arcs */
  setCoast(arcs) {
    this.#coast = arcs;
    this.redraw();
  }

  /** @param {[number, number][]} marks the places of series */
  setMarks(marks) {
    this.#marks = marks;
    this.redraw();
  }

  /**
   * Look at a box; at all that there is without one.
   *
   * @param {Box | null} box
   */
  setBox(box) {
    this.#box = this.#fitted(box ?? this.#whole());
    this.redraw();
  }

  /** Draw all of it with the next frame of the screen. */
  redraw() {
    if (this.#frame === 0) {
      this.#frame = requestAnimationFrame(() => {
        this.#frame = 0;
        this.#draw();
      });
    }
  }

  /**
   * Zoom about the middle, or about a place.
   *
   * @param {number} factor less than 1 zooms in
   * @param {[number, number]} [about]
   */
  zoom(factor, about) {
    const [x0, y0, x1, y1] = this.#box;
    const [x, y] = about ?? [(x0 + x1) / 2, (y0 + y1) / 2];
    this.#look([
      x + (x0 - x) * factor,
      y + (y0 - y) * factor,
      x + (x1 - x) * factor,
      y + (y1 - y) * factor,
    ]);
  }

  /** @param {Box} box */
  #look(box) {
    this.#box = this.#held(box);
    this.redraw();
    this.#tellBox();
  }

  /** @returns {Box} everything that the field has */
  #whole() {
    if (this.#field === null) return [0, 0, 1, 1];
    const { x, y, across } = this.#field;
    const ends = (/** @type {Line} */ line) => [Number(line.edges[0]), Number(line.edges.at(-1))];
    const [y0, y1] = ends(y);
    // All Earths begin at the same meridian, wherever their stores do.
    const [x0, x1] = across.wraps ? [-180, 180] : ends(x);
    return [Number(x0), Number(y0), Number(x1), Number(y1)];
  }

  /** @returns {boolean} whether a unit along is as long as one across */
  get #isMap() {
    const field = this.#field;
    return field?.across.geographic === true && field.along.geographic;
  }

  /**
   * The box in the shape of the canvas, so that degrees are squares.
   *
   * @param {Box} box
   * @returns {Box}
   */
  #fitted(box) {
    const { width, height } = this.#size;
    if (!this.#isMap || width === 0) return box;
    const [x0, y0, x1, y1] = box;
    const unit = Math.max((x1 - x0) / width, (y1 - y0) / height);
    const [x, y] = [(x0 + x1) / 2, (y0 + y1) / 2];
    const [dx, dy] = [(unit * width) / 2, (unit * height) / 2];
    return [x - dx, y - dy, x + dx, y + dy];
  }

  /**
   * The box, not larger than everything, and with its middle inside of it.
   *
   * @param {Box} box
   * @returns {Box}
   */
  #held(box) {
    const whole = this.#fitted(this.#whole());
    const [x0, x1] = heldSpan([box[0], box[2]], [whole[0], whole[2]], this.#field?.across.wraps);
    const [y0, y1] = heldSpan([box[1], box[3]], [whole[1], whole[3]], false);
    return [x0, y0, x1, y1];
  }

  #resize() {
    const field = this.#field;
    const width = Math.floor(this.element.clientWidth) - MARGIN.left - MARGIN.right;
    if (field === null || width <= 0) return;
    const most = Math.max(220, innerHeight * MOST_SHARE_OF_WINDOW);
    const [x0, y0, x1, y1] = this.#whole();
    const shape = this.#isMap ? Math.min(Math.max((x1 - x0) / (y1 - y0), 0.6), 3) : 1.8;
    const height = Math.floor(Math.min(width / shape, most));
    const fits = this.#isMap ? Math.floor(Math.min(width, height * shape)) : width;
    const { width: before, height: old } = this.#size;
    this.#size = { width: fits, height };
    const ratio = Math.min(devicePixelRatio, 2);
    const [outer, whole] = [fits + MARGIN.left + MARGIN.right, height + MARGIN.top + MARGIN.bottom];
    sized(this.cells, fits, height, ratio);
    sized(this.overlay, outer, whole, ratio);
    this.element.style.height = `${whole}px`;
    if (before !== fits || old !== height)
      this.#box = this.#fitted(before ? this.#box : this.#whole());
    this.redraw();
  }

  #draw() {
    if (this.#field === null || this.#size.width === 0) return;
    this.overlay.dataset.box = this.#box.join(",");
    this.#drawCells(this.#field);
    this.#drawOverlay(this.#field);
  }

  /** @param {Field} field */
  #drawCells({ levels, x, y, along }) {
    const { width, height } = this.cells;
    const context = /** @type {CanvasRenderingContext2D} */ (this.cells.getContext("2d"));
    const [x0, y0, x1, y1] = this.#box;
    const [top, bottom] = along.down ? [y0, y1] : [y1, y0];
    const image = context.createImageData(width, height);
    const picture = {
      levels,
      across: x.edges.length - 1,
      rows: cellsOf(y, top, bottom, height),
      columns: cellsOf(x, x0, x1, width),
      table: this.#table,
      checkers: checkers(),
    };
    paint(picture, new Uint32Array(image.data.buffer));
    context.putImageData(image, 0, 0);
  }

  /** @param {Field} field */
  #drawOverlay(field) {
    const context = /** @type {CanvasRenderingContext2D} */ (this.overlay.getContext("2d"));
    const ratio = this.overlay.width / this.overlay.clientWidth || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, this.overlay.clientWidth, this.overlay.clientHeight);
    context.save();
    const { width, height } = this.#size;
    context.beginPath();
    context.rect(MARGIN.left, MARGIN.top, width, height);
    context.clip();
    if (this.#isMap) this.#drawCoast(context);
    this.#drawMarks(context);
    context.restore();
    this.#drawAxes(context, field);
  }

  /** @param {CanvasRenderingContext2D} context */
  #drawCoast(context) {
    const [x0, , x1] = this.#box;
    context.beginPath();
    trace(
      context,
      this.#coast,
      (x) => this.#px(x),
      (y) => this.#py(y),
      x0,
      x1,
    );
    for (const [style, line] of [
      ["--coast-halo", 2.4],
      ["--coast", 0.9],
    ]) {
      context.strokeStyle = styled(String(style));
      context.lineWidth = Number(line);
      context.stroke();
    }
  }

  /** @param {CanvasRenderingContext2D} context */
  #drawMarks(context) {
    const turn = this.#field?.across.wraps ? TURN : 0;
    for (const [at, [x, y]] of this.#marks.entries()) {
      context.beginPath();
      const shown = turn ? x - turn * Math.floor((x - this.#box[0]) / turn) : x;
      context.arc(this.#px(shown), this.#py(y), 6, 0, 2 * Math.PI);
      context.fillStyle = styled(`--series-${at + 1}`);
      context.fill();
      context.lineWidth = 2;
      context.strokeStyle = "#fff";
      context.stroke();
    }
    if (this.#cross === null) return;
    const [x, y] = [this.#px(this.#cross[0]), this.#py(this.#cross[1])];
    for (const [style, line] of [
      ["#fff", 3],
      ["#000", 1],
    ]) {
      context.strokeStyle = String(style);
      context.lineWidth = Number(line);
      context.beginPath();
      context.moveTo(x - 10, y);
      context.lineTo(x + 10, y);
      context.moveTo(x, y - 10);
      context.lineTo(x, y + 10);
      context.stroke();
    }
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {Field} field
   */
  #drawAxes(context, { across, along }) {
    const { width, height } = this.#size;
    const [x0, y0, x1, y1] = this.#box;
    const [left, bottom] = [MARGIN.left, MARGIN.top + height];
    context.strokeStyle = styled("--line");
    context.fillStyle = styled("--muted");
    context.font = `12px ${styled("--sans")}`;
    context.lineWidth = 1;
    context.strokeRect(left + 0.5, MARGIN.top + 0.5, width - 1, height - 1);
    context.textAlign = "center";
    context.textBaseline = "top";
    for (const [at, words] of marksOf(across, x0, x1, width / TICK_PIXELS, "X")) {
      const x = Math.min(Math.max(this.#px(at), left + 12), left + width - 12);
      context.fillText(words, x, bottom + 7);
      line(context, this.#px(at), bottom, this.#px(at), bottom + 4);
    }
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const [at, words] of marksOf(along, y0, y1, height / (TICK_PIXELS / 1.6), "Y")) {
      const y = Math.min(Math.max(this.#py(at), MARGIN.top + 6), bottom - 6);
      context.fillText(words, left - 7, y);
      line(context, left - 4, this.#py(at), left, this.#py(at));
    }
  }

  /** @param {number} x */
  #px(x) {
    const [x0, , x1] = this.#box;
    return MARGIN.left + ((x - x0) / (x1 - x0)) * this.#size.width;
  }

  /** @param {number} y */
  #py(y) {
    const [, y0, , y1] = this.#box;
    const share = (y - y0) / (y1 - y0);
    const down = this.#field?.along.down ? share : 1 - share;
    return MARGIN.top + down * this.#size.height;
  }

  /**
   * The place under a point of the page.
   *
   * @param {{ clientX: number, clientY: number }} event
   * @returns {[number, number]}
   */
  #placeOf({ clientX, clientY }) {
    const { left, top } = this.overlay.getBoundingClientRect();
    const { width, height } = this.#size;
    const [x0, y0, x1, y1] = this.#box;
    const across = (clientX - left - MARGIN.left) / width;
    const down = (clientY - top - MARGIN.top) / height;
    const along = this.#field?.along.down ? down : 1 - down;
    return [x0 + across * (x1 - x0), y0 + along * (y1 - y0)];
  }

  #listen() {
    const { overlay, listener } = this;
    /** @type {Map<number, PointerEvent>} */
    const held = new Map();
    let moved = 0;
    overlay.addEventListener("pointerdown", (event) => {
      overlay.setPointerCapture(event.pointerId);
      held.set(event.pointerId, event);
      moved = held.size > 1 ? CLICK_PIXELS + 1 : 0;
    });
    overlay.addEventListener("pointermove", (event) => {
      const before = held.get(event.pointerId);
      if (before === undefined) {
        listener.onPoint(...this.#placeOf(event));
        return;
      }
      const others = [...held.values()].filter((one) => one.pointerId !== event.pointerId);
      moved += Math.hypot(event.clientX - before.clientX, event.clientY - before.clientY);
      if (moved > CLICK_PIXELS) this.#drag(before, event, others[0]);
      held.set(event.pointerId, event);
    });
    const release = (/** @type {PointerEvent} */ event) => {
      const mine = held.delete(event.pointerId);
      if (mine && event.type === "pointerup" && moved <= CLICK_PIXELS) {
        listener.onPick(...this.#placeOf(event));
      }
    };
    overlay.addEventListener("pointerup", release);
    overlay.addEventListener("pointercancel", release);
    overlay.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.zoom(1.0015 ** event.deltaY, this.#placeOf(event));
      },
      { passive: false },
    );
    overlay.addEventListener("keydown", (event) => this.#onKey(event));
  }

  /**
   * One finger or the mouse pans; two fingers pinch.
   *
   * @param {PointerEvent} before
   * @param {PointerEvent} now
   * @param {PointerEvent | undefined} other
   */
  #drag(before, now, other) {
    if (other !== undefined) {
      const distance = (/** @type {PointerEvent} */ one) =>
        Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
      this.zoom(distance(before) / distance(now), this.#placeOf(other));
      return;
    }
    const [from, to] = [this.#placeOf(before), this.#placeOf(now)];
    const [dx, dy] = [from[0] - to[0], from[1] - to[1]];
    const [x0, y0, x1, y1] = this.#box;
    this.#look([x0 + dx, y0 + dy, x1 + dx, y1 + dy]);
  }

  /** @param {KeyboardEvent} event */
  #onKey(event) {
    const [x0, y0, x1, y1] = this.#box;
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const step = steps[/** @type {keyof typeof steps} */ (event.key)];
    if (step !== undefined) {
      const [x, y] = this.#cross ?? [(x0 + x1) / 2, (y0 + y1) / 2];
      const up = this.#field?.along.down ? -1 : 1;
      const far = event.shiftKey ? 10 : 100;
      const moved = [x + (step[0] * (x1 - x0)) / far, y + (up * step[1] * (y1 - y0)) / far];
      this.#cross = [Math.min(Math.max(moved[0], x0), x1), Math.min(Math.max(moved[1], y0), y1)];
      this.listener.onPoint(...this.#cross);
    } else if (event.key === "Enter" && this.#cross !== null) {
      this.listener.onPick(...this.#cross);
    } else if (event.key === "+" || event.key === "-") {
      this.zoom(event.key === "+" ? 0.7 : 1 / 0.7, this.#cross ?? undefined);
    } else if (event.key === "0") this.#look(this.#fitted(this.#whole()));
    else return;
    event.preventDefault();
    this.redraw();
  }
}

/**
 * @param {[number, number]} span
 * @param {[number, number]} whole
 * @param {boolean} [wraps]
 * @returns {[number, number]}
 */
function heldSpan([from, to], [low, high], wraps = false) {
  const length = Math.min(to - from, high - low);
  let middle = (from + to) / 2;
  if (wraps) middle -= TURN * Math.floor((middle + TURN / 2) / TURN);
  else middle = Math.min(Math.max(middle, low + length / 2), high - length / 2);
  return [middle - length / 2, middle + length / 2];
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {number} height
 * @param {number} ratio
 */
function sized(canvas, width, height, ratio) {
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {number} x0
 * @param {number} y0
 * @param {number} x1
 * @param {number} y1
 */
function line(context, x0, y0, x1, y1) {
  context.beginPath();
  context.moveTo(x0, y0);
  context.lineTo(x1, y1);
  context.stroke();
}

/**
 * The marks of an axis between two coordinates, and their words.
 *
 * @param {Axis} axis
 * @param {number} from
 * @param {number} to
 * @param {number} count
 * @param {"X" | "Y"} role
 * @returns {[number, string][]}
 */
function marksOf(axis, from, to, count, role) {
  if (axis.geographic) {
    return degreeTicks(from, to, count).map((at) => [at, degreeText(at, role)]);
  }
  if (axis.kind === "time" && from > 1e6) {
    const ticks = timeTicks(from, to, count);
    const step = Number(ticks[1]) - Number(ticks[0]) || 0;
    return ticks.map((at) => [at, timeText(at, step)]);
  }
  return roundTicks(from, to, count).map((at) => [at, numberText(at)]);
}

/** @returns {[number, number]} the colours of the board behind what is missing */
function checkers() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  return dark ? [word(58, 64, 70), word(44, 49, 54)] : [word(222, 225, 228), word(244, 246, 247)];
}
