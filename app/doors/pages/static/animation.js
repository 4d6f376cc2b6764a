/**
 * Plays a picture along a dimension: frame after frame, none left out. Frames are fetched ahead of
 * what is shown, and some behind it are kept, as far as memory is allowed; where one is not there
 * yet, the picture waits for it and says so.
 *
 * @typedef {object} Film
 * @property {number} size how many frames there are
 * @property {number} bytes of one frame
 * @property {number} position of the frame that is shown already
 * @property {(position: number, signal: AbortSignal) => Promise<Uint8Array>} read
 * @property {(position: number, levels: Uint8Array) => void} show
 * @property {(position: number) => void} end it stopped at this frame
 */
import { button, el } from "./dom.js";
import { errorText } from "./requests.js";

const MOST_BYTES = 64 * 2 ** 20;
const AT_ONCE = 3;
const BEHIND = 0.25;
const [SLOWEST, USUAL, FASTEST] = [1, 5, 15];

export class Player {
  /** @type {Film | null} */
  #film = null;
  /** @type {Map<number, Uint8Array | null>} frames; null for those on their way */
  #frames = new Map();
  #stopping = new AbortController();
  #position = 0;
  #due = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {() => Promise<Film | null>} start what there is to play; null for nothing */
  constructor(start) {
    this.start = start;
    this.button = button("▶ Play", () => this.toggle());
    this.speed = el("input", {
      type: "range",
      min: SLOWEST,
      max: FASTEST,
      value: USUAL,
      "aria-label": "Frames per second",
      oninput: () => this.#tellSpeed(),
    });
    this.rate = el("span", { class: "rate" });
    this.told = el("span", { class: "waits" });
    this.element = el("div", { class: "player" }, this.button, this.speed, this.rate, this.told);
    this.#tellSpeed();
  }

  get playing() {
    return this.#film !== null;
  }

  /** @returns {number} the frame that is shown */
  get position() {
    return this.#position;
  }

  /** Whoever wants no motion on the screen gets none. */
  static get allowed() {
    return !matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  /** Play, or stop where it plays. */
  async toggle() {
    if (this.#film !== null) return this.stop();
    const film = Player.allowed ? await this.start() : null;
    if (film === null || this.#film !== null) return;
    this.#film = film;
    this.#position = film.position;
    this.#stopping = new AbortController();
    this.button.textContent = "‖ Pause";
    this.#due = performance.now();
    this.#wait();
  }

  /** @param {string} [words] why */
  stop(words = "") {
    const film = this.#film;
    if (film === null) return;
    this.#film = null;
    this.#stopping.abort();
    clearTimeout(this.#timer);
    this.#frames.clear();
    this.button.textContent = "▶ Play";
    this.#say(words);
    film.end(this.#position);
  }

  #tellSpeed() {
    this.rate.textContent = `${this.speed.value} frames/s`;
    this.speed.setAttribute("aria-valuetext", this.rate.textContent);
  }

  /** @param {string} words */
  #say(words) {
    this.told.textContent = words;
    this.element.dataset.state = words === "" ? "" : "waiting";
  }

  /** The next frame when its time has come; at once where that is over. */
  #wait() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#next(), Math.max(this.#due - performance.now(), 0));
    this.#fetch();
  }

  #next() {
    const film = this.#film;
    if (film === null) return;
    const next = (this.#position + 1) % film.size;
    const levels = this.#frames.get(next);
    if (!levels) {
      this.#say("Waiting for the next frame …");
      return;
    }
    this.#say("");
    this.#position = next;
    const now = performance.now();
    const apart = 1000 / Number(this.speed.value);
    this.#due = Math.max(this.#due + apart, now + apart / 2);
    film.show(next, levels);
    this.element.dataset.frame = String(next);
    if (this.#film === film) this.#wait();
  }

  /** Ask for frames that are not there, the next ones first, and forget those that are far away. */
  #fetch() {
    const film = this.#film;
    if (film === null) return;
    const { size } = film;
    const kept = Math.min(Math.max(Math.floor(MOST_BYTES / film.bytes), 2), size);
    const behind = Math.floor((kept - 1) * BEHIND);
    for (const at of this.#frames.keys()) {
      const ahead = (at - this.#position + size) % size;
      if (ahead >= kept - behind && ahead < size - behind) this.#frames.delete(at);
    }
    let running = [...this.#frames.values()].filter((one) => one === null).length;
    for (let ahead = 1; ahead < kept - behind && running < AT_ONCE; ahead++) {
      const at = (this.#position + ahead) % size;
      if (this.#frames.has(at)) continue;
      running++;
      this.#frames.set(at, null);
      this.#read(film, at);
    }
  }

  /**
   * @param {Film} film
   * @param {number} at
   */
  async #read(film, at) {
    try {
      const levels = await film.read(at, this.#stopping.signal);
      if (this.#film !== film) return;
      this.#frames.set(at, levels);
      if (this.element.dataset.state === "waiting") this.#wait();
      else this.#fetch();
    } catch (error) {
      if (this.#film === film) this.stop(errorText(error));
    }
  }
}
