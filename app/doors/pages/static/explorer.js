/**
 * The entry: what a page is, is said by its body (see `documents.py`), and here it comes alive.
 *
 * What imports what, from above to below: this; `view` (the page of one dataset); the stages and
 * `panels`; their parts `figure`, `colours`, `chart`, `controls`; `session` (what is shown now, which
 * all of them read, change and listen to); and what knows no page: `state`, `dataset`, `queries`,
 * `scales`, `raster`, `ticks`, `times`, `coast`, `requests`, `bin`.
 */
import { readDataset } from "./dataset.js";
import { byId } from "./dom.js";
import { unlock } from "./keys.js";
import { Requests } from "./requests.js";
import { COLOURS } from "./scales.js";
import { Session } from "./session.js";
import { View } from "./view.js";

async function start() {
  const { root = "./" } = document.body.dataset;
  const requests = new Requests(new URL(root, location.href).href);
  await unlock(requests);
  const { page, dataset } = document.body.dataset;
  if ((page !== "explore" && page !== "embed") || dataset === undefined) return;
  const place = byId("explorer");
  Object.assign(COLOURS, JSON.parse(byId("colours").textContent));
  // Of what is long the page has nothing.
  const given = document.getElementById("described")?.textContent;
  const told = given
    ? JSON.parse(given)
    : await requests.json(`datasets/${encodeURIComponent(dataset)}`);
  const session = new Session(readDataset(told), requests);
  new View(place, session);
  place.hidden = false;
  await session.readAddress();
}

start();
