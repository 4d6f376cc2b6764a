/**
 * The picture of a field on the page: a canvas of cells, and one above it with coast, marks and the
 * cross of the keyboard. It pans, zooms and says what it is asked for; what it shows it is told.
 *
 * @import { Line } from "./raster.js"
 * @import { Mesh, Raster } from "./mesh.js"
 * @import { Box } from "./state.js"
 * @import { Axis } from "./dataset.js"
 * @typedef {object} Shown
 * @property {ArrayLike<number>} values rows first
 * @property {import("./scales.js").Levels | null} levels what takes values to levels; null where the
 *   values are levels
 * @property {Line} x
 * @property {Line} y
 * @property {Axis} across
 * @property {Axis} along
 * @property {Mesh | null} mesh where the cells are no rows and columns of the map
 * @typedef {object} Listener
 * @property {(box: Box) => void} onBox another box is looked at, and has been for a moment
 * @property {(x: number, y: number) => void} onPoint what is under the pointer, or the cross
 * @property {(x: number, y: number) => void} onPick a place was chosen
 * @property {(key: string) => boolean} onKey another key; whether it means something
 */
import { arcsOf } from "./coast.js";
import { el, onOtherStyles, settled, styled } from "./dom.js";
import { Frame, MARGIN } from "./frame.js";
import { listenTo } from "./gestures.js";
import { rasterOf } from "./mesh.js";
import { drawOverlay } from "./overlay.js";
import { cellAt, cellsOf, levelled, paint } from "./raster.js";
import { word } from "./scales.js";

const SETTLED_MS = 150;
const MOST_SHARE_OF_WINDOW = 0.68;
const LEAST_HEIGHT = 220;
// A step of the keyboard's cross is so many of the picture's.
const CROSS_STEPS = 100;
// Of a narrower part of the Earth a fine coast is drawn.
const FINE_DEGREES = 60;
// An index that takes longer is made anew when the box stands still.
const FLUENT_MS = 25;

