/**
 * Units that values are shown in, in place of their own: for the eyes alone. What is asked for,
 * what is downloaded and what the address says of colours stays in the variable's own units.
 *
 * @typedef {Pick<import("./dataset.js").Variable, "units" | "title" | "attrs">} Variable
 * @typedef {object} Display
 * @property {string} units with a mark where they are not the variable's own
 * @property {(value: number) => number} to what is shown of a value
 * @property {(shown: number) => number} from the value of what is shown
 */

// Each of a family: its name, what takes its values to the first one's (a factor and a sum, exact by
// definition), and how files spell it.
/** @type {[string, number, number, RegExp][][]} */
const FAMILIES = [
  [
    ["K", 1, 0, /^(k|kelvins?|deg_?k)$/i],
    ["degC", 1, 273.15, /^(°?c|celsius|deg(rees?)?[_ ]?c(elsius)?)$/i],
    ["degF", 5 / 9, (459.67 * 5) / 9, /^(°?f|deg(rees?)?[_ ]?f(ahrenheit)?)$/i],
  ],
  [
    ["m/s", 1, 0, /^m( ?\/ ?s|[ .]?s(\*\*|\^)?-1)$/],
    ["km/h", 1 / 3.6, 0, /^km( ?\/ ?h|[ .]?hr?(\*\*|\^)?-1)$/],
    ["kn", 1852 / 3600, 0, /^(kn|kts?|knots?)$/],
  ],
];
// A difference of temperatures has no zero to be moved.
const DIFFERENCE = /anomal|differen|tendency|\bbias\b|error|deviation/i;

/** @param {Variable} variable */
function familyOf({ units, title, attrs }) {
  const family = FAMILIES.find((one) => one.some(([, , , spelled]) => spelled.test(units)));
  const words = `${title} ${attrs["standard_name"]} ${attrs["cell_methods"]}`;
  return family === undefined || (family[1]?.[2] !== 0 && DIFFERENCE.test(words)) ? [] : family;
}

/**
 * The names of the units that values can be shown in; none without a choice.
 *
 * @param {Variable} variable
 * @returns {string[]}
 */
export function unitsFor(variable) {
  const names = familyOf(variable).map(([name]) => name);
  return names.filter((name) => displayOf(variable, name).units !== variable.units);
}

/**
 * @param {Variable} variable
 * @param {string | null} wanted null for the variable's own
 * @returns {Display}
 */
export function displayOf(variable, wanted) {
  const { units } = variable;
  const family = familyOf(variable);
  const own = family.find(([, , , spelled]) => spelled.test(units));
  const other = family.find(([name]) => name === wanted);
  if (own === undefined || other === undefined || own === other) {
    return { units, to: (value) => value, from: (shown) => shown };
  }
  const [, factor, sum] = own;
  const [name, each, zero] = other;
  return {
    units: `${name} (from ${units})`,
    to: (value) => (value * factor + sum - zero) / each,
    from: (shown) => (shown * each + zero - sum) / factor,
  };
}
