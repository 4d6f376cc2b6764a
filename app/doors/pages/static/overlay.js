/**
 * What is drawn over and around the cells of a picture: coast, marked places, the cross of the
 * keyboard, the marks of the axes.
 *
 * @import { Axis } from "./dataset.js"
 * @import { Frame } from "./frame.js"
 * @typedef {CanvasRenderingContext2D} Context
 */
import { trace } from "./coast.js";
import { isInstants, labelAt } from "./dataset.js";
import { styled } from "./dom.js";
import { MARGIN } from "./frame.js";
import { TURN } from "./raster.js";
import { degreeText, degreeTicks, numberText, roundTicks, timeText, timeTicks } from "./ticks.js";

const ACROSS_PIXELS = 90;
const ALONG_PIXELS = 56;
const CROSS = 10;
const MARK = 6;

/**
 * @typedef {object} Drawn
 * @property {Float32Array[]} coast
 * @property {[number, number][]} marks the places of series
 * @property {[number, number] | null} cross
 */

/**
 * @param {Context} context scaled so that its unit is a pixel of the page
 * @param {Frame} frame
 * @param {Drawn} drawn
 */
export function drawOverlay(context, frame, { coast, marks, cross }) {
  context.save();
  context.beginPath();
  context.rect(MARGIN.left, MARGIN.top, frame.width, frame.height);
  context.clip();
  if (frame.isMap) drawCoast(context, frame, coast);
  for (const [at, mark] of marks.entries()) drawMark(context, frame, mark, `--series-${at + 1}`);
  if (cross !== null) drawCross(context, frame.px(cross[0]), frame.py(cross[1]));
  context.restore();
  drawAxes(context, frame);
}

/**
 * @param {Context} context
 * @param {Frame} frame
 * @param {Float32Array[]} coast
 */
function drawCoast(context, frame, coast) {
  context.beginPath();
  trace(context, coast, frame);
  context.strokeStyle = styled("--coast-halo");
  context.lineWidth = 2.4;
  context.stroke();
  context.strokeStyle = styled("--coast");
  context.lineWidth = 0.9;
  context.stroke();
}

/**
 * @param {Context} context
 * @param {Frame} frame
 * @param {[number, number]} place
 * @param {string} colour
 */
function drawMark(context, frame, [x, y], colour) {
  const turns = frame.across.wraps ? Math.floor((x - frame.box[0]) / TURN) : 0;
  context.beginPath();
  context.arc(frame.px(x - TURN * turns), frame.py(y), MARK, 0, 2 * Math.PI);
  context.fillStyle = styled(colour);
  context.fill();
  context.lineWidth = 2;
  context.strokeStyle = "#fff";
  context.stroke();
}

/**
 * @param {Context} context
 * @param {number} x
 * @param {number} y
 */
function drawCross(context, x, y) {
  context.strokeStyle = "#fff";
  context.lineWidth = 3;
  for (const _ of [0, 1]) {
    line(context, x - CROSS, y, x + CROSS, y);
    line(context, x, y - CROSS, x, y + CROSS);
    context.strokeStyle = "#000";
    context.lineWidth = 1;
  }
}

/**
 * @param {Context} context
 * @param {Frame} frame
 */
function drawAxes(context, frame) {
  const { width, height, across, along } = frame;
  const [x0, y0, x1, y1] = frame.box;
  const [left, top] = [MARGIN.left, MARGIN.top];
  const bottom = top + height;
  context.strokeStyle = styled("--line");
  context.fillStyle = styled("--muted");
  context.font = `12px ${styled("--sans")}`;
  context.lineWidth = 1;
  context.strokeRect(left + 0.5, top + 0.5, width - 1, height - 1);
  context.textAlign = "center";
  context.textBaseline = "top";
  for (const [at, words] of marksOf(across, x0, x1, width / ACROSS_PIXELS, "X")) {
    context.fillText(words, bounded(frame.px(at), left + 12, left + width - 12), bottom + 7);
    line(context, frame.px(at), bottom, frame.px(at), bottom + 4);
  }
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const [at, words] of marksOf(along, y0, y1, height / ALONG_PIXELS, "Y")) {
    context.fillText(words, left - 7, bounded(frame.py(at), top + 6, bottom - 6));
    line(context, left - 4, frame.py(at), left, frame.py(at));
  }
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
function bounded(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/**
 * @param {Context} context
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
 * @param {number} count about so many
 * @param {"X" | "Y"} role
 * @returns {[number, string][]}
 */
function marksOf(axis, from, to, count, role) {
  if (axis.geographic) {
    return degreeTicks(from, to, count).map((at) => [at, degreeText(at, role)]);
  }
  if (isInstants(axis)) {
    const ticks = timeTicks(from, to, count);
    const step = ticks[1] - ticks[0] || 0;
    return ticks.map((at) => [at, timeText(at, step)]);
  }
  if (axis.kind === "number") return roundTicks(from, to, count).map((at) => [at, numberText(at)]);
  const whole = roundTicks(from, to, count).filter((at) => Number.isInteger(at));
  return whole.filter((at) => at >= 0 && at < axis.size).map((at) => [at, positionText(axis, at)]);
}

/**
 * What stands at a position of an axis whose coordinates are positions.
 *
 * @param {Axis} axis
 * @param {number} position
 */
export function positionText(axis, position) {
  const label = String(labelAt(axis, position) ?? position);
  return axis.kind === "time" ? label.slice(0, 10) : label.slice(0, 12);
}
