/**
 * Where a place of the picture lies on the screen, and back: the box that is looked at, the size of
 * the canvas, and the rules for both. It draws nothing.
 *
 * @import { Axis } from "./dataset.js"
 * @import { Line } from "./raster.js"
 * @import { Box } from "./state.js"
 */
import { TURN } from "./raster.js";

/** Around the cells, in pixels, for the marks of the axes. */
export const MARGIN = { left: 52, right: 12, top: 8, bottom: 24 };
const FLATTEST = 3;
const TALLEST = 0.6;
const PLAIN_SHAPE = 1.8;

export class Frame {
  /** @type {Box} */
  #box = [0, 0, 1, 1];
  width = 0;
  height = 0;

  /**
   * @param {Axis} across
   * @param {Axis} along
   * @param {Line} x
   * @param {Line} y
   */
  constructor(across, along, x, y) {
    this.across = across;
    this.along = along;
    const [y0, y1] = ends(y);
    // All Earths begin at the same meridian, wherever their stores do.
    const [x0, x1] = across.wraps ? [-TURN / 2, TURN / 2] : ends(x);
    /** @type {Box} */
    this.whole = [x0, y0, x1, y1];
    this.#box = this.whole;
  }

  /** Whether a unit along is as long as one across. */
  get isMap() {
    return this.across.geographic && this.along.geographic;
  }

  get box() {
    return this.#box;
  }

  /**
   * The size of the cells in a space; maps keep their shape.
   *
   * @param {number} width
   * @param {number} most of the height
   */
  fit(width, most) {
    const [x0, y0, x1, y1] = this.whole;
    const shape = this.isMap ? shapeOf(x1 - x0, y1 - y0) : PLAIN_SHAPE;
    this.height = Math.floor(Math.min(width / shape, most));
    this.width = this.isMap ? Math.floor(Math.min(width, this.height * shape)) : width;
    this.#box = this.#shaped(this.#box);
  }

  /**
   * Look at a box; at everything without one.
   *
   * @param {Box | null} box
   */
  look(box) {
    this.#box = this.#shaped(box ?? this.whole);
  }

  /**
   * Move by pixels.
   *
   * @param {number} right
   * @param {number} down
   */
  pan(right, down) {
    const [x0, y0, x1, y1] = this.#box;
    const dx = (-right * (x1 - x0)) / this.width;
    const dy = ((this.along.down ? -down : down) * (y1 - y0)) / this.height;
    this.#box = this.#held([x0 + dx, y0 + dy, x1 + dx, y1 + dy]);
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
    this.#box = this.#held([
      x + (x0 - x) * factor,
      y + (y0 - y) * factor,
      x + (x1 - x) * factor,
      y + (y1 - y) * factor,
    ]);
  }

  /** @param {number} x pixels from the left edge of the figure */
  px(x) {
    const [x0, , x1] = this.#box;
    return MARGIN.left + ((x - x0) / (x1 - x0)) * this.width;
  }

  /** @param {number} y pixels from its top */
  py(y) {
    const [, y0, , y1] = this.#box;
    const share = (y - y0) / (y1 - y0);
    return MARGIN.top + (this.along.down ? share : 1 - share) * this.height;
  }

  /**
   * The place at a pixel of the figure.
   *
   * @param {number} left
   * @param {number} top
   * @returns {[number, number]}
   */
  placeAt(left, top) {
    const [x0, y0, x1, y1] = this.#box;
    const across = (left - MARGIN.left) / this.width;
    const down = (top - MARGIN.top) / this.height;
    return [x0 + across * (x1 - x0), y0 + (this.along.down ? down : 1 - down) * (y1 - y0)];
  }

  /**
   * The box in the shape of the canvas, so that degrees are squares.
   *
   * @param {Box} box
   * @returns {Box}
   */
  #shaped(box) {
    if (!this.isMap || this.width === 0) return box;
    const [x0, y0, x1, y1] = box;
    const unit = Math.max((x1 - x0) / this.width, (y1 - y0) / this.height);
    const [x, y] = [(x0 + x1) / 2, (y0 + y1) / 2];
    const [dx, dy] = [(unit * this.width) / 2, (unit * this.height) / 2];
    return [x - dx, y - dy, x + dx, y + dy];
  }

  /**
   * The box, not larger than everything, and with its edges inside of it.
   *
   * @param {Box} box
   * @returns {Box}
   */
  #held(box) {
    const whole = this.#shaped(this.whole);
    const [x0, x1] = held([box[0], box[2]], [whole[0], whole[2]], this.across.wraps);
    const [y0, y1] = held([box[1], box[3]], [whole[1], whole[3]], false);
    return [x0, y0, x1, y1];
  }
}

/**
 * How many times as wide as high a map is.
 *
 * @param {number} across in degrees
 * @param {number} along
 */
export function shapeOf(across, along) {
  return Math.min(Math.max(across / along, TALLEST), FLATTEST);
}

/**
 * @param {Line} line
 * @returns {[number, number]}
 */
function ends({ edges }) {
  return [edges[0], edges[edges.length - 1]];
}

/**
 * @param {[number, number]} span
 * @param {[number, number]} whole
 * @param {boolean} wraps
 * @returns {[number, number]}
 */
function held([from, to], [low, high], wraps) {
  const length = Math.min(to - from, high - low);
  let middle = (from + to) / 2;
  if (wraps) middle -= TURN * Math.floor((middle + TURN / 2) / TURN);
  else middle = Math.min(Math.max(middle, low + length / 2), high - length / 2);
  return [middle - length / 2, middle + length / 2];
}
