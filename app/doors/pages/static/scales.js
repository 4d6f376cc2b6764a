/**
 * From values to colours: ranges, levels, histograms and tables.
 *
 * A picture is drawn of levels: 0 to 254 are colours from low to high, 255 is missing. That is what
 * `f=bin&pack=u1&range=` sends too, so that a frame of an animation and a field of floats are drawn
 * alike, and another colour map is another table of 256 entries.
 *
 * @import { Range, Scaling } from "./state.js"
 */

export const MISSING = 255;
export const LEVELS = 255;
const OUTSIDE_PERCENT = 2;
const STOPS = 32;
// The percentiles of a large field are those of so many of its values.
const MOST_SAMPLED = 50_000;
/**
 * The maps that the page brings with it: for each part (red, green, blue) the level of the first
 * colour, and what each has more than the one before it.
 *
 * @type {Record<string, number[][]>}
 */
export const COLOURS = {};
/** @type {Map<string, Uint32Array>} */
const TABLES = new Map();

/**
 * The 255 colours of a map and nothing for what is missing, as words of RGBA in memory's order.
 *
 * @param {string} name
 * @param {boolean} reverse
 * @returns {Uint32Array}
 */
export function colourTable(name, reverse) {
  const key = name + reverse;
  const kept = TABLES.get(key);
  if (kept !== undefined) return kept;
  const parts = COLOURS[name].map(sums);
  const table = new Uint32Array(256);
  for (let level = 0; level < LEVELS; level++) {
    const along = level / (LEVELS - 1);
    const at = Math.round(255 * (reverse ? 1 - along : along));
    const [red, green, blue] = parts.map((part) => part[at]);
    table[level] = word(red, green, blue);
  }
  TABLES.set(key, table);
  return table;
}

/** @param {number[]} steps */
function sums(steps) {
  let sum = 0;
  return steps.map((step) => {
    sum += step;
    return sum;
  });
}

/**
 * An opaque colour as a word of an image, on machines whose least byte comes first (all of them).
 *
 * @param {number} red
 * @param {number} green
 * @param {number} blue
 */