export class Figure {
  /** @type {Shown | null} */
  #shown = null;
  /** @type {Frame | null} */
  #frame = null;
  /** @type {Uint32Array} */
  #table = new Uint32Array(256);
  /** @type {Float32Array[][]} coasts, the finer one behind the other */
  #coasts = [];
  #drawn = {
    marks: /** @type {[number, number][]} */ ([]),
    cross: /** @type {[number, number] | null} */ (null),
  };
  #request = 0;
  /** @type {Raster | null} */
  #raster = null;
  #rastered = "";
  #rasterMs = 0;
  #moving = false;
  /** @type {ImageData | null} */
  #image = null;
  // Of each pixel; anew where the picture is another one: another table of colours is none.
  #levels = new Uint16Array(0);
  #levelled = false;
  // Coast, marks and axes are drawn anew where they may have changed: colours change oftener.
  #overlaid = false;

  /**
   * @param {Listener} listener
   */
  constructor(listener) {
    this.listener = listener;
    this.cells = el("canvas", { class: "cells", "aria-hidden": "true" });
    this.overlay = el("canvas", { class: "overlay", role: "img", tabindex: "0" });
    this.element = el("div", { class: "figure" }, this.cells, this.overlay);
    this.#tellBox = settled(SETTLED_MS, () => {
      this.#moving = false;
      this.redraw();
      if (this.#frame !== null) listener.onBox([...this.#frame.box]);
    });
    this.#listen();
    new ResizeObserver(() => this.#resize()).observe(this.element);
    onOtherStyles(() => {
      this.#overlaid = true;
      this.#draw();
    });
  }

  /** @type {() => void} */
  #tellBox;

  /** @param {Shown} shown */
  setField(shown) {
    const before = this.#shown;
    this.#shown = shown;
    if (before?.values !== shown.values || before.levels !== shown.levels) this.#levelled = false;
    if (before?.mesh !== shown.mesh) this.#rastered = "";
    const other = before?.x !== shown.x || before.y !== shown.y;
    if (other) {
      const box =
        before?.across === shown.across && before.along === shown.along && this.#frame?.box;
      this.#frame = new Frame(shown.across, shown.along, shown.x, shown.y);
      this.#resize();
      if (box) this.#frame.look(box);
    }
    this.redraw(other);
  }

  /** @param {Uint32Array} table */
  setTable(table) {
    this.#table = table;
    this.redraw(false);
  }

  /**
   * The coast of what is seen: a fine one, and as long as that has not come the other.
   *
   * @param {Frame} frame
   * @returns {Float32Array[]}
   */
  #coastOf({ box, isMap }) {
    const at = box[2] - box[0] < FINE_DEGREES ? 1 : 0;
    if (isMap && !this.#coasts[at]) this.#askCoast(at);
    return this.#coasts[at] ?? [];
  }

  /** @param {number} at */
  async #askCoast(at) {
    this.#coasts[at] = this.#coasts[0] ?? [];
    const { land = "", fine = "" } = document.body.dataset;
    const answer = await fetch([land, fine][at]);
    this.#coasts[at] = arcsOf(await answer.json());
    this.redraw();
  }

  /** @param {[number, number][]} marks the places of series */
  setMarks(marks) {
    const same = `${marks}` === `${this.#drawn.marks}`;
    this.#drawn.marks = marks;
    if (!same) this.redraw();
  }

  /**
   * Look at a box; at all that there is without one.
   *
   * @param {Box | null} box
   */
  setBox(box) {
    const before = `${this.#frame?.box}`;
    this.#frame?.look(box);
    if (`${this.#frame?.box}` !== before) this.redraw();
  }

  /**
   * @param {number} factor less than 1 zooms in
   * @param {[number, number]} [about] a place
   */
  zoom(factor, about) {
    this.#frame?.zoom(factor, about);
    this.#moved();
  }

  /**
   * Draw with the next frame of the screen.
   *
   * @param {boolean} [all] whether more than the cells may be other than before
   */
  redraw(all = true) {
    this.#overlaid ||= all;
    this.#levelled &&= !all;
    if (this.#request !== 0) return;
    this.#request = requestAnimationFrame(() => {
      this.#request = 0;
      this.#draw();
    });
  }

  #draw() {
    if (this.#shown === null || this.#frame === null || this.#frame.width === 0) return;
    this.overlay.dataset.box = this.#frame.box.join(",");
    this.#drawCells(this.#shown, this.#frame);
    if (this.#overlaid) this.#drawOverlay(this.#frame);
    this.#overlaid = false;
  }

  /**
   * The cell of a mesh at a place; -1 for none.
   *
   * @param {number} x
   * @param {number} y
   */
  cellAt(x, y) {
    if (this.#raster === null) return -1;
    const { index, x: columns, y: rows } = this.#raster;
    const [column, row] = [cellAt(columns, x), cellAt(rows, y)];
    return column < 0 || row < 0 ? -1 : index[row * (columns.edges.length - 1) + column];
  }

  #moved() {
    this.#moving = true;
    this.redraw();
    this.#tellBox();
  }

  #resize() {
    const frame = this.#frame;
    const width = Math.floor(this.element.clientWidth) - MARGIN.left - MARGIN.right;
    if (frame === null || width <= 0) return;
    frame.fit(width, Math.max(LEAST_HEIGHT, innerHeight * MOST_SHARE_OF_WINDOW));
    const outer = frame.width + MARGIN.left + MARGIN.right;
    const whole = frame.height + MARGIN.top + MARGIN.bottom;
    const ratio = Math.min(devicePixelRatio, 2);
    const same = sized(this.cells, frame.width, frame.height, ratio);
    if (sized(this.overlay, outer, whole, ratio) && same) return;
    this.element.style.height = `${whole}px`;
    this.redraw();
  }

  /**
   * @param {Shown} shown
   * @param {Frame} frame
   */
  #drawCells({ values, levels, x, y, along, mesh }, frame) {
    const started = performance.now();
    const { width, height } = this.cells;
    const context = /** @type {CanvasRenderingContext2D} */ (this.cells.getContext("2d"));
    const [x0, y0, x1, y1] = frame.box;
    const [top, bottom] = along.down ? [y0, y1] : [y1, y0];
    if (this.#image?.width !== width || this.#image.height !== height) {
      this.#image = context.createImageData(width, height);
      this.#levels = new Uint16Array(width * height);
      this.#levelled = false;
    }
    const image = this.#image;
    const raster = mesh === null ? null : this.#rasterOf(mesh, frame);
    const columns = raster?.x ?? x;
    const picture = {
      values,
      levels,
      across: columns.edges.length - 1,
      index: raster?.index,
      rows: cellsOf(raster?.y ?? y, top, bottom, height),
      columns: cellsOf(columns, x0, x1, width),
      table: this.#table,
      checkers: checkers(),
    };
    if (!this.#levelled) levelled(picture, this.#levels);
    this.#levelled = true;
    paint(picture, this.#levels, new Uint32Array(image.data.buffer));
    context.putImageData(image, 0, 0);
    this.cells.dataset.ms = (performance.now() - started).toFixed(2);
  }

  /**
   * @param {Mesh} mesh
   * @param {Frame} frame
   */
  #rasterOf(mesh, { box }) {
    const { width, height } = this.cells;
    const key = `${box},${width},${height}`;
    const kept = this.#raster !== null && this.#rastered !== "";
    const slow = this.#moving && this.#rasterMs > FLUENT_MS;
    if (this.#rastered === key || (kept && slow)) return this.#raster;
    const started = performance.now();
    this.#raster = rasterOf(mesh, box, width, height);
    this.#rasterMs = performance.now() - started;
    this.#rastered = key;
    return this.#raster;
  }

  /** @param {Frame} frame */
  #drawOverlay(frame) {
    const { width, clientWidth, clientHeight } = this.overlay;
    const context = /** @type {CanvasRenderingContext2D} */ (this.overlay.getContext("2d"));
    const ratio = width / clientWidth || 1;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, clientWidth, clientHeight);
    drawOverlay(context, frame, { ...this.#drawn, coast: this.#coastOf(frame) });
  }

  #listen() {
    const place = (/** @type {number} */ left, /** @type {number} */ top) =>
      this.#frame?.placeAt(left, top) ?? /** @type {[number, number]} */ ([0, 0]);
    listenTo(this.overlay, {
      onPan: (right, down) => {
        this.#frame?.pan(right, down);
        this.#moved();
      },
      onZoom: (factor, left, top) => this.zoom(factor, place(left, top)),
      onPoint: (left, top) => this.listener.onPoint(...place(left, top)),
      onPick: (left, top) => this.listener.onPick(...place(left, top)),
      onCross: (right, down) => this.#moveCross(right, down),
      onKey: (key) => this.#onKey(key),
    });
  }

  /**
   * @param {number} right
   * @param {number} down
   */
  #moveCross(right, down) {
    if (this.#frame === null) return;
    const [x0, y0, x1, y1] = this.#frame.box;
    const [x, y] = this.#drawn.cross ?? [(x0 + x1) / 2, (y0 + y1) / 2];
    const up = this.#frame.along.down ? down : -down;
    const cross = /** @type {[number, number]} */ ([
      Math.min(Math.max(x + (right * (x1 - x0)) / CROSS_STEPS, x0), x1),
      Math.min(Math.max(y + (up * (y1 - y0)) / CROSS_STEPS, y0), y1),
    ]);
    this.#drawn.cross = cross;
    this.listener.onPoint(...cross);
    this.redraw();
  }

  /**
   * @param {string} key
   * @returns {boolean} whether it means something here
   */
  #onKey(key) {
    const { cross } = this.#drawn;
    if (key === "Enter" && cross !== null) this.listener.onPick(...cross);
    else if (key === "+") this.zoom(0.7, cross ?? undefined);
    else if (key === "-") this.zoom(1 / 0.7, cross ?? undefined);
    else if (key === "0") {
      this.#frame?.look(null);
      this.#moved();
    } else return this.listener.onKey(key);
    return true;
  }
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {number} height
 * @param {number} ratio
 * @returns {boolean} whether it has been so large
 */
function sized(canvas, width, height, ratio) {
  const [across, along] = [Math.round(width * ratio), Math.round(height * ratio)];
  // A canvas that is told its size is empty.
  if (canvas.width === across && canvas.height === along) return true;
  canvas.width = across;
  canvas.height = along;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  return false;
}

/** @returns {[number, number]} the colours of the board behind what is missing */
function checkers() {
  const dark = styled("--dark") !== "";
  return dark ? [word(58, 64, 70), word(44, 49, 54)] : [word(222, 225, 228), word(244, 246, 247)];
}
