/**
 * What a view costs before it is read, and how it is read where that is much: in pieces that grow
 * outward from what is looked at. What has come is kept, whatever comes then.
 *
 * @import { BinFile } from "./bin.js"
 * @import { Axis, Variable } from "./dataset.js"
 * @import { Slice } from "./queries.js"
 * @import { Query } from "./requests.js"
 * @import { Session } from "./session.js"
 * @typedef {Record<string, Slice>} Slices by dimension; of others one position is read
 * @typedef {object} Weight
 * @property {number} chunks that are decoded
 * @property {number} bytes of these
 * @property {boolean} refused whether that is more than one request may read
 * @typedef {object} Line Values along one dimension, as far as they are there.
 * @property {Query} query of all of it
 * @property {Variable} variable
 * @property {Axis} axis
 * @property {number} every so many positions have a value
 * @property {Float64Array} values NaN where nothing is known
 * @property {BinFile | null} file the answer with its first values
 * @property {Uint8Array} read 1 where a value has come
 */
import { learn } from "./dataset.js";
import { valuesOf } from "./queries.js";
import { Problem } from "./requests.js";

/** So many steps around the one that is looked at are an offer. */
export const NEAREST = 64;
const MUCH_BYTES = 2 ** 28;
const MUCH_CHUNKS = 2000;
// The server is not asked what less costs (`facts.py` knows it too).
const LITTLE_BYTES = 2 ** 26;
const LITTLE_CHUNKS = 256;
const PIECE_BYTES = 2 ** 25;
// A screen has not so many pixels.
const MOST_VALUES = 20_000;

/**
 * Whether people are asked before that is paid.
 *
 * @param {Weight} weight
 * @param {number} [times]
 */
export function isMuch({ chunks, bytes, refused }, times = 1) {
  return refused || chunks * times > MUCH_CHUNKS || bytes * times > MUCH_BYTES;
}

/**
 * The most that a view can read, by what the description says of chunks. It is `little` where that
 * is certain: where all that is read is described, whole chunks of it.
 *
 * @param {Variable} variable
 * @param {Slices} slices
 * @param {number} most bytes of chunks that one request may read
 * @param {number} [times] so many of them
 * @returns {Weight & { little: boolean }}
 */
export function boundOf(variable, slices, most, times = 1) {
  const chunks = touched(variable, slices).reduce((all, { count }) => all * count, 1);
  const bytes = chunks * chunkBytes(variable);
  const little = variable.described && bytes <= Math.min(LITTLE_BYTES / times, most);
  return {
    chunks,
    bytes,
    refused: bytes > most,
    little: little && chunks * times <= LITTLE_CHUNKS,
  };
}

/** @param {Variable} variable */
function chunkBytes({ chunks, dtype }) {
  return (chunks ?? []).reduce((all, one) => all * one, Number(/\d+$/.exec(dtype) ?? 64) / 8);
}

/**
 * Along each dimension: how many chunks a view has at most, and how many positions one of them has.
 *
 * @param {Variable} variable
 * @param {Slices} slices
 */
function touched({ dims, chunks }, slices) {
  return dims.map((name, at) => {
    const { start, stop, step } = slices[name] ?? { start: 0, stop: 1, step: 1 };
    const chunk = chunks?.[at] ?? 1;
    const between = Math.floor((stop - 1) / chunk) - Math.floor(start / chunk) + 1;
    // A window may go on where its axis begins, in one chunk more.
    const count = Math.min(between + Math.sign(start), Math.ceil((stop - start) / step));
    return { name, count, each: Math.max(step, chunk) };
  });
}

/**
 * Every so many positions of the dimension with most chunks, so that they are not much; null where
 * nothing can be left out.
 *
 * @param {Variable} variable
 * @param {Slices} slices
 * @param {Weight} weight of all of it
 * @param {number} most bytes of chunks that one request may read
 * @returns {Slices | null}
 */
export function sparse(variable, slices, { chunks, bytes }, most) {
  const [{ name, count, each }] = byCount(variable, slices);
  const ratio = Math.max(1, chunks / MUCH_CHUNKS, bytes / Math.min(MUCH_BYTES, most));
  const left = Math.floor(count / ratio);
  if (variable.chunks === null || left < 2) return null;
  return { ...slices, [name]: { ...slices[name], step: each * Math.ceil(count / left) } };
}

/**
 * @param {Variable} variable
 * @param {Slices} slices
 */
function byCount(variable, slices) {
  return touched(variable, slices)
    .filter(({ name }) => name in slices)
    .sort((one, other) => other.count - one.count);
}

/**
 * What the server says that answers cost; it reads nothing for that.
 *
 * @param {Session} session
 * @param {Query[]} queries
 * @param {AbortSignal} signal
 * @returns {Promise<Weight>}
 */
