import assert from "node:assert/strict";
import { test } from "node:test";
import { readState, writeState } from "../../app/doors/pages/static/state.js";
import { weather } from "./samples.js";

const WHOLE =
  "?_var=t&time=2024-01-01T06:00Z&level=850&_box=-20,30,40,70&_cmap=magma" +
  "&_reverse=true&_scale=log&_range=250,310&_at=13.4,52.5&_at=0,0&_tz=Europe/Berlin";

test("an address is read and written without a change", () => {
  const { state, notices } = readState(WHOLE, weather());
  assert.deepEqual(notices, []);
  assert.equal(writeState(state, weather()), WHOLE);
  assert.equal(state.x, "longitude");
  assert.equal(state.y, "latitude");
  assert.deepEqual(state.fixed, { time: "2024-01-01T06:00Z", level: "850" });
  assert.deepEqual(state.box, [-20, 30, 40, 70]);
  assert.deepEqual(state.points, [
    [13.4, 52.5],
    [0, 0],
  ]);
});

test("without an address there is a map of what has the most dimensions", () => {
  const { state, notices } = readState("", weather());
  assert.deepEqual([state.variable, state.x, state.y], ["t", "longitude", "latitude"]);
  assert.deepEqual(notices, []);
  assert.equal(writeState(state, weather()), "?_var=t");
});

test("any two dimensions are a view, and a view of its own address", () => {
  const { state } = readState("?_x=time&_y=latitude&longitude=nearest::13", weather());
  assert.deepEqual([state.x, state.y], ["time", "latitude"]);
  assert.deepEqual(state.fixed, { longitude: "nearest::13" });
  assert.equal(writeState(state, weather()), "?_var=t&longitude=nearest::13&_x=time");
});

test("a bad value is a notice, and the usual one in its place", () => {
  const bad = "?_var=no&_x=depth&_box=1,2&_cmap=jet&_range=5,1&_at=here&_tz=Mars/Base&foo=1";
  const { state, notices } = readState(bad, weather());
  assert.equal(notices.length, 8);
  assert.equal(state.cmap, "viridis");
  assert.equal(state.range, null);
  assert.equal(state.zone, "UTC");
  assert.equal(writeState(state, weather()), "?_var=t");
});

test("a dimension may have any name, also one that the page would take for its own", () => {
  const dataset = weather({ _x: 4, "a b&c": 2 });
  const { state } = readState("?_var=odd&_y=&__x=3&a%20b%26c=1", dataset);
  assert.deepEqual(state.fixed, { _x: "3", "a b&c": "1" });
  assert.match(writeState(state, dataset), /&__x=3&a%20b%26c=1/);
});

test("two axes are never the same dimension", () => {
  const { state } = readState("?_x=latitude", weather());
  assert.equal(state.x, "latitude");
  assert.notEqual(state.y, "latitude");
});

test("no more points than can be told apart", () => {
  const { state, notices } = readState(`?${"_at=1,2&".repeat(6)}`, weather());
  assert.equal(state.points.length, 4);
  assert.equal(notices.length, 1);
});
