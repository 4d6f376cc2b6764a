/** Elements of the page, made without any HTML in texts: what a text holds is text. */

/**
 * An element with these attributes and children. A function under `onclick` and its like listens.
 *
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, string | number | boolean | ((event: any) => void) | null>} [attributes]
 * @param {(Node | string | null)[]} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null) element.setAttribute(key, String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * A button that does something here.
 *
 * @param {string} text
 * @param {() => void} onclick
 * @param {string | null} [title] for who needs more than the text
 * @param {string | null} [label] the same for who hears it
 */
export function button(text, onclick, title = null, label = title) {
  return el("button", { type: "button", title, "aria-label": label, onclick }, text);
}

/**
 * The element of this id, which the page has.
 *
 * @param {string} id
 * @returns {HTMLElement}
 */
export function byId(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/** @type {Map<string, string>} */
const STYLES = new Map();

/**
 * The value of a custom property of the styles, as it is on this page; kept, since to look makes the
 * browser style all of the page.
 *
 * @param {string} name
 */
export function styled(name) {
  let value = STYLES.get(name);
  if (value === undefined) {
    value = getComputedStyle(document.body).getPropertyValue(name).trim();
    STYLES.set(name, value);
  }
  return value;
}

/**
 * A function that runs `work` once nothing has called it for a while.
 *
 * @template {unknown[]} Given
 * @param {number} milliseconds
 * @param {(...given: Given) => void} work
 * @returns {(...given: Given) => void}
 */
export function settled(milliseconds, work) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), milliseconds);
  };
}

/**
 * Call `draw` where styles are others than before: in the dark, in daylight, and on paper, which is
 * white whatever the screen is.
 *
 * @param {() => void} draw
 */
export function onOtherStyles(draw) {
  const anew = () => {
    STYLES.clear();
    draw();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", anew);
  for (const when of ["beforeprint", "afterprint"]) {
    addEventListener(when, () => {
      document.documentElement.classList.toggle("paper", when === "beforeprint");
      anew();
    });
  }
}

/** Resolves when what was drawn is on the screen: what nobody sees yet can wait until then. */
export function painted() {
  return new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
}
