import assert from "node:assert/strict";
import { test } from "node:test";
import {
  boundOf,
  emptyLine,
  isMuch,
  piecesOf,
  sparse,
  tilesOf,
} from "../../app/doors/pages/static/cost.js";
import { whole } from "../../app/doors/pages/static/queries.js";
import { weather } from "./samples.js";

/** @param {number[] | null} chunks */
function stored(chunks) {
  const { axes, variables } = weather({ time: 8760 });
  const [time, lat, variable] = [axes.get("time"), axes.get("latitude"), variables.get("t")];
  assert.ok(time && lat && variable);
  const stored = { ...variable, chunks, described: chunks !== null };
  return { time, lat, variable: stored, all: { time: whole(time), latitude: whole(lat) } };
}

test("what a view reads is counted in whole chunks, of which a part is enough", () => {
  const { variable } = stored([24, 1, 40, 144]);
  const each = 24 * 40 * 144 * 8;
  const counted = (/** @type {[number, number, number?]} */ ...[start, stop, step = 1]) =>
    boundOf(variable, { time: { start, stop, step } }, 2 ** 40).bytes / each;
  assert.equal(counted(0, 24), 1);
  assert.equal(counted(0, 25), 2);
  assert.equal(counted(0, 240, 100), 3);
  // Where a window begins later it may end where the axis begins.
  assert.equal(counted(20, 26), 3);
  assert.equal(counted(20, 26, 3), 2);
});

test("it is little where nothing else can be read", () => {
  const { variable, time } = stored([24, 1, 40, 144]);
  const [few, all] = [{ time: { start: 0, stop: 240, step: 1 } }, { time: whole(time) }];
  assert.equal(boundOf(variable, few, 2 ** 40).little, true);
  assert.equal(boundOf(variable, few, 2 ** 40, 100).little, false);
  assert.equal(boundOf(variable, few, 2 ** 20).little, false);
  assert.equal(boundOf(variable, all, 2 ** 40).little, false);
  assert.equal(boundOf({ ...variable, described: false }, few, 2 ** 40).little, false);
  assert.equal(
    boundOf({ ...variable, chunks: null, described: false }, few, 2 ** 40).little,
    false,
  );
});

test("of a picture in many chunks every so many positions are read", () => {
  const { variable, all } = stored([1, 1, 73, 144]);
  const weight = boundOf(variable, all, 2 ** 40);
  assert.equal(weight.chunks, 8760);
  assert.equal(weight.bytes, 8760 * 73 * 144 * 8);
  assert.equal(weight.refused, false);
  assert.equal(isMuch(weight), true);
  const some = sparse(variable, all, weight, 2 ** 40);
  assert.deepEqual(some, { ...all, time: { start: 0, stop: 8760, step: 5 } });
  const little = boundOf(variable, all, 2 ** 20);
  assert.equal(little.refused, true);
  const few = sparse(variable, all, little, 2 ** 20);
  assert.ok(few && boundOf(variable, few, 2 ** 20).bytes <= 2 ** 20);
});

test("of one large chunk, and of unknown ones, nothing can be left out", () => {
  for (const chunks of [null, [8760, 3, 73, 1440]]) {
    const { variable, all } = stored(chunks);
    const weight = { ...boundOf(variable, all, 2 ** 40), bytes: 2 ** 36 };
    assert.equal(sparse(variable, all, weight, 2 ** 40), null);
  }
});

/**
 * @param {{ start: number, stop: number }} slice
 * @param {number} chunk
 */
function inside({ start, stop }, chunk) {
  return Math.floor((stop - 1) / chunk) - Math.floor(start / chunk) + 1;
}

test("a picture comes in pieces of whole chunks, each cell in one of them", () => {
  for (const chunks of [
    [1, 1, 73, 144],
    [100, 3, 7, 1440],
    [8760, 3, 1, 144],
  ]) {
    const { variable, all } = stored(chunks);
    const weight = boundOf(variable, all, 2 ** 40);
    const tiles = tilesOf(variable, all, weight, 2 ** 40, { time: 4000, latitude: 36 });
    const cells = tiles.reduce(
      (sum, { time, latitude }) =>
        sum + (time.stop - time.start) * (latitude.stop - latitude.start),
      0,
    );
    assert.equal(cells, 8760 * 73);
    const [first] = tiles;
    assert.ok(first.time.start <= 4000 && 4000 < first.time.stop);
    const one = chunks.reduce((all, each) => all * each, 8);
    const most = Math.max(
      ...tiles.map((tile) => inside(tile.time, chunks[0]) * inside(tile.latitude, chunks[2])),
    );
    assert.ok(most * one <= Math.max(2 ** 25, one));
    assert.ok(tiles.every(({ time }) => time.start % chunks[0] === 0));
  }
});

test("pieces begin where chunks do and grow outward, each position in one of them", () => {
  const { time, variable } = stored([24, 1, 73, 144]);
  const line = emptyLine([], variable, time);
  const bytes = 365 * 24 * 73 * 144 * 8;
  const weight = { chunks: 365, bytes, refused: false };
  const pieces = piecesOf(line, weight, 2 ** 40, 4000);
  assert.ok(pieces[0].start <= 4000 && 4000 < pieces[0].stop);
  assert.ok(pieces.every(({ start }) => start % 24 === 0));
  const seen = pieces.flatMap(({ start, stop }) => [start, stop]).sort((a, b) => a - b);
  assert.deepEqual([seen[0], seen.at(-1)], [0, 8760]);
  assert.equal(
    pieces.reduce((sum, { start, stop }) => sum + stop - start, 0),
    8760,
  );
  const near = piecesOf(line, weight, bytes / 876, 4000, 32);
  assert.ok(near.every(({ start, stop }) => start >= 3968 && stop <= 4032 && stop - start <= 10));
});
