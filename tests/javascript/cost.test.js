import assert from "node:assert/strict";
import { test } from "node:test";
import { affordable, emptyLine, piecesOf } from "../../app/doors/pages/static/cost.js";
import { whole } from "../../app/doors/pages/static/queries.js";
import { weather } from "./samples.js";

/** @param {number[] | null} chunks */
function stored(chunks) {
  const { axes, variables } = weather({ time: 8760 });
  const [time, lat, variable] = [axes.get("time"), axes.get("latitude"), variables.get("t")];
  assert.ok(time && lat && variable);
  return { time, lat, variable: { ...variable, chunks } };
}

test("of a picture in many chunks every so many positions are read", () => {
  const { time, lat, variable } = stored([1, 1, 73, 144]);
  const all = { time: whole(time), latitude: whole(lat) };
  const { slices, much } = affordable(variable, all, 2 ** 40);
  assert.deepEqual(much, { chunks: 8760, bytes: 8760 * 73 * 144 * 8, refused: false });
  assert.deepEqual(slices.time, { start: 0, stop: 8760, step: 5 });
  assert.deepEqual(slices.latitude, all.latitude);
  const little = affordable(variable, all, 2 ** 20);
  assert.equal(little.slices.time.step, 703);
  assert.equal(little.much?.refused, true);
});

test("what is little, of unknown chunks, or of one large chunk is read as it is", () => {
  for (const chunks of [[8760, 1, 73, 1], null, [8760, 3, 73, 1440]]) {
    const { time, lat, variable } = stored(chunks);
    const all = { time: whole(time), latitude: whole(lat) };
    assert.deepEqual(affordable(variable, all, 2 ** 40), { slices: all, much: null });
  }
});

test("pieces begin where chunks do and grow outward, each position in one of them", () => {
  const { time, variable } = stored([24, 1, 73, 144]);
  const line = emptyLine([], variable, time);
  const bytes = 365 * 24 * 73 * 144 * 8;
  const weight = { chunks: 365, bytes, much: true, most: Number.POSITIVE_INFINITY };
  const pieces = piecesOf(line, weight, 4000);
  assert.ok(pieces[0].start <= 4000 && 4000 < pieces[0].stop);
  assert.ok(pieces.every(({ start }) => start % 24 === 0));
  const seen = pieces.flatMap(({ start, stop }) => [start, stop]).sort((a, b) => a - b);
  assert.deepEqual([seen[0], seen.at(-1)], [0, 8760]);
  assert.equal(
    pieces.reduce((sum, { start, stop }) => sum + stop - start, 0),
    8760,
  );
  const near = piecesOf(line, { ...weight, most: 10 }, 4000, 32);
  assert.ok(near.every(({ start, stop }) => start >= 3968 && stop <= 4032 && stop - start <= 10));
});
