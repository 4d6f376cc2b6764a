/**
 * What a line of values costs before it is read, and how it is read where that is much: in pieces
 * that grow outward from the step that is looked at. What has come is kept, whatever comes then.
 *
 * @import { BinFile } from "./bin.js"
 * @import { Axis, Variable } from "./dataset.js"
 * @import { Slice } from "./queries.js"
 * @import { Query, Requests } from "./requests.js"
 * @typedef {{ chunks: number, bytes: number, refused: boolean }} Much `refused` says that it is more
 *   than one request may read
 * @typedef {object} Weight
 * @property {number} chunks that are decoded
 * @property {number} bytes of these
 * @property {boolean} much whether people are asked before that is paid
 * @property {number} most positions along the line that one request may have
 * @typedef {object} Line Values along one dimension, as far as they are there.
 * @property {Query} query of all of it
 * @property {Variable} variable
 * @property {Axis} axis
 * @property {number} every so many positions have a value
 * @property {Float64Array} values NaN where nothing is known
 * @property {BinFile | null} file the answer with its first values
 * @property {Uint8Array} read 1 where a value has come
 */
import { valuesOf } from "./queries.js";
import { Problem } from "./requests.js";

/** So many steps around the one that is looked at are an offer. */
export const NEAREST = 64;
const MUCH_BYTES = 2 ** 28;
const MUCH_CHUNKS = 2000;
const LITTLE_BYTES = 2 ** 24;
const LITTLE_CHUNKS = 100;
const PIECE_BYTES = 2 ** 25;
// A screen has not so many pixels.
const MOST_VALUES = 20_000;

/**
 * What a view along some dimensions reads, where that is much; and every so many positions of the one
 * with most chunks, so that it is not. Of chunks that are too large by themselves nothing is left out.
 *
 * @param {Variable} variable
 * @param {Record<string, Slice>} slices by dimension
 * @param {number} most bytes of chunks that one request may read
 * @returns {{ slices: Record<string, Slice>, much: Much | null }}
 */
export function affordable(variable, slices, most) {
  const { dims, chunks } = variable;
  const { each, counts, count, bytes } = readsOf(variable, slices);
  const factor = Math.ceil(Math.max(count / MUCH_CHUNKS, bytes / Math.min(MUCH_BYTES, most)));
  const at = counts.indexOf(Math.max(...counts));
  if (chunks === null || factor <= 1 || counts[at] <= factor) return { slices, much: null };
  const name = dims[at];
  const thin = { ...slices[name], step: each[at] * factor };
  return {
    slices: { ...slices, [name]: thin },
    much: { chunks: count, bytes, refused: bytes > most },
  };
}

/**
 * The chunks and the bytes of them that a view reads, by what the description says of them.
 *
 * @param {Variable} variable
 * @param {Record<string, Slice>} slices by dimension
 */
function readsOf({ dims, chunks, dtype }, slices) {
  const each = dims.map((name, at) => Math.max(slices[name]?.step ?? 1, chunks?.[at] ?? 1));
  const counts = dims.map((name, at) => {
    const { start, stop } = slices[name] ?? { start: 0, stop: 1 };
    return Math.ceil((stop - start) / each[at]);
  });
  const product = (/** @type {number[]} */ of, first = 1) =>
    of.reduce((all, one) => all * one, first);
  const count = product(counts);
  const bytes = product(chunks ?? [], (count * Number(/\d+$/.exec(dtype) ?? 8)) / 8);
  return { each, counts, count, bytes };
}

/**
 * @param {Query} query without the dimension that the line runs along
 * @param {Variable} variable
 * @param {Axis} axis
 * @returns {Line}
 */
export function emptyLine(query, variable, axis) {
  const every = Math.ceil(axis.size / MOST_VALUES);
  const count = Math.ceil(axis.size / every);
  const values = new Float64Array(count).fill(Number.NaN);
  return { query, variable, axis, every, values, file: null, read: new Uint8Array(count) };
}

