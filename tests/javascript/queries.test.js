import assert from "node:assert/strict";
import { test } from "node:test";
import { readDataset } from "../../app/doors/pages/static/dataset.js";
import {
  cellsAlong,
  fieldQuery,
  inRows,
  lineQuery,
  MOST_CELLS,
  parameter,
  partsOf,
  slicesOf,
  valuesOf,
} from "../../app/doors/pages/static/queries.js";
import { cellAt } from "../../app/doors/pages/static/raster.js";
import { axis, spaced, weather } from "./samples.js";

/** A field of a quarter of a degree's twentieth: too many cells for one picture. */
function large() {
  const dims = ["lat", "lon"];
  const told = {
    id: "large",
    dims: { lat: 3601, lon: 7200 },
    coords: {
      lat: {
        ...axis("lat", [90, 89.95], { role: "Y", attrs: { units: "degrees_north" } }),
        values: null,
        min: -90,
        max: 90,
        step: -0.05,
      },
      lon: {
        ...axis("lon", [0, 0.05], { role: "X", wraps: true, attrs: { units: "degrees_east" } }),
        values: null,
        min: 0,
        max: 359.95,
      },
    },
    data_vars: { t: { dims, dtype: "float32", attrs: {} } },
  };
  const { axes, variables } = readDataset(told);
  const [x, y, variable] = [axes.get("lon"), axes.get("lat"), variables.get("t")];
  assert.ok(x && y && variable);
  return { x, y, variable };
}

test("all of a small field, at positions of the rest", () => {
  const { axes, variables } = weather();
  const [x, y, variable] = [axes.get("longitude"), axes.get("latitude"), variables.get("t")];
  assert.ok(x && y && variable);
  const slices = slicesOf(x, y, null);
  const query = fieldQuery(variable, { longitude: slices.x, latitude: slices.y }, { time: 3 });
  assert.deepEqual(query, [
    ["variables", "t"],
    ["isel[time]", "3"],
    ["isel[level]", "0"],
    ["isel[latitude]", "0:73"],
    ["isel[longitude]", "0:144"],
  ]);
});

test("of a large field every so many cells, and all of those in a box", () => {
  const { x, y } = large();
  const all = slicesOf(x, y, null);
  assert.deepEqual([all.x.step, all.y.step], [4, 5]);
  const count = Math.ceil(7200 / all.x.step) * Math.ceil(3601 / all.y.step);
  assert.ok(count <= MOST_CELLS);
  const box = slicesOf(x, y, [10, 40, 20, 50]);
  assert.deepEqual(box.x, { start: 0, stop: 601, step: 1 });
  assert.deepEqual([box.y.step, box.y.stop - box.y.start], [1, 301]);
  assert.equal(cellsAlong(y, box.y).edges.length, 302);
  assert.ok(cellsAlong(y, box.y).flipped);
});

test("a box across the seam is a window of two parts", () => {
  const { x, y } = large();
  const seam = slicesOf(x, y, [-5, 40, 5, 50]);
  assert.deepEqual(seam.x, { start: 6900, stop: 7501, step: 1 });
  assert.equal(seam.y.step, 1);
  assert.deepEqual(partsOf(seam.x, x.size), [
    { start: 6900, stop: 7200, step: 1 },
    { start: 0, stop: 301, step: 1 },
  ]);
  assert.deepEqual(partsOf({ start: 5, stop: 14, step: 4 }, 10), [
    { start: 5, stop: 10, step: 4 },
    { start: 3, stop: 4, step: 4 },
  ]);
  const line = cellsAlong(x, seam.x);
  assert.deepEqual(
    [-5, 0, 5, 355, 20].map((at) => cellAt(line, at)),
    [200, 300, 400, 200, -1],
  );
  const west = slicesOf(x, y, [-30, 40, -20, 50]).x;
  assert.deepEqual([west.start, west.stop], [6400, 7001]);
});

test("a series along one dimension, a name that means an option in brackets", () => {
  const { variables } = weather();
  const variable = variables.get("t");
  assert.ok(variable);
  assert.deepEqual(lineQuery(variable, "time", { latitude: 7 }, "0:10").slice(1), [
    ["isel[time]", "0:10"],
    ["isel[level]", "0"],
    ["isel[latitude]", "7"],
    ["isel[longitude]", "0"],
  ]);
  assert.equal(parameter("range"), "sel[range]");
});

test("levels are values again, and missing ones are no numbers", () => {
  const told = { dims: ["x"], attrs: {}, scale: 0.5, offset: 10, missing: 255 };
  const data = new Uint8Array([0, 4, 255]);
  const file = {
    variables: { t: told },
    arrays: new Map([["t", { dtype: "U8", shape: [3], data }]]),
  };
  assert.deepEqual([...valuesOf(file, "t")], [10, 12, Number.NaN]);
  assert.throws(() => valuesOf(file, "u"), RangeError);
});

test("a variable that has its dimensions the other way is turned", () => {
  const values = new Float32Array([1, 2, 3, 4, 5, 6]);
  assert.deepEqual([...inRows(values, true, 3, 2)], [1, 3, 5, 2, 4, 6]);
  assert.equal(inRows(values, false, 3, 2), values);
  assert.deepEqual(spaced(1, 1, 2), [1, 2]);
});
