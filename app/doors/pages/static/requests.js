/**
 * What the page asks of the server: JSON and arrays, with a key where there is one, with progress,
 * and broken off by whoever wants something newer.
 *
 * @import { BinFile } from "./bin.js"
 * @typedef {[string, string][]} Query
 * @typedef {(received: number, whole: number) => void} OnProgress `whole` is NaN where it is not known
 * @typedef {{ signal?: AbortSignal, onProgress?: OnProgress }} Options
 */
import { parseBin } from "./bin.js";

const KEY = "sluice-key";

/** An answer that is an error, in the words of the server. */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {Record<string, any>} told the problem document (RFC 9457)
   */
  constructor(status, told) {
    super(told.detail ?? told.title ?? `The server answered ${status}.`);
    this.name = "Problem";
    this.status = status;
    this.told = told;
  }
}

/** @param {unknown} error */
export function errorText(error) {
  return error instanceof Error ? error.message : String(error);
}

/** The way to one service. */
export class Requests {
  /** @param {string} root an absolute address that ends with a slash */
  constructor(root) {
    this.root = root;
  }

  /**
   * The address of a path below the root. Values keep the signs of Sluice's grammar.
   *
   * @param {string} path
   * @param {Query} [query]
   */
  url(path, query = []) {
    const pairs = query.map(([name, value]) => `${encoded(name)}=${encoded(value)}`);
    return `${this.root}${path}${pairs.length > 0 ? `?${pairs.join("&")}` : ""}`;
  }

  /**
   * @param {string} path
   * @param {Query} [query]
   * @param {Options} [options]
   * @returns {Promise<any>}
   */
  async json(path, query = [], options = {}) {
    const answer = await this.ask(path, query, "application/json", options.signal);
    return answer.json();
  }

  /**
   * @param {string} path
   * @param {Query} query without a format
   * @param {Options} [options]
   * @returns {Promise<BinFile>}
   */
  async bin(path, query, options = {}) {
    const whole = /** @type {Query} */ ([...query, ["f", "bin"]]);
    const answer = await this.ask(path, whole, "*/*", options.signal);
    return parseBin(await received(answer, options.onProgress));
  }

  /**
   * A page of the service, as a document.
   *
   * @param {string} address
   */
  async page(address) {
    const answer = await fetch(address, { headers: { Accept: "text/html", ...keyHeader() } });
    const text = await answer.text();
    return { ok: answer.ok, status: answer.status, page: parsed(text) };
  }

  /**
   * @param {string} path
   * @param {Query} query
   * @param {string} accept
   * @param {AbortSignal} [signal]
   */
  async ask(path, query, accept, signal) {
    const headers = { Accept: accept, ...keyHeader() };
    const answer = await fetch(this.url(path, query), { headers, signal: signal ?? null });
    if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => ({})));
    return answer;
  }
}

/** @param {string} text */
function parsed(text) {
  return new DOMParser().parseFromString(text, "text/html");
}

/**
 * Percent-encoded, but for the signs of Sluice's grammar.
 *
 * @param {string} text
 */
export function encoded(text) {
  return encodeURIComponent(text).replace(/%(2C|3A|2F)/g, decodeURIComponent);
}

/**
 * The header with the key of this browser's tab; a key is in no address, ever.
 *
 * @returns {Record<string, string>}
 */
export function keyHeader() {
  const key = storedKey();
  return key === null ? {} : { "X-API-Key": key };
}

/** @returns {string | null} */
export function storedKey() {
  return sessionStorage.getItem(KEY);
}

/** @param {string | null} key null forgets it */
export function storeKey(key) {
  if (key === null) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, key);
}

/**
 * A number of bytes for people.
 *
 * @param {number} bytes
 */
export function bytesText(bytes) {
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), 4);
  const count = bytes / 1000 ** power;
  return `${count.toFixed(power > 0 && count < 10 ? 1 : 0)} ${["B", "kB", "MB", "GB", "TB"][power]}`;
}

/**
 * The whole body, of which `onProgress` is told how many bytes have come.
 *
 * @param {Response} answer
 * @param {OnProgress} [onProgress]
 * @returns {Promise<ArrayBuffer>}
 */
export async function received(answer, onProgress) {
  if (onProgress === undefined || answer.body === null) return answer.arrayBuffer();
  const { headers } = answer;
  const length = headers.has("Content-Encoding") ? null : headers.get("Content-Length");
  let came = 0;
  const counter = new TransformStream({
    transform(part, out) {
      came += part.length;
      onProgress(came, Number(length ?? Number.NaN));
      out.enqueue(part);
    },
  });
  return new Response(answer.body.pipeThrough(counter)).arrayBuffer();
}

/**
 * Runs work of one kind, of which the newest alone counts: what is older is aborted, and gives
 * undefined, as does what was cancelled.
 */
export class Latest {
  /** @type {AbortController | null} */
  #running = null;

  /**
   * @template T
   * @param {(signal: AbortSignal) => Promise<T>} work
   * @returns {Promise<T | undefined>}
   */
  async run(work) {
    this.cancel();
    const mine = new AbortController();
    this.#running = mine;
    try {
      const made = await work(mine.signal);
      return mine.signal.aborted ? undefined : made;
    } catch (error) {
      if (mine.signal.aborted) return undefined;
      throw error;
    } finally {
      if (this.#running === mine) this.#running = null;
    }
  }

  cancel() {
    this.#running?.abort();
    this.#running = null;
  }
}
