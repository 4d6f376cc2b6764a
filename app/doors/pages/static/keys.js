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
  const place = document.getElementById("key-place") ?? byId("content");
  place.replaceChildren(storedKey() === null ? prompt(requests) : forget());
  if (storedKey() !== null) showPictures();
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

/** @param {Requests} requests */
function prompt(requests) {
  // Without a name the field is in no address, even where a script fails.
  const field = el("input", {
    type: "password",
    autocomplete: "off",
    placeholder: "API key",
    "aria-label": "API key",
    required: true,
  });
  const told = el("span", { role: "status" });
  return el(
    "form",
    {
      class: "key",
      onsubmit: async (event) => {
        event.preventDefault();
        storeKey(field.value.trim());
        const { status } = await requests.page(location.href);
        if (status === 401) {
          storeKey(null);
          told.textContent = "This key opens nothing here.";
        } else location.reload();
      },
    },
    field,
    el("button", { type: "submit" }, "Use key"),
    told,
  );
}

function forget() {
  const leave = () => {
    storeKey(null);
    location.reload();
  };
  return button("Forget key", leave);
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