export function word(red, green, blue) {
  return (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
}

/**
 * What takes values to levels: the ends of a range are the first and the last one.
 *
 * @typedef {{ low: number, factor: number, log: boolean }} Levels
 * @param {Range} range
 * @param {Scaling} scaling
 * @returns {Levels}
 */
export function levelsOf(range, scaling) {
  const { low, high } = scaled(range, scaling);
  const factor = high > low ? (LEVELS - 1) / (high - low) : Number.POSITIVE_INFINITY;
  return { low, factor, log: scaling === "log" };
}

/**
 * The level nearest to a value.
 *
 * @param {number} value
 * @param {Levels} levels
 */
export function levelOf(value, { low, factor, log }) {
  const share = ((log ? Math.log(value) : value) - low) * factor;
  if (share >= LEVELS - 1) return LEVELS - 1;
  if (share > 0) return (share + 0.5) | 0;
  // What is no number, and what a logarithm does not know, is missing; zero times infinity is 0.
  return Number.isNaN(value) || (log && !(value > 0)) ? MISSING : 0;
}

/**
 * @param {ArrayLike<number>} values
 * @param {Levels} levels
 * @returns {Uint8Array}
 */
export function quantise(values, levels) {
  const made = new Uint8Array(values.length);
  for (let at = 0; at < made.length; at++) made[at] = levelOf(values[at], levels);
  return made;
}

/**
 * The share of the range (0 to 1 inside it) at which a value lies, and the value at a share.
 *
 * @param {Range} range
 * @param {Scaling} scaling
 */
export function scaleOf(range, scaling) {
  const { low, high } = scaled(range, scaling);
  const log = scaling === "log";
  return {
    share: (/** @type {number} */ value) => ((log ? Math.log(value) : value) - low) / (high - low),
    value: (/** @type {number} */ share) => {
      const value = low + share * (high - low);
      return log ? Math.exp(value) : value;
    },
  };
}

/**
 * @param {Range} range
 * @param {Scaling} scaling
 * @returns {Range}
 */
function scaled({ low, high }, scaling) {
  return scaling === "log" ? { low: Math.log(low), high: Math.log(high) } : { low, high };
}

/**
 * The range from the 2nd to the 98th percentile, on a scale: that of logarithms begins above zero,
 * a symmetric one has zero in its middle. Null where no value is a number that the scale has.
 *
 * @param {ArrayLike<number>} values
 * @param {Scaling} scaling
 * @returns {Range | null}
 */
export function usualRange(values, scaling) {
  // Odd, so that not the same few columns are looked at in each row.
  const step = Math.floor(values.length / MOST_SAMPLED) | 1;
  const kept = new Float64Array(Math.ceil(values.length / step));
  let count = 0;
  for (let at = 0; at < values.length; at += step) {
    const value = values[at];
    if (Number.isFinite(value) && (scaling !== "log" || value > 0)) kept[count++] = value;
  }
  if (count === 0) return null;
  const sorted = kept.subarray(0, count).sort();
  const at = (/** @type {number} */ percent) => sorted[Math.round(((count - 1) * percent) / 100)];
  const [low, high] = [at(OUTSIDE_PERCENT), at(100 - OUTSIDE_PERCENT)];
  if (scaling === "symmetric") {
    const most = Math.max(Math.abs(low), Math.abs(high)) || 1;
    return { low: -most, high: most };
  }
  if (low < high) return { low, high };
  // A field of one value, or of few that are another: all that there is, else a little room.
  const [least, most] = [at(0), at(100)];
  if (least < most) return { low: least, high: most };
  const room = Math.abs(low) / 100 || 1;
  return scaling === "log"
    ? { low: low / 2, high: low * 2 }
    : { low: low - room, high: low + room };
}

/**
 * What there is among values: how many are missing, the least, the most and where that is (-1 for
 * nowhere), and whether zero is passed.
 *
 * @param {ArrayLike<number>} values
 */
export function summaryOf(values) {
  let missing = 0;
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  let top = -1;
  for (let at = 0; at < values.length; at++) {
    const value = values[at];
    if (Number.isNaN(value)) missing++;
    else {
      if (value < low) low = value;
      if (value > high) {
        high = value;
        top = at;
      }
    }
  }
  return { count: values.length, missing, low, high, top, crossesZero: low < 0 && high > 0 };
}

/**
 * How many values lie in each of equal parts of a range.
 *
 * @param {ArrayLike<number>} values
 * @param {Range} range
 * @param {number} [parts]
 * @returns {Uint32Array}
 */
export function histogram(values, range, parts = 128) {
  const counts = new Uint32Array(parts);
  const factor = parts / (range.high - range.low || 1);
  for (let at = 0; at < values.length; at++) {
    const part = (values[at] - range.low) * factor;
    if (part >= 0 && part < parts) counts[part | 0]++;
    else if (part === parts) counts[parts - 1]++;
  }
  return counts;
}

/**
 * The colours of a range from left to right, of which the eye sees no steps.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {number} from where the range begins, in pixels
 * @param {number} to
 * @param {Uint32Array} table
 * @param {Range} range
 * @param {Scaling} scaling
 */
export function ramp(context, from, to, table, range, scaling) {
  const made = context.createLinearGradient(from, 0, to, 0);
  const { share } = scaleOf(range, scaling);
  for (let at = 0; at <= STOPS; at++) {
    const value = range.low + (at / STOPS) * (range.high - range.low);
    made.addColorStop(at / STOPS, colourText(table, Math.round(share(value) * (LEVELS - 1))));
  }
  return made;
}

/**
 * @param {Uint32Array} table
 * @param {number} level
 */
export function colourText(table, level) {
  const colour = table[level];
  return `rgb(${colour & 255} ${(colour >> 8) & 255} ${(colour >> 16) & 255})`;
}
