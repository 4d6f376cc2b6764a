import assert from "node:assert/strict";
import { test } from "node:test";
import { parseBin } from "../../app/doors/pages/static/bin.js";

/**
 * A file of arrays: a header of any JSON, then the bytes.
 *
 * @param {object} header
 * @param {Uint8Array[]} parts
 */
function file(header, ...parts) {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const padded = Math.ceil(text.length / 8) * 8;
  const length = parts.reduce((sum, one) => sum + one.length, 0);
  const whole = new Uint8Array(8 + padded + length);
  new DataView(whole.buffer).setBigUint64(0, BigInt(padded), true);
  whole.fill(32, 8, 8 + padded);
  whole.set(text, 8);
  let at = 8 + padded;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole.buffer;
}

test("arrays are views of the file, with what is told of their variables", () => {
  const told = { variables: { t: { dims: ["x"], attrs: { units: "K" }, scale: 0.5, offset: 1 } } };
  const times = new BigInt64Array([0n, 3600n]);
  const values = new Uint8Array([0, 255]);
  const buffer = file(
    {
      __metadata__: { dataset: JSON.stringify(told) },
      x: { dtype: "I64", shape: [2], data_offsets: [0, 16] },
      t: { dtype: "U8", shape: [2], data_offsets: [16, 18] },
    },
    new Uint8Array(times.buffer),
    values,
  );
  const { arrays, variables } = parseBin(buffer);
  assert.deepEqual([...arrays.keys()], ["x", "t"]);
  assert.deepEqual(arrays.get("x")?.data, times);
  assert.deepEqual(arrays.get("t"), { dtype: "U8", shape: [2], data: values });
  assert.equal(arrays.get("t")?.data.buffer, buffer);
  assert.deepEqual(variables, told.variables);
});

test("an array that is not aligned is copied", () => {
  const floats = new Uint8Array(new Float32Array([1.5]).buffer);
  const header = { a: { dtype: "F32", shape: [1], data_offsets: [1, 5] } };
  const { arrays } = parseBin(file(header, new Uint8Array([9]), floats));
  assert.deepEqual(arrays.get("a")?.data, new Float32Array([1.5]));
});

test("what is no such file is refused", () => {
  assert.throws(() => parseBin(new ArrayBuffer(4)), RangeError);
  const short = file({ a: { dtype: "F32", shape: [2], data_offsets: [0, 8] } });
  assert.throws(() => parseBin(short), /ends behind the file/);
  const odd = file({ a: { dtype: "C64", shape: [], data_offsets: [0, 0] } });
  assert.throws(() => parseBin(odd), /no arrays of C64/);
  const long = new BigUint64Array([1n << 40n]).buffer;
  assert.throws(() => parseBin(long), /longer than the file/);
});
