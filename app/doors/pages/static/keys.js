/**
 * API keys: typed in once, kept for this tab alone, sent in a header and in no address.
 *
 * @import { Requests } from "./requests.js"
 */
import { button, byId, el } from "./dom.js";
import { keyHeader, storedKey, storeKey } from "./requests.js";

/**
 * Show the page as the holder of the key sees it, and a field for a key where the service has keys.
 *
 * @param {Requests} requests
 * @returns {Promise<void>}
 */
export async function unlock(requests) {
  if (document.body.dataset.keys === undefined) return;
  if (storedKey() !== null) await reload(requests);
  const form = byId("key");
  form.hidden = false;
  if (storedKey() === null) form.onsubmit = (event) => use(requests, form, event);
  else {
    form.replaceWith(button("Forget key", () => leave(null)));
    showPictures();
  }
}

/** @param {string | null} key what the page is to be seen with */
function leave(key) {
  storeKey(key);
  location.reload();
}

/**
 * @param {Requests} requests
 * @param {HTMLElement} form
 * @param {Event} event
 */
async function use(requests, form, event) {
  event.preventDefault();
  const [field, , told] = /** @type {any} */ (form.children);
  storeKey(field.value.trim());
  // No header holds some signs.
  const { status } = await requests.page(location.href).catch(() => ({ status: 401 }));
  if (status !== 401) return leave(storedKey());
  storeKey(null);
  told.textContent = "This key opens nothing here.";
}

/** Pictures that need a key, one after the other: an image alone can send none. */
async function showPictures() {
  for (const place of document.querySelectorAll("[data-thumbnail]")) {
    const address = /** @type {HTMLElement} */ (place).dataset.thumbnail ?? "";
    const answer = await fetch(address, { headers: keyHeader() });
    if (!answer.ok) continue;
    place.append(el("img", { src: URL.createObjectURL(await answer.blob()), alt: "" }));
  }
}

/**
 * Put the content in place that the server has for this key.
 *
 * @param {Requests} requests
 */
async function reload(requests) {
  const { status, page } = await requests.page(location.href);
  if (status === 401) {
    storeKey(null);
    return;
  }
  document.title = page.title;
  const { page: kind, dataset } = page.body.dataset;
  document.body.dataset.page = kind ?? "";
  if (dataset !== undefined) document.body.dataset.dataset = dataset;
  byId("content").replaceWith(
    document.adoptNode(/** @type {Node} */ (page.getElementById("content"))),
  );
}
