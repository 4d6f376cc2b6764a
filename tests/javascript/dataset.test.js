import assert from "node:assert/strict";
import { test } from "node:test";
import {
  coordinateAt,
  labelAt,
  nearest,
  positionOf,
  readDataset,
} from "../../app/doors/pages/static/dataset.js";
import { durationOf, labelOf, readable } from "../../app/doors/pages/static/times.js";
import { axis, spaced, weather } from "./samples.js";

/**
 * The one axis of a dataset of one dimension.
 *
 * @param {number} size
 * @param {any} coord
 */
function only(size, coord) {
  const told = {
    id: "a",
    dims: { n: size },
    coords: { n: { ...coord, dims: ["n"] } },
    data_vars: {},
  };
  return /** @type {import("../../app/doors/pages/static/dataset.js").Axis} */ (
    readDataset(told).axes.get("n")
  );
}

const LONG_TIMES = {
  ...axis("n", [], { role: "T", calendar: "proleptic_gregorian", values: null }),
  dtype: "datetime64[ns]",
  min: "2000-01-01T00:00:00Z",
  max: "2114-01-29T15:00:00Z",
  step: "PT1H",
  ascending: true,
};

test("a label has one position, however it is spelled", () => {
  const { axes } = weather();
  const time = axes.get("time");
  assert.ok(time);
  for (const label of ["2024-01-01T06:00:00Z", "2024-01-01T06:00Z", "2024-01-01T07:00+01:00"]) {
    assert.equal(positionOf(time, label), 6, label);
  }
  assert.equal(positionOf(time, "2024-01-02"), 24);
  assert.equal(positionOf(time, "2024-01-01T06:30Z"), -1);
  assert.equal(positionOf(time, "nearest::2024"), -1);
  const level = axes.get("level");
  assert.ok(level);
  assert.equal(positionOf(level, "850"), 1);
  assert.equal(positionOf(level, "851"), -1);
  assert.equal(positionOf(level, ""), -1);
});

test("labels of a long axis come from its first one and its step", () => {
  const time = only(1_000_000, LONG_TIMES);
  assert.equal(labelAt(time, 999_999), "2114-01-29T15:00:00Z");
  assert.equal(positionOf(time, "2024-02-29T12:00Z"), 211_812);
  assert.equal(labelAt(time, 211_812), "2024-02-29T12:00:00Z");
  assert.equal(nearest(time, Date.UTC(2024, 1, 29, 12, 20)), 211_812);
  const depth = only(5000, { ...axis("n", [0, 0.1], {}), values: null, min: 0, max: 499.9 });
  assert.equal(labelAt(depth, 3), 0.3);
  assert.equal(positionOf(depth, "0.3"), 3);
});

test("a long axis without a step is known to the server alone", () => {
  const odd = only(5000, { ...axis("n", [0, 1], {}), values: null, step: null });
  assert.equal(labelAt(odd, 7), null);
  assert.equal(positionOf(odd, "7"), -1);
});

test("the nearest cell is found around the Earth, and on any order of labels", () => {
  const { axes } = weather();
  const longitude = axes.get("longitude");
  assert.ok(longitude);
  assert.equal(nearest(longitude, -0.9), 0);
  assert.equal(nearest(longitude, 359.5), 0);
  assert.equal(nearest(longitude, -13.4), 139);
  const latitude = axes.get("latitude");
  assert.ok(latitude);
  assert.equal(nearest(latitude, 52.4), 15);
  const level = axes.get("level");
  assert.ok(level?.down);
});

test("dates of other calendars are as they are written", () => {
  const values = ["2000-02-29T00:00:00", "2000-02-30T00:00:00"];
  const time = only(2, { ...LONG_TIMES, calendar: "360_day", step: "P1D", values });
  assert.equal(labelAt(time, 1), "2000-02-30T00:00:00");
  assert.equal(positionOf(time, "2000-02-30T00:00:00"), 1);
  assert.equal(coordinateAt(time, 1), 1);
  assert.equal(readable("2000-02-30T00:00:00"), "2000-02-30");
});

test("text and no labels at all are axes too", () => {
  const text = only(2, { ...axis("n", [], { values: ["a", "b"] }), dtype: "string", step: null });
  assert.equal(positionOf(text, "b"), 1);
  const bare = readDataset({ id: "a", dims: { n: 3 }, coords: {}, data_vars: {} }).axes.get("n");
  assert.ok(bare);
  assert.equal(labelAt(bare, 2), 2);
  assert.equal(positionOf(bare, "2"), 2);
  assert.equal(positionOf(bare, "3"), -1);
});

test("durations and instants", () => {
  assert.equal(durationOf("PT1H"), 3_600_000);
  assert.equal(durationOf("-P1DT12H"), -129_600_000);
  assert.ok(Number.isNaN(durationOf("P1M")));
  assert.equal(labelOf(1500), "1970-01-01T00:00:01.500Z");
  assert.equal(readable("2024-01-01T06:00:00Z"), "2024-01-01 06:00 UTC");
  assert.equal(readable("2024-07-01T06:00:00Z", "Europe/Berlin").slice(0, 16), "2024-07-01 08:00");
  assert.deepEqual(spaced(0, 1, 2), [0, 1]);
});

test("texts in degrees are no places on the Earth", () => {
  const texts = {
    ...axis("n", [], { role: "X", values: ["a", "b"] }),
    dtype: "<U1",
    attrs: { units: "degrees" },
  };
  assert.equal(only(2, texts).geographic, false);
  assert.equal(only(2, { ...texts, dtype: "float32" }).geographic, true);
});
