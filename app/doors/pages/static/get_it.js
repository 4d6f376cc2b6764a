/**
 * What there is to take away: files, with their sizes before the click; the lines of code that give
 * the same array; links; the picture.
 *
 * @import { Query } from "./requests.js"
 * @import { Session } from "./session.js"
 * @import { Range } from "./state.js"
 */
import { choice, shownText } from "./controls.js";
import { isInstants } from "./dataset.js";
import { button, byId, el, settled } from "./dom.js";
import { pictureOf } from "./picture.js";
import { profileAxis, seriesAxis } from "./queries.js";
import { bytesText, errorText, keyHeader, Latest, storedKey } from "./requests.js";
import { selection, snippets } from "./snippets.js";
import { numberText } from "./ticks.js";

// What the server calls a format, what people call it, its suffix.
const FORMATS = [
  ["csv", "CSV", "csv"],
  ["netcdf", "NetCDF", "nc"],
  ["json", "JSON", "json"],
  ["png", "PNG", "png"],
];
// While something runs, sizes follow at this pace.
const PACE_MS = 700;
// Texts of so many values tell how long the others are.
const SAMPLE = 500;
const MOST_READ = 2 ** 26;

export class GetItPanel {
  #known = "";
  #asked = -PACE_MS;
  #weighing = new Latest();
  #later = settled(PACE_MS, () => this.update());

  /**
   * @param {Session} session
   * @param {{ range: Range, window: (place: number) => string | null }} field what has the range of
   *   the colours, and knows which cells are seen
   */
  constructor(session, field) {
    this.session = session;
    this.field = field;
    this.what = choice("Of", [], () => this.update());
    this.files = el("div", { class: "files", role: "group", "aria-label": "Files" });
    this.why = el("p", { class: "hint" });
    this.language = choice("Code", [], () => this.#showCode());
    this.code = el("pre", { tabindex: "0" });
    this.link = el("input", { readonly: true, hidden: true, "aria-label": "Copied" });
    this.told = el("span", { role: "status" });
    this.printed = el("p", { class: "printed" });
    this.image = button("Copy image link", () => this.#copy(this.#url("png")));
    this.element = el(
      "section",
      { class: "panel get", "aria-label": "Get it" },
      el("h2", {}, "Get it"),
      this.what.element,
      this.files,
      this.why,
      el(
        "div",
        { class: "choices" },
        this.language.element,
        button("Copy code", () => this.#copy(this.code.textContent ?? "")),
      ),
      this.code,
      el(
        "div",
        { class: "choices" },
        button("Copy link", () => this.#copy(location.href)),
        this.image,
        button("Copy embed code", () => this.#copy(this.#embed())),
        button("Save picture", () => this.#save()),
      ),
      el("div", { class: "choices" }, this.link, this.told),
      this.printed,
    );
  }

  /** Follow the state; sizes are asked for where the selection is another one. */
  async update() {
    this.#showChoices();
    const { requests, sel } = this.session;
    const query = this.#query();
    this.printed.textContent = `${this.#words()} · ${location.href}`;
    this.#showCode();
    const key = requests.url(sel, query);
    if (key === this.#known) return this.#showFiles(null);
    if (performance.now() - this.#asked < PACE_MS) return this.#later();
    this.#asked = performance.now();
    this.#known = key;
    try {
      const told = await this.#weighing.run((signal) => this.#weigh(query, signal));
      if (told !== undefined) this.#showFiles(told);
    } catch (error) {
      this.files.replaceChildren();
      this.why.textContent = errorText(error);
    }
  }

  /**
   * The sizes of all formats. Where those of texts are rough, a few of the values are read as text:
   * by them the server knows better.
   *
   * @param {Query} query
   * @param {AbortSignal} signal
   */
  async #weigh(query, signal) {
    const { requests, sel, isel, variable } = this.session;
    const ask = async () =>
      requests.json(sel, [...query, ["explain", "true"], ["f", "csv"]], { signal });
    let told = await ask();
    /** The same shape somewhere else: along dimensions of the answer so many positions at most. */
    const part = (/** @type {number} */ most) =>
      /** @type {Query} */ ([
        ["variables", variable.name],
        ...variable.dims.map((name) => {
          const from = this.session.positions[name] ?? 0;
          const count = told.dims[name] && Math.min(most, told.dims[name]);
          const start = (this.session.axis(name).size - count) >> 1;
          return [`isel[${name}]`, count ? `${start}:${start + count}` : String(from)];
        }),
      ]);
    const { csv, netcdf } = told.bytes;
    if (!netcdf || told.chunk_bytes > Math.min(MOST_READ, this.session.most)) return told;
    if (csv.rough) {
      const each = Math.floor(SAMPLE ** (1 / Math.max(1, Object.keys(told.dims).length)));
      await requests.json(isel, part(each), { signal });
      told = await ask();
    }
    if (netcdf.rough) {
      // What lies across the seam of an axis has a file as long as what does not.
      const same = part(Number.POSITIVE_INFINITY);
      const beside = await requests.json(isel, [...same, ["explain", "true"]], { signal });
      told.bytes.netcdf = beside.bytes.netcdf;
    }
    return told;
  }

  /** The picture, and the lines of the points. */
  #showChoices() {
    const { state } = this.session;
    const chosen = this.what.select.value;
    const words = ["What the picture shows", ...state.points.map((_, at) => this.#lineWords(at))];
    const options = words.map((text, at) => el("option", { value: String(at) }, text));
    this.what.select.replaceChildren(...options);
    this.what.select.value = Number(chosen) < words.length ? chosen || "0" : "0";
    this.what.element.hidden = words.length < 2;
  }

  /** @param {number} at */
  #lineWords(at) {
    const { state } = this.session;
    const [x, y] = /** @type {[number, number]} */ (state.points[at]);
    return `The ${this.#line === this.#profile ? "profile" : "series"} at ${numberText(y)}, ${numberText(x)}`;
  }

  get #profile() {
    const { dataset, variable, state } = this.session;
    return state.tab === "profile" ? profileAxis(dataset, variable, [state.x, state.y]) : null;
  }

  get #line() {
    const { dataset, variable, state } = this.session;
    return this.#profile ?? seriesAxis(dataset, variable, [state.x, state.y]);
  }

  /** @returns {[number, number] | null} */
  get #point() {
    return this.session.state.points[Number(this.what.select.value) - 1] ?? null;
  }

  #query() {
    return selection(this.session, this.#point, this.#line, (place) => this.field.window(place));
  }

  /** @param {string} suffix */
  #url(suffix) {
    const { requests, sel, state } = this.session;
    const query = this.#query();
    const { low, high } = this.field.range;
    if (suffix === "png") {
      query.push(["cmap", state.cmap + (state.reverse ? "_r" : "")]);
      query.push(["range", `${[low, high].map((one) => Number(one.toPrecision(6)))}`]);
    }
    return requests.url(`${sel}.${suffix}`, query);
  }

  /** @returns {string} what is shown, in words */
  #words() {
    return `${this.session.dataset.title}, ${shownText(this.session)}`;
  }

  #embed() {
    const { requests, dataset } = this.session;
    const address = `${requests.root}embed/${encodeURIComponent(dataset.id)}${location.search}`;
    const frame = el("iframe", { src: address, width: 720, height: 480, title: dataset.title });
    return frame.outerHTML;
  }

  /** @param {any} told what the server says of sizes; null where that is known */
  #showFiles(told) {
    const { state } = this.session;
    // The server's pictures have even colours.
    const even = state.scaling !== "log";
    const picture = this.#point === null && state.x !== null && state.y !== null;
    this.image.hidden = !(picture && even);
    if (told === null) {
      // The address of a picture follows its colours.
      for (const one of this.files.querySelectorAll("a")) {
        const suffix = String(one.dataset.suffix);
        one.href = this.#url(suffix);
        one.hidden = suffix === "png" && !even;
      }
      return;
    }
    const reasons = new Set();
    const files = FORMATS.filter(([name]) => name !== "png" || picture).map(
      ([name, text, suffix]) => {
        const { size, refused, rough } = told.bytes[String(name)];
        // What has no size is nothing that the format can hold.
        const why = size === null ? "not possible" : "too large";
        const words = refused ? why : `${rough ? "≈ " : ""}${bytesText(size)}`;
        const parts = [String(text), el("small", {}, words)];
        if (refused) {
          reasons.add(refused);
          return el("button", { type: "button", disabled: true, title: refused }, ...parts);
        }
        return el(
          "a",
          {
            class: "button",
            href: this.#url(String(suffix)),
            download: `${this.session.dataset.id}.${suffix}`,
            "data-suffix": String(suffix),
            "data-bytes": size,
            hidden: suffix === "png" && !even,
            onclick: (event) => this.#download(event, String(suffix)),
          },
          ...parts,
        );
      },
    );
    this.files.replaceChildren(...files);
    this.why.textContent = [...reasons].join(" ");
  }

