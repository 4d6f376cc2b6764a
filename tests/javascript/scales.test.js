import assert from "node:assert/strict";
import { test } from "node:test";
import {
  COLOURS,
  colourTable,
  histogram,
  LEVELS,
  levelsOf,
  MISSING,
  quantise,
  scaleOf,
  summaryOf,
  usualRange,
} from "../../app/doors/pages/static/scales.js";
import { CMAPS } from "../../app/doors/pages/static/state.js";

const NAN = Number.NaN;
const EACH = Array.from({ length: 255 }, () => 1);
for (const name of CMAPS)
  COLOURS[name] = [
    [0, ...EACH],
    [255, ...EACH.map((one) => -one)],
    [7, ...EACH.map(() => 0)],
  ];

test("the ends of a range are the first and the last level, and what lies beyond is taken for them", () => {
  const levels = quantise([0, 10, -1, 11, 5, NAN], levelsOf({ low: 0, high: 10 }, "linear"));
  assert.deepEqual([...levels], [0, LEVELS - 1, 0, LEVELS - 1, 127, MISSING]);
  assert.deepEqual(
    [...quantise([Infinity, -Infinity], levelsOf({ low: 0, high: 1 }, "linear"))],
    [254, 0],
  );
});

test("on a scale of logarithms, what is not above zero is missing", () => {
  const levels = quantise([1, 100, 10, 0, -1, NAN], levelsOf({ low: 1, high: 100 }, "log"));
  assert.deepEqual([...levels], [0, 254, 127, MISSING, MISSING, MISSING]);
});

test("a range without a width has two colours", () => {
  assert.deepEqual([...quantise([1, 2, 3], levelsOf({ low: 2, high: 2 }, "linear"))], [0, 0, 254]);
});

test("each map has 255 opaque colours, and nothing for what is missing", () => {
  for (const name of CMAPS) {
    const table = colourTable(name, false);
    assert.equal(table.length, 256);
    assert.ok(table.subarray(0, LEVELS).every((colour) => colour >>> 24 === 255));
    assert.equal(table[MISSING], 0);
    const reversed = colourTable(name, true);
    assert.equal(reversed[0], table[LEVELS - 1]);
    assert.equal(reversed[LEVELS - 1], table[0]);
  }
  const [first] = colourTable("viridis", false);
  assert.deepEqual([first & 255, (first >> 8) & 255, (first >> 16) & 255], [0, 255, 7]);
});

test("the usual range leaves two percent out at each end", () => {
  const values = Float64Array.from({ length: 101 }, (_, at) => at);
  assert.deepEqual(usualRange(values, "linear"), { low: 2, high: 98 });
  const around = Float64Array.from({ length: 101 }, (_, at) => at - 25);
  assert.deepEqual(usualRange(around, "symmetric"), { low: -73, high: 73 });
  assert.deepEqual(usualRange([0, -1, 1, 10], "log"), { low: 1, high: 10 });
  assert.equal(usualRange([NAN, Infinity], "linear"), null);
  assert.equal(usualRange([-1], "log"), null);
});

test("one value among others, and one value alone, have a range", () => {
  const beacon = new Float32Array(1000);
  beacon[7] = 5;
  assert.deepEqual(usualRange(beacon, "linear"), { low: 0, high: 5 });
  assert.deepEqual(usualRange([4, 4], "linear"), { low: 3.96, high: 4.04 });
  assert.deepEqual(usualRange([0], "linear"), { low: -1, high: 1 });
});

test("a share and its value are each other's", () => {
  for (const scaling of /** @type {const} */ (["linear", "log"])) {
    const { share, value } = scaleOf({ low: 1, high: 100 }, scaling);
    assert.equal(share(value(0.25)).toFixed(9), "0.250000000");
  }
});

test("missing values are counted, zero between values is noticed", () => {
  const told = summaryOf([NAN, -2, 3, NAN]);
  assert.deepEqual(told, { count: 4, missing: 2, low: -2, high: 3, top: 2, crossesZero: true });
});

test("a histogram counts each value once, the last one in the last part", () => {
  assert.deepEqual(
    [...histogram([0, 1, 5, 10, 11, NAN], { low: 0, high: 10 }, 5)],
    [2, 0, 1, 0, 1],
  );
});
