import assert from "node:assert/strict";
import { test } from "node:test";
import { cellAt, cellsOf, levelled, lineOf, paint } from "../../app/doors/pages/static/raster.js";
import { levelsOf, MISSING, quantise } from "../../app/doors/pages/static/scales.js";

/** @typedef {import("../../app/doors/pages/static/raster.js").Line} Line */

/**
 * @param {number} from
 * @param {number} step
 * @param {number} count
 */
function spaced(from, step, count) {
  return Float64Array.from({ length: count }, (_, at) => from + at * step);
}

/**
 * @param {ArrayLike<number>} centres
 * @param {boolean} [wraps]
 * @returns {Line}
 */
function line(centres, wraps) {
  const found = lineOf(centres, wraps);
  assert.ok(found);
  return found;
}

test("cells end half-way to their neighbours, the outer ones as far out", () => {
  assert.deepEqual([...line([0, 1, 3]).edges], [-0.5, 0.5, 2, 4]);
  assert.deepEqual([...line([7]).edges], [6.5, 7.5]);
});

test("descending axes are flipped, those without an order refused", () => {
  const down = line([3, 1, 0]);
  assert.deepEqual([...down.edges], [-0.5, 0.5, 2, 4]);
  assert.equal(cellAt(down, 3), 0);
  assert.equal(cellAt(down, -0.4), 2);
  assert.equal(lineOf([0, 2, 1]), null);
  assert.equal(lineOf([0, 0]), null);
  assert.equal(lineOf([0, Number.NaN, 2]), null);
});

test("outside of all cells there is none, and around the Earth there always is one", () => {
  assert.equal(cellAt(line([0, 1]), 1.5), -1);
  assert.equal(cellAt(line([0, 1]), -0.6), -1);
  const around = line(spaced(0, 2.5, 144), true);
  assert.equal(cellAt(around, -0.1), 0);
  assert.equal(cellAt(around, 359), 0);
  assert.equal(cellAt(around, -180), 72);
  assert.equal(cellAt(around, 180 + 720), 72);
});

test("two ways to count longitudes show the same cells, pixel for pixel", () => {
  for (const pixels of [720, 1000, 1187]) {
    for (const step of [2.5, 1, 0.25, 5]) {
      const count = 360 / step;
      const east = cellsOf(line(spaced(0, step, count), true), -180, 180, pixels);
      const west = cellsOf(line(spaced(-180, step, count), true), -180, 180, pixels);
      const turned = west.map((cell) => (cell + count / 2) % count);
      assert.deepEqual(east, turned, `${pixels} pixels of ${step} degrees`);
    }
  }
});

test("north first and south first show the same rows", () => {
  const [north, south] = [line(spaced(90, -2.5, 73)), line(spaced(-90, 2.5, 73))];
  const rows = cellsOf(north, 91.25, -91.25, 401);
  const mirrored = cellsOf(south, 91.25, -91.25, 401).map((cell) => 72 - cell);
  assert.deepEqual(rows, mirrored);
  assert.equal(rows[0], 0);
});

test("panned across the seam no column is left out", () => {
  const around = line(spaced(0, 2.5, 144), true);
  const cells = cellsOf(around, 90, 270, 72);
  assert.deepEqual([...cells], [...spaced(37, 1, 72)]);
});

test("a picture is painted from its tables", () => {
  const table = new Uint32Array(256);
  table[1] = 11;
  table[2] = 22;
  const words = new Uint32Array(6).fill(99);
  /** @type {import("../../app/doors/pages/static/raster.js").Picture} */
  const picture = {
    values: new Uint8Array([1, 2, MISSING, 1]),
    levels: null,
    across: 2,
    rows: new Int32Array([1, -1]),
    columns: new Int32Array([0, 1, -1]),
    table,
    checkers: [7, 8],
  };
  const made = new Uint16Array(6);
  levelled(picture, made);
  paint(picture, made, words);
  assert.deepEqual([...words], [7, 11, 0, 0, 0, 0]);
});

test("floats have the levels that each of them has", () => {
  const levels = levelsOf({ low: -1, high: 3 }, "linear");
  const values = Float32Array.from({ length: 99 }, (_, at) =>
    at === 50 ? Number.NaN : at / 16 - 2,
  );
  const columns = Int32Array.from(values.keys());
  const rows = new Int32Array([0, 0]);
  const shown = { values, levels, across: 99, rows, columns, table: new Uint32Array(256) };
  const made = new Uint16Array(198);
  levelled({ ...shown, checkers: [0, 0] }, made);
  const wanted = [...quantise(values, levels)];
  assert.deepEqual([...made], [...wanted, ...wanted]);
});
