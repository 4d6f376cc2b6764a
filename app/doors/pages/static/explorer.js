/**
 * The entry: what a page is, is said by its body (see `documents.py`), and here it comes alive.
 *
 * What imports what: this, `view` (one dataset on the page), its parts `figure`, `colours`,
 * `controls`, `panels`, `chart`, and below them `queries`, `dataset`, `state`, `scales`, `raster`,
 * `requests`, `bin`, `times`, `ticks`, `coast`, `dom`, which know no page but the last.
 */
import { readDataset } from "./dataset.js";
import { byId } from "./dom.js";
import { unlock } from "./keys.js";
import { Requests } from "./requests.js";
import { View } from "./view.js";

async function start() {
  const { root = "./", land = "" } = document.body.dataset;
  const requests = new Requests(new URL(root, location.href).href);
  await unlock(requests);
  const { page, dataset } = document.body.dataset;
  if ((page !== "explore" && page !== "embed") || dataset === undefined) return;
  const place = byId("explorer");
  const told = await requests.json(`datasets/${encodeURIComponent(dataset)}`);
  const view = new View(place, requests, readDataset(told), new URL(land, location.href).href);
  place.hidden = false;
  await view.start();
}

start();