export async function explained({ requests, isel }, queries, signal) {
  const all = { chunks: 0, bytes: 0, refused: false };
  for (const query of queries) {
    const asked = /** @type {Query} */ ([...query, ["f", "bin"], ["explain", "true"]]);
    const told = await requests.json(isel, asked, { signal });
    // Of what is far too much it is not counted how often chunks are decoded.
    const chunks = told.decoded_chunks ?? told.chunks;
    all.chunks += chunks;
    all.bytes += (told.chunk_bytes / Math.max(1, told.chunks)) * chunks;
    all.refused ||= !told.within_limits;
  }
  return all;
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
 * What a line costs: by the description, where that is little for so many of them, else as the
 * server says.
 *
 * @param {Session} session
 * @param {Line} line
 * @param {number} times
 * @param {AbortSignal} signal
 * @returns {Promise<Weight>}
 */
export async function weigh(session, line, times, signal) {
  const all = wholeOf(line);
  const here = boundOf(line.variable, { [line.axis.name]: all }, session.most, times);
  return here.little ? here : explained(session, [pieceOf(line, all)], signal);
}

/**
 * @param {Line} line
 * @returns {Slice} all of it
 */
export function wholeOf({ axis, every }) {
  return { start: 0, stop: axis.size, step: every };
}

/**
 * The pieces of a line, from the one around a position outward, of about as many bytes each; they
 * begin where chunks do, so that no chunk is decoded for two of them.
 *
 * @param {Line} line
 * @param {Weight} weight
 * @param {number} most bytes of chunks that one request may read
 * @param {number} at
 * @param {number} [reach] so many steps on each side of it; all of them without it
 * @returns {Slice[]}
 */
export function piecesOf({ axis, variable, every }, { bytes }, most, at, reach = axis.size) {
  const [start, stop] = [Math.max(0, at - reach), Math.min(axis.size, at + reach)];
  const share = Math.min(PIECE_BYTES, most) / Math.max(1, bytes);
  const wanted = axis.size * Math.min(share, 1);
  const chunk = variable.chunks?.[variable.dims.indexOf(axis.name)] ?? 1;
  const length = wanted >= chunk ? Math.floor(wanted / chunk) * chunk : Math.max(1, wanted | 0);
  return outward({ start, stop, step: every }, length, at);
}

/**
 * A slice in pieces that begin at multiples of a length, the one around a position first.
 *
 * @param {Slice} slice
 * @param {number} length
 * @param {number} at
 */
function outward({ start: first, stop: last, step }, length, at) {
  const middle = Math.floor(at / length);
  const pieces = [];
  for (let away = 0; away * length < last + length; away++) {
    for (const index of away === 0 ? [middle] : [middle + away, middle - away]) {
      // Of every so many positions the same ones, wherever a piece begins.
      const begin = Math.ceil((Math.max(index * length, first) - first) / step) * step + first;
      const stop = Math.min((index + 1) * length, last);
      if (begin < stop) pieces.push({ start: begin, stop, step });
    }
  }
  return pieces;
}

/**
 * The pieces of a picture, of about as many bytes each: along the dimension with most chunks, and
 * where one chunk there is much by itself, along the other one too.
 *
 * @param {Variable} variable
 * @param {Slices} slices
 * @param {Weight} weight
 * @param {number} most bytes of chunks that one request may read
 * @param {Record<string, number>} at where they begin, by dimension
 * @returns {Slices[]}
 */
export function tilesOf(variable, slices, { bytes }, most, at) {
  let left = bytes;
  const [bands, parts] = byCount(variable, slices).map(({ name, each, count }) => {
    const share = Math.min(PIECE_BYTES, most) / Math.max(1, left);
    const length = Math.max(1, Math.floor(count * share)) * each;
    left /= Math.max(1, (count * each) / length);
    return outward(slices[name], length, at[name]).map((piece) => ({ [name]: piece }));
  });
  return bands.flatMap((band) => parts.map((part) => ({ ...band, ...part })));
}

/**
 * Read a piece of a line; what is there already costs nothing.
 *
 * @param {Session} session
 * @param {Line} line
 * @param {Slice} piece
 * @param {AbortSignal} signal
 */
export async function readPiece(session, line, piece, signal) {
  const { start, stop, step } = piece;
  const [from, to] = [start / step, Math.ceil(stop / step)];
  if (signal.aborted || !line.read.subarray(from, to).includes(0)) return;
  try {
    const file = await session.requests.bin(session.isel, pieceOf(line, piece), { signal });
    learn(line.axis, piece, file);
    line.file ??= file;
    line.values.set(valuesOf(file, line.variable.name), from);
    line.read.fill(1, from, to);
  } catch (error) {
    const tooLarge = error instanceof Problem && error.status === 413 && to - from > 1;
    if (!tooLarge) throw error;
    const half = ((from + to) >> 1) * step;
    await readPiece(session, line, { ...piece, stop: half }, signal);
    await readPiece(session, line, { ...piece, start: half }, signal);
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
