import assert from "node:assert/strict";
import { test } from "node:test";
import { Frame, MARGIN } from "../../app/doors/pages/static/frame.js";
import { cellsAlong, whole } from "../../app/doors/pages/static/queries.js";
import { weather } from "./samples.js";

/**
 * The frame of two dimensions of the sample.
 *
 * @param {string} x
 * @param {string} y
 */
function frame(x, y) {
  const { axes } = weather();
  const [across, along] = [axes.get(x), axes.get(y)];
  assert.ok(across && along);
  return new Frame(
    across,
    along,
    cellsAlong(across, whole(across)),
    cellsAlong(along, whole(along)),
  );
}

test("the whole Earth begins at the antimeridian, and degrees are squares", () => {
  const map = frame("longitude", "latitude");
  map.fit(720, 1000);
  assert.deepEqual([map.width, map.height], [720, 365]);
  assert.ok(map.isMap);
  assert.equal(map.box[0], -180);
  assert.equal(map.box[2], 180);
  map.look([0, 0, 10, 10]);
  const [x0, y0, x1, y1] = map.box;
  assert.equal(((x1 - x0) / map.width).toFixed(9), ((y1 - y0) / map.height).toFixed(9));
});

test("a place on the screen is the same place", () => {
  const map = frame("longitude", "latitude");
  map.fit(700, 400);
  map.look([-20, 30, 40, 70]);
  const [x, y] = map.placeAt(map.px(13.4), map.py(52.5));
  assert.equal(x.toFixed(6), "13.400000");
  assert.equal(y.toFixed(6), "52.500000");
});

test("pressure grows downward, time to the right", () => {
  const section = frame("time", "level");
  section.fit(700, 400);
  assert.ok(section.py(1000) > section.py(500));
  assert.equal(section.px(section.whole[0]), MARGIN.left);
});

test("a pan goes around the Earth, and not beyond a pole", () => {
  const map = frame("longitude", "latitude");
  map.fit(720, 1000);
  map.zoom(0.5, [0, 0]);
  for (let times = 0; times < 8; times++) map.pan(-300, -300);
  const [x0, y0, x1] = map.box;
  assert.equal((x1 - x0).toFixed(6), "180.000000");
  assert.ok((x0 + x1) / 2 >= -180 && (x0 + x1) / 2 < 180);
  assert.equal(y0.toFixed(6), map.whole[1].toFixed(6));
});

test("nothing zooms out beyond everything, and a zoom keeps its place", () => {
  const map = frame("longitude", "latitude");
  map.fit(720, 1000);
  map.zoom(3, [0, 0]);
  assert.deepEqual(map.box.map((one) => Number(one.toFixed(6))).slice(0, 1), [-180]);
  const before = map.px(40);
  map.zoom(0.5, [40, 20]);
  assert.equal(map.px(40).toFixed(6), before.toFixed(6));
});