/**
 * What the server says that a line costs; it reads nothing for that. What is little by all that is
 * known here it is not asked.
 *
 * @param {Requests} requests
 * @param {string} path
 * @param {Line} line
 * @param {AbortSignal} signal
 * @returns {Promise<Weight>}
 */
export async function weigh(requests, path, line, signal) {
  const all = { start: 0, stop: line.axis.size, step: line.every };
  const here = readsOf(line.variable, { [line.axis.name]: all });
  if (line.variable.chunks && here.bytes < LITTLE_BYTES && here.count < LITTLE_CHUNKS) {
    return { chunks: here.count, bytes: here.bytes, much: false, most: line.axis.size };
  }
  const asked = pieceOf(line, all);
  const query = /** @type {Query} */ ([...asked, ["f", "bin"], ["explain", "true"]]);
  const told = await requests.json(path, query, { signal });
  const chunks = told.decoded_chunks;
  const bytes = (told.chunk_bytes / Math.max(1, told.chunks)) * chunks;
  const much = !told.within_limits || bytes > MUCH_BYTES || chunks > MUCH_CHUNKS;
  const fits = told.excess?.dimension === line.axis.name ? told.excess.positions : null;
  return { chunks, bytes, much, most: fits ?? (told.within_limits ? Number.POSITIVE_INFINITY : 1) };
}

/**
 * The pieces of a line, from the one around a position outward, of about as many bytes each; they
 * begin where chunks do, so that no chunk is decoded for two of them.
 *
 * @param {Line} line
 * @param {Weight} weight
 * @param {number} at
 * @param {number} [reach] so many steps on each side of it; all of them without it
 * @returns {Slice[]}
 */
export function piecesOf({ axis, variable, every }, { bytes, most }, at, reach = axis.size) {
  const [first, last] = [Math.max(0, at - reach), Math.min(axis.size, at + reach)];
  const wanted = Math.min((axis.size * PIECE_BYTES) / Math.max(1, bytes), most, axis.size);
  const chunk = variable.chunks?.[variable.dims.indexOf(axis.name)] ?? 1;
  const length = wanted >= chunk ? Math.floor(wanted / chunk) * chunk : Math.max(1, wanted | 0);
  const middle = Math.floor(at / length);
  const pieces = [];
  for (let away = 0; away * length < axis.size + length; away++) {
    for (const index of away === 0 ? [middle] : [middle + away, middle - away]) {
      // Of every so many positions the same ones, wherever a piece begins.
      const start = Math.ceil(Math.max(index * length, first) / every) * every;
      const stop = Math.min((index + 1) * length, last);
      if (start < stop) pieces.push({ start, stop, step: every });
    }
  }
  return pieces;
}

/**
 * Read pieces of a line one after the other; those that are there already cost nothing.
 *
 * @param {Requests} requests
 * @param {string} path
 * @param {Line} line
 * @param {Slice[]} pieces
 * @param {AbortSignal} signal
 * @param {() => void} [onPiece]
 */
export async function readPieces(requests, path, line, pieces, signal, onPiece = () => {}) {
  const left = [...pieces];
  for (let piece = left.shift(); piece !== undefined && !signal.aborted; piece = left.shift()) {
    const { start, stop } = piece;
    const [from, to] = [start / line.every, Math.ceil(stop / line.every)];
    if (line.read.subarray(from, to).includes(0)) {
      try {
        const file = await requests.bin(path, pieceOf(line, piece), { signal });
        line.file ??= file;
        line.values.set(valuesOf(file, line.variable.name), from);
        line.read.fill(1, from, to);
      } catch (error) {
        const tooLarge = error instanceof Problem && error.status === 413 && to - from > 1;
        if (!tooLarge) throw error;
        const half = ((from + to) >> 1) * line.every;
        left.unshift({ ...piece, stop: half }, { ...piece, start: half });
      }
    }
    onPiece();
  }
}

/**
 * @param {Line} line
 * @param {Slice} slice
 * @returns {Query}
 */
function pieceOf({ query, axis }, { start, stop, step }) {
  if (start === 0 && stop === axis.size && step === 1) return query;
  return [...query, [`isel[${axis.name}]`, `${start}:${stop}:${step}`]];
}