  /**
   * With a key, which no address has, the page fetches the file itself.
   *
   * @param {Event} event
   * @param {string} suffix
   */
  async #download(event, suffix) {
    if (storedKey() === null) return;
    event.preventDefault();
    const answer = await fetch(this.#url(suffix), { headers: keyHeader() });
    if (answer.ok) save(await answer.blob(), `${this.session.dataset.id}.${suffix}`);
    else this.told.textContent = `The server answered ${answer.status}.`;
  }

  #showCode() {
    const { dataset, variable } = this.session;
    const times = variable.dims.filter((name) => isInstants(this.session.axis(name)));
    const all = snippets({
      name: variable.name,
      dtype: variable.dtype,
      times,
      url: (suffix) => this.#url(suffix),
      file: dataset.id.replace(/[^\w-]/g, "_"),
      key: storedKey() !== null,
    });
    const { select } = this.language;
    const { value } = select;
    if (select.textContent !== all.map(([name]) => name).join("")) {
      select.replaceChildren(...all.map(([name]) => el("option", { value: name }, name)));
    }
    const [name, code] = all.find(([one]) => one === value) ?? all[0];
    select.value = name;
    this.code.textContent = code;
  }

  /**
   * Into the clipboard where the browser lets pages have it, and into a field in any case.
   *
   * @param {string} text
   */
  async #copy(text) {
    this.link.hidden = false;
    this.link.value = text;
    this.link.select();
    try {
      await navigator.clipboard.writeText(text);
      this.told.textContent = "Copied.";
    } catch {
      this.told.textContent = "Copy it from here.";
    }
  }

  #save() {
    const { dataset, display, state } = this.session;
    const place = byId("explorer").querySelector(".middle .figure, .middle .chart");
    if (place === null) return;
    const bar = { range: this.field.range, state, display };
    const credit = [dataset.attribution, location.href].filter(Boolean).join(" · ");
    const canvas = pictureOf(
      place,
      dataset.title,
      this.#words(),
      credit,
      state.y === null ? null : bar,
    );
    canvas.toBlob((blob) => blob && save(blob, `${dataset.id}.png`));
  }
}

/**
 * @param {Blob} blob
 * @param {string} download the name of its file
 */
function save(blob, download) {
  const href = URL.createObjectURL(blob);
  el("a", { href, download }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
