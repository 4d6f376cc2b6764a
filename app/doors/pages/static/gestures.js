/**
 * Pointers, wheel and keys over a canvas, as what they mean: pan, zoom, point, pick, cross.
 *
 * @typedef {object} Meaning In pixels of the canvas, from its left and top.
 * @property {(right: number, down: number) => void} onPan
 * @property {(factor: number, left: number, top: number) => void} onZoom
 * @property {(left: number, top: number) => void} onPoint
 * @property {(left: number, top: number) => void} onPick
 * @property {(right: number, down: number) => void} onCross the cross of the keyboard moves by steps
 * @property {(key: string) => boolean} onKey any other key; whether it means something
 */

const CLICK_PIXELS = 4;
const ARROWS = new Map([
  ["ArrowLeft", [-1, 0]],
  ["ArrowRight", [1, 0]],
  ["ArrowUp", [0, -1]],
  ["ArrowDown", [0, 1]],
]);
const SHIFTED = 10;

/**
 * @param {HTMLElement} canvas
 * @param {Meaning} meaning
 */
export function listenTo(canvas, meaning) {
  listenToPointers(canvas, meaning);
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      meaning.onZoom(1.0015 ** event.deltaY, ...within(canvas, event));
    },
    { passive: false },
  );
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const arrow = ARROWS.get(event.key);
    if (arrow !== undefined) {
      const far = event.shiftKey ? SHIFTED : 1;
      meaning.onCross(arrow[0] * far, arrow[1] * far);
    } else if (!meaning.onKey(event.key)) return;
    event.preventDefault();
  });
}

/**
 * One finger or the mouse pans, two fingers pinch; what hardly moved was a click.
 *
 * @param {HTMLElement} canvas
 * @param {Meaning} meaning
 */
function listenToPointers(canvas, meaning) {
  /** @type {Map<number, PointerEvent>} */
  const down = new Map();
  let moved = 0;
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, event);
    moved = down.size > 1 ? CLICK_PIXELS + 1 : 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = down.get(event.pointerId);
    if (before === undefined) {
      meaning.onPoint(...within(canvas, event));
      return;
    }
    const [right, below] = [event.clientX - before.clientX, event.clientY - before.clientY];
    moved += Math.hypot(right, below);
    const other = [...down.values()].find((one) => one.pointerId !== event.pointerId);
    down.set(event.pointerId, event);
    if (other !== undefined) {
      meaning.onZoom(apart(before, other) / apart(event, other), ...within(canvas, other));
    } else if (moved > CLICK_PIXELS) meaning.onPan(right, below);
  });
  const release = (/** @type {PointerEvent} */ event) => {
    const mine = down.delete(event.pointerId);
    if (mine && event.type === "pointerup" && moved <= CLICK_PIXELS) {
      meaning.onPick(...within(canvas, event));
    }
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
}

/**
 * @param {MouseEvent} one
 * @param {MouseEvent} other
 */
function apart(one, other) {
  return Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY) || 1;
}

/**
 * @param {HTMLElement} canvas
 * @param {MouseEvent} event
 * @returns {[number, number]}
 */
function within(canvas, { clientX, clientY }) {
  const { left, top } = canvas.getBoundingClientRect();
  return [clientX - left, clientY - top];
}
