/**
 * The picture of a view as a file: what is on the page, with a title, its bar of colours, and whose
 * data it is.
 *
 * @import { Range, State } from "./state.js"
 * @import { Display } from "./units.js"
 * @typedef {object} Bar
 * @property {Range} range
 * @property {State} state
 * @property {Display} display
 */
import { el, styled } from "./dom.js";
import { colourTable, ramp } from "./scales.js";
import { numberText, roundTicks } from "./ticks.js";

const PAD = 20;
const LINE = 20;
const BAR = 12;

/**
 * @param {Element} place what has the canvases
 * @param {string} title
 * @param {string} told what is shown
 * @param {string} credit whose data it is, and where it is
 * @param {Bar | null} bar
 * @returns {HTMLCanvasElement}
 */
export function pictureOf(place, title, told, credit, bar) {
  const frame = place.getBoundingClientRect();
  const [width, top] = [Math.max(frame.width, 320) + 2 * PAD, PAD + 2 * LINE + 8];
  const foot = top + frame.height + 8;
  const height = foot + (bar === null ? 0 : BAR + 2 * LINE) + LINE + PAD;
  const canvas = el("canvas", { width: width * 2, height: height * 2 });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.scale(2, 2);
  context.fillStyle = styled("--paper");
  context.fillRect(0, 0, width, height);
  const write = (/** @type {string} */ text, /** @type {number} */ y, font = "13px") => {
    context.font = `${font} ${styled("--sans")}`;
    context.fillText(text, PAD, y, width - 2 * PAD);
  };
  context.fillStyle = styled("--ink");
  write(title, PAD + 16, "bold 18px");
  context.fillStyle = styled("--muted");
  write(told, PAD + 16 + LINE);
  write(credit, height - PAD + 2, "11px");
  for (const one of place.querySelectorAll("canvas")) {
    const at = one.getBoundingClientRect();
    const [x, y] = [PAD + at.left - frame.left, top + at.top - frame.top];
    context.drawImage(one, x, y, at.width, at.height);
  }
  if (bar !== null) drawBar(context, bar, foot + 4, width);
  return canvas;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Bar} bar
 * @param {number} top
 * @param {number} width
 */
function drawBar(context, { range, state, display: { units, to, from } }, top, width) {
  const table = colourTable(state.cmap, state.reverse);
  const [left, long] = [PAD + 52, width - 2 * PAD - 64];
  const { low, high } = range;
  context.textAlign = "center";
  context.fillStyle = ramp(context, left, left + long, table, range, state.scaling);
  context.fillRect(left, top, long, BAR);
  context.fillStyle = styled("--muted");
  context.font = `12px ${styled("--sans")}`;
  for (const at of roundTicks(to(low), to(high), long / 100)) {
    const share = (from(at) - low) / (high - low);
    context.fillText(numberText(at, 5), left + share * long, top + BAR + 15);
  }
  context.fillText(units, left + long / 2, top + BAR + 32);
}
