/**
 * Instants and durations as Sluice writes them: RFC 3339 with Z in the calendar that the world
 * uses, ISO 8601 without a zone in other calendars, whose dates never go through `Date`.
 */

const UNITS = { W: 604_800_000, D: 86_400_000, H: 3_600_000, M: 60_000, S: 1000 };
const DURATION = /^(-?)P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?$/;

/**
 * Milliseconds of an ISO 8601 duration of weeks, days and a time; NaN for months, years and others.
 *
 * @param {string} text
 */
export function durationOf(text) {
  const found = DURATION.exec(text);
  if (found === null) return Number.NaN;
  const [, sign, ...counts] = found;
  const sizes = [UNITS.W, UNITS.D, UNITS.H, UNITS.M, UNITS.S];
  const total = sizes.reduce((sum, size, at) => sum + size * Number(counts[at] ?? 0), 0);
  return sign === "-" ? -total : total;
}

/**
 * Milliseconds since 1970 of an instant; NaN for one of another calendar (it has no Z).
 *
 * @param {string} text
 */
export function instantOf(text) {
  return /Z$/.test(text) ? Date.parse(text) : Number.NaN;
}

/**
 * An instant as a label, without a fraction that is zero.
 *
 * @param {number} milliseconds
 */
export function labelOf(milliseconds) {
  return new Date(milliseconds).toISOString().replace(".000Z", "Z");
}

/**
 * A label for people: without seconds that are zero, in a time zone that changes the words alone.
 * Dates of other calendars stay as they are written.
 *
 * @param {string} label
 * @param {string} [zone] an IANA name
 */
export function readable(label, zone = "UTC") {
  const instant = instantOf(label);
  if (Number.isNaN(instant)) return label.replace("T", " ").replace(/ 00:00:00$/, "");
  if (zone === "UTC") {
    const text = label.replace("T", " ").replace(/(:00)?(\.0+)?Z$/, "");
    return `${text} UTC`;
  }
  const parts = new Intl.DateTimeFormat("en-CA", {
    timeZone: zone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
    timeZoneName: "short",
  }).formatToParts(instant);
  const of = Object.fromEntries(parts.map(({ type, value }) => [type, value]));
  return `${of.year}-${of.month}-${of.day} ${of.hour}:${of.minute} ${of.timeZoneName}`;
}

/**
 * Whether the browser knows a time zone of this name.
 *
 * @param {string} zone
 */
export function isZone(zone) {
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
    return true;
  } catch {
    return false;
  }
}
