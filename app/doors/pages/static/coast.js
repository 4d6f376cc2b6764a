/**
 * The coastline: land as TopoJSON, whose arcs are the lines that are drawn (TopoJSON Format
 * Specification, section 2.1.4: quantised and delta-encoded).
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
 * Add arcs to a path, as often as the Earth is seen between two longitudes. Lines along the edges of
 * the map, and from one edge to the other, are no coast and left out.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {Float32Array[]} arcs
 * @param {(longitude: number) => number} across
 * @param {(latitude: number) => number} along
 * @param {number} west
 * @param {number} east
 */
export function trace(context, arcs, across, along, west, east) {
  const first = Math.floor((west + TURN / 2) / TURN);
  const last = Math.floor((east + TURN / 2) / TURN);
  for (let turn = first; turn <= last; turn++) {
    for (const arc of arcs) {
      let before = Number.NaN;
      for (let at = 0; at < arc.length; at += 2) {
        const [longitude, latitude] = [arc[at], arc[at + 1]];
        const [x, y] = [across(longitude + TURN * turn), along(latitude)];
        if (Math.abs(longitude - before) < TURN / 2) context.lineTo(x, y);
        else context.moveTo(x, y);
        before = isEdge(longitude, latitude) ? Number.NaN : longitude;
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
