import assert from "node:assert/strict";
import { test } from "node:test";
import { meshOf, rasterOf } from "../../app/doors/pages/static/mesh.js";

/**
 * A grid of rows and columns, turned by an angle about its first cell.
 *
 * @param {number} rows
 * @param {number} columns
 * @param {number} degrees
 * @param {number} [west]
 * @param {number} [step]
 */
function turned(rows, columns, degrees, west = 10, step = 1) {
  const [sine, cosine] = [Math.sin, Math.cos].map((of) => of((degrees * Math.PI) / 180));
  const place = (/** @type {(column: number, row: number) => number} */ of) =>
    Float64Array.from({ length: rows * columns }, (_, cell) =>
      of(step * (cell % columns), step * Math.floor(cell / columns)),
    );
  const longitudes = place((x, y) => west + x * cosine - y * sine);
  return meshOf(
    longitudes.map((one) => one - 360 * Math.floor((one + 180) / 360)),
    place((x, y) => 20 + x * sine + y * cosine),
    columns,
  );
}

test("a grid that is not turned is one of rows and columns", () => {
  const mesh = turned(2, 3, 0);
  assert.deepEqual(mesh.whole, [9.5, 19.5, 12.5, 21.5]);
  const { index } = rasterOf(mesh, [9.5, 19.5, 12.5, 21.5], 6, 2);
  assert.deepEqual([...index], [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
});

test("the pixels of a turned grid are those of the nearest cells, without a gap between", () => {
  const mesh = turned(12, 20, 30);
  const { index } = rasterOf(mesh, mesh.whole, 200, 150);
  const [west, south, east, north] = mesh.whole;
  let inside = 0;
  for (const [pixel, cell] of index.entries()) {
    const x = west + (((pixel % 200) + 0.5) * (east - west)) / 200;
    const y = south + ((Math.floor(pixel / 200) + 0.5) * (north - south)) / 150;
    const away = (/** @type {number} */ at) =>
      Math.hypot(mesh.longitudes[at] - x, mesh.latitudes[at] - y);
    let nearest = 0;
    for (let at = 1; at < 240; at++) if (away(at) < away(nearest)) nearest = at;
    if (cell >= 0) {
      inside++;
      assert.ok(away(cell) < away(nearest) + 1e-9, `pixel ${pixel}`);
    } else assert.ok(away(nearest) > 0.49, `pixel ${pixel}`);
  }
  const area = (200 * 150 * 12 * 20) / ((east - west) * (north - south));
  assert.ok(Math.abs(inside - area) < area / 20);
});

test("a grid across the antimeridian is in one piece, wherever it is looked at", () => {
  const mesh = turned(3, 8, 0, 176);
  assert.deepEqual(mesh.whole, [175.5, 19.5, 183.5, 22.5]);
  for (const turn of [0, -360, 360]) {
    const { index } = rasterOf(mesh, [175.5 + turn, 19.5, 183.5 + turn, 22.5], 8, 3);
    assert.deepEqual([...index], [...index.keys()]);
  }
});

test("a grid around the Earth has no seam", () => {
  const mesh = turned(2, 72, 0, -177.5, 5);
  assert.ok(mesh.wraps);
  const { index } = rasterOf(mesh, [90, 20, 450, 21], 72, 1);
  assert.ok(index.every((cell) => cell >= 0));
  assert.equal(new Set(index).size, 72);
});

test("cells that are nowhere are left out, and their neighbours stay", () => {
  const { longitudes, latitudes } = turned(3, 3, 0);
  longitudes[4] = Number.NaN;
  const mesh = meshOf(longitudes, latitudes, 3);
  const { index } = rasterOf(mesh, [9.5, 19.5, 12.5, 22.5], 30, 30);
  assert.equal(index[15 * 30 + 15], -1);
  assert.deepEqual(
    [5, 15, 25].map((at) => index[5 * 30 + at]),
    [0, 1, 2],
  );
});
