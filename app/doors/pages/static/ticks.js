/** Where the marks of an axis are, and what stands at them. */

/**
 * About so many round numbers between two others.
 *
 * @param {number} from
 * @param {number} to
 * @param {number} count
 * @returns {number[]}
 */
export function roundTicks(from, to, count) {
  const [low, high] = from < to ? [from, to] : [to, from];
  const raw = (high - low) / Math.max(1, count);
  if (!(raw > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(raw));
  const step =
    power * /** @type {number} */ ([1, 2, 5, 10].find((one) => one * power >= raw) || 10);
  return multiples(low, high, step);
}

/**
 * The same in degrees, which are round in other numbers.
 *
 * @param {number} from
 * @param {number} to
 * @param {number} count
 */
export function degreeTicks(from, to, count) {
  const raw = (to - from) / Math.max(1, count);
  const step = [1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120].find((one) => one >= raw);
  return raw < 1 || step === undefined ? roundTicks(from, to, count) : multiples(from, to, step);
}

const SECOND = 1000;
const TIME_STEPS = [
  ...[1, 5, 15, 30].map((count) => count * SECOND),
  ...[1, 5, 15, 30].map((count) => count * 60 * SECOND),
  ...[1, 3, 6, 12].map((count) => count * 3600 * SECOND),
  ...[1, 2, 5, 10].map((count) => count * 86_400 * SECOND),
];

/**
 * The same in milliseconds since 1970: hours, days, months or years.
 *
 * @param {number} from
 * @param {number} to
 * @param {number} count
 */
export function timeTicks(from, to, count) {
  const raw = (to - from) / Math.max(1, count);
  const step = TIME_STEPS.find((one) => one >= raw);
  if (step !== undefined) return multiples(from, to, step);
  const months = raw / (30 * 86_400 * SECOND);
  const each = [1, 3, 6, 12, 24, 60, 120, 240, 600, 1200].find((one) => one >= months) ?? 6000;
  const start = new Date(from);
  let month = start.getUTCFullYear() * 12 + start.getUTCMonth();
  month = Math.ceil(month / each) * each;
  const found = [];
  for (;;) {
    const at = Date.UTC(Math.floor(month / 12), month % 12);
    if (at > to || Number.isNaN(at)) return found;
    if (at >= from) found.push(at);
    month += each;
  }
}

/**
 * @param {number} low
 * @param {number} high
 * @param {number} step
 */
function multiples(low, high, step) {
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at++) {
    found.push(Number((at * step).toPrecision(12)));
  }
  return found;
}

/**
 * A number for people: as many digits as tell it from its neighbours.
 *
 * @param {number} value
 * @param {number} [digits]
 */
export function numberText(value, digits = 4) {
  if (!Number.isFinite(value)) return "";
  const size = Math.abs(value);
  const text = Number(value.toPrecision(digits));
  const plain = size === 0 || (size >= 1e-4 && size < 1e7);
  return (plain ? String(text) : text.toExponential()).replace("-", "−");
}

/** @param {number} count as in "every 2nd" */
export function ordinal(count) {
  const teen = Math.floor(count / 10) % 10 === 1;
  return count + ((!teen && ["th", "st", "nd", "rd"][count % 10]) || "th");
}

/**
 * A longitude or latitude for people.
 *
 * @param {number} degrees
 * @param {"X" | "Y"} role
 */
export function degreeText(degrees, role) {
  const turned = role === "X" ? degrees - 360 * Math.floor((degrees + 180) / 360) : degrees;
  const [positive, negative] = role === "X" ? ["E", "W"] : ["N", "S"];
  const plain = turned === 0 || (role === "X" && turned === -180);
  const sign = plain ? "" : turned > 0 ? positive : negative;
  return `${Number(Math.abs(turned).toPrecision(6))}°${sign}`;
}

/**
 * What stands at a tick of times: a clock, a day, a month or a year, by the distance to the next.
 *
 * @param {number} milliseconds
 * @param {number} step
 */
export function timeText(milliseconds, step) {
  const text = new Date(milliseconds).toISOString();
  const day = 86_400 * SECOND;
  if (step < day) return text.endsWith("T00:00:00.000Z") ? text.slice(5, 10) : text.slice(11, 16);
  if (step < 27 * day) return text.slice(5, 10);
  return step < 300 * day ? text.slice(0, 7) : text.slice(0, 4);
}
