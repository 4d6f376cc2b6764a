/**
 * Arrays in one file behind a JSON header, as `f=bin` sends them (the container of safetensors):
 * eight bytes of length, the header, then the arrays, little-endian, rows first.
 *
 * @typedef {Float32Array | Float64Array | Int8Array | Uint8Array | Int16Array | Uint16Array
 *   | Int32Array | Uint32Array | BigInt64Array | BigUint64Array} Numbers
 * @typedef {{ dtype: string, shape: number[], data: Numbers }} BinArray
 * @typedef {object} Told What the header says of one variable.
 * @property {string[]} dims
 * @property {Record<string, unknown>} attrs
 * @property {number} [scale] of packed numbers: a level times this, and `offset`, is the value
 * @property {number} [offset]
 * @property {number} [missing]
 * @property {string} [units] of instants and durations, which are counts
 * @property {any} [data] the values of what is no numbers
 * @typedef {{ variables: Record<string, Told>, arrays: Map<string, BinArray> }} BinFile
 */

/**
 * By the header's names of types. Booleans are bytes of 0 and 1.
 *
 * @type {Map<string, any>}
 */
const KINDS = new Map(
  /** @type {[string, any][]} */ ([
    ["BOOL", Uint8Array],
    ["U8", Uint8Array],
    ["I8", Int8Array],
    ["U16", Uint16Array],
    ["I16", Int16Array],
    ["U32", Uint32Array],
    ["I32", Int32Array],
    ["F32", Float32Array],
    ["F64", Float64Array],
    ["I64", BigInt64Array],
    ["U64", BigUint64Array],
  ]),
);

/**
 * The arrays of a file, as views of its bytes wherever these are aligned.
 *
 * @param {ArrayBuffer} buffer
 * @returns {BinFile}
 * @throws {RangeError} for what is no such file
 */
export function parseBin(buffer) {
  if (buffer.byteLength < 8) throw new RangeError("a file of arrays has at least 8 bytes");
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const start = 8 + length;
  if (start > buffer.byteLength) throw new RangeError("the header is longer than the file");
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  /** @type {Map<string, BinArray>} */
  const arrays = new Map();
  for (const [name, { dtype, shape, data_offsets: ends }] of Object.entries(header)) {
    if (name === "__metadata__") continue;
    arrays.set(name, { dtype, shape, data: part(buffer, dtype, start + ends[0], start + ends[1]) });
  }
  const notes = JSON.parse(header.__metadata__?.dataset ?? "{}");
  return { variables: notes.variables ?? {}, arrays };
}

/**
 * @param {ArrayBuffer} buffer
 * @param {string} dtype
 * @param {number} from
 * @param {number} to
 * @returns {Numbers}
 */
function part(buffer, dtype, from, to) {
  const Kind = KINDS.get(dtype);
  if (Kind === undefined) throw new RangeError(`there are no arrays of ${dtype}`);
  if (to > buffer.byteLength) throw new RangeError("an array ends behind the file");
  if (from % Kind.BYTES_PER_ELEMENT !== 0) return new Kind(buffer.slice(from, to));
  return new Kind(buffer, from, (to - from) / Kind.BYTES_PER_ELEMENT);
}
