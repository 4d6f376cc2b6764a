/**
 * The coastline: land as TopoJSON, whose arcs are the lines that are drawn (TopoJSON Format
 * Specification, section 2.1.4: quantised and delta-encoded).
 *
 * @import { Frame } from "./frame.js"
 */
import { TURN } from "./raster.js";

/**
 * Longitudes and latitudes of each arc, one after another.
 *
 * @param {any} topology
 * @returns {Float32Array[]}
 */
export function arcsOf(topology) {
  const { scale, translate } = topology.transform;
  return topology.arcs.map((/** @type {[number, number][]} */ arc) => {
    const line = new Float32Array(2 * arc.length);
    let [x, y] = [0, 0];
    for (const [at, [dx, dy]] of arc.entries()) {
      x += dx;
      y += dy;
      line[2 * at] = x * scale[0] + translate[0];
      line[2 * at + 1] = y * scale[1] + translate[1];
    }
    return line;
  });
}

/**
 * Add arcs to a path, as often as the Earth is seen in a frame. Lines along the edges of the map, and
 * from one edge to the other, are no coast and left out, as are those that are not seen.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {Float32Array[]} arcs
 * @param {Frame} frame
 */
export function trace(context, arcs, frame) {
  const [west, south, east, north] = frame.box;
  const first = Math.floor((west + TURN / 2) / TURN);
  const last = Math.floor((east + TURN / 2) / TURN);
  const side = (/** @type {number} */ at, /** @type {number} */ low, /** @type {number} */ high) =>
    at < low ? 1 : at > high ? 2 : 0;
  for (let turn = first; turn <= last; turn++) {
    for (const arc of arcs) {
      let [before, was] = [Number.NaN, 0];
      for (let at = 0; at < arc.length; at += 2) {
        const [longitude, latitude] = [arc[at], arc[at + 1]];
        const seen = longitude + TURN * turn;
        const is = side(seen, west, east) | (side(latitude, south, north) << 2);
        const [x, y] = [frame.px(seen), frame.py(latitude)];
        if ((is & was) === 0 && Math.abs(longitude - before) < TURN / 2) context.lineTo(x, y);
        else context.moveTo(x, y);
        before = isEdge(longitude, latitude) ? Number.NaN : longitude;
        was = is;
      }
    }
  }
}

/**
 * @param {number} longitude
 * @param {number} latitude
 */
function isEdge(longitude, latitude) {
  return Math.abs(longitude) > 179.99 || latitude < -89.9;
}
