/**
 * One dataset on the page: its controls, the stage for the kind of view, and what stands beside it.
 *
 * @import { OnProgress } from "./requests.js"
 * @import { Notice, Session } from "./session.js"
 * @typedef {object} Stage What shows a variable; each kind of view has one.
 * @property {HTMLElement} element
 * @property {HTMLElement | null} side what stands beside it
 * @property {string} key what would be fetched for the session's state; another key, another fetch
 * @property {(signal: AbortSignal, onProgress: OnProgress) => Promise<void>} load fetch what the session's state says
 * @property {() => void} draw show it, under the state's colours, box, points, units and zone
 * @typedef {object} Panel What stands beside the stage, whatever kind of view it is.
 * @property {HTMLElement} element
 * @property {() => Promise<void> | void} update follow the session's state; hide what has no use
 */
import { choice, DimensionControl, variableChoice } from "./controls.js";
import { button, byId, el, painted } from "./dom.js";
import { FieldStage } from "./field_stage.js";
import { GetItPanel } from "./get_it.js";
import { DisplayPanel, SeriesPanel } from "./panels.js";
import { LineStage, TableStage } from "./plain_stages.js";
import { bytesText, errorText, Latest } from "./requests.js";
import { usualState } from "./state.js";

const SLOW_MS = 300;

export class View {
  /** @type {Map<string, DimensionControl>} */
  #controls = new Map();
  #shown = "";
  #fetching = new Latest();
  #turn = 0;
  #axed = "";
  #marked = "";
  // The dimensions that have a control.
  #moved = "none";
  // A view in somebody else's page is alone there.
  alone = document.body.dataset.page === "embed";

  /**
   * @param {HTMLElement} place
   * @param {Session} session
   */
  constructor(place, session) {
    this.place = place;
    this.session = session;
    this.notices = el("div", { class: "notices", role: "status" });
    const cancel = button("Cancel", () => this.#fetching.cancel());
    this.bytes = el("span", {});
    this.bar = el("progress", { "aria-label": "Reading" });
    this.progress = el("div", { class: "progress", hidden: true }, this.bar, this.bytes, cancel);
    this.dimensions = el("div", { class: "dimensions" });
    this.variables = variableChoice(session.dataset, (name) => this.#chooseVariable(name));
    this.axes = el("span", { class: "axes" });
    this.field = new FieldStage(session);
    this.line = new LineStage(session);
    /** @type {Record<string, Stage>} */
    this.stages = {
      field: this.field,
      line: this.line,
      table: new TableStage(session),
    };
    this.zooms = this.#buttons();
    this.middle = el("div", { class: "middle" });
    this.side = el("aside", { class: "side" });
    // What is new in the picture, for who cannot see it.
    this.told = el("p", { class: "unseen", role: "status" });
    /** @type {Panel[]} in the order in which they stand */
    this.panels = [
      new SeriesPanel(session),
      new DisplayPanel(session),
      new GetItPanel(session, this.field),
    ];
    place.replaceChildren(
      el(
        "div",
        { class: "stage" },
        el("div", { class: "bar" }, this.variables.element, this.axes, this.zooms),
        this.notices,
        this.told,
        this.progress,
        this.middle,
        this.dimensions,
      ),
      this.side,
    );
    session.onChange = (notices) => this.#update(notices);
    addEventListener("popstate", () => session.readAddress());
    addEventListener("keydown", ({ key, target }) => {
      const typing = target instanceof Element && target.matches("input, select, textarea");
      if (key === "?" && !typing) showKeys();
    });
  }

  #buttons() {
    return el(
      "span",
      { class: "steps" },
      button("+", () => this.field.zoom(0.6), "Zoom in"),
      button("−", () => this.field.zoom(1 / 0.6), "Zoom out"),
      button("⌂", () => this.session.push({ box: null }), "All of it"),
      button("?", showKeys, "Keys"),
    );
  }

  /** @returns {Stage} */
  get #stage() {
    const { state, variable } = this.session;
    const plain = variable.kind === "text" || this.session.bare;
    if (plain || state.x === null) return this.stages.table;
    return state.y === null ? this.stages.line : this.stages.field;
  }

  /** @param {Notice[] | null} notices */
  async #update(notices) {
    if (notices !== null) this.#tell(notices);
    this.#showControls();
    const stage = this.#stage;
    if (this.middle.firstChild !== stage.element) {
      this.field.row.reading.cancel();
      this.line.reader.row.reading.cancel();
      this.middle.replaceChildren(stage.element);
      this.zooms.hidden = stage !== this.field;
      const sides = [stage.side, ...this.panels.map((panel) => panel.element)];
      this.side.replaceChildren(...(this.alone ? [] : sides.filter((one) => one !== null)));
    }
    const bare = this.session.bare !== undefined;
    this.side.hidden = this.alone || bare;
    if (stage.key !== this.#shown && !(await this.#load(stage))) return;
    stage.draw();
    const turn = ++this.#turn;
    const marked = `${this.session.state.points}`;
    // A mark is little to paint: who clicks waits for the line.
    if (marked === this.#marked) await painted();
    this.#marked = marked;
    this.place.dataset.drawn = "";
    if (turn !== this.#turn) return;
    this.told.textContent =
      stage.element.querySelector("[role=img]")?.getAttribute("aria-label") ?? "";
    try {
      if (!bare) await Promise.all(this.panels.map((panel) => panel.update()));
    } catch (error) {
      this.#tell([errorText(error)]);
    }
    if (stage.key === this.#shown) this.place.dataset.state = "ready";
  }

  /**
   * Whether the stage has what the state says, and nothing newer was asked for meanwhile.
   *
   * @param {Stage} stage
   */
  async #load(stage) {
    this.place.dataset.state = "loading";
    this.bytes.textContent = "";
    this.bar.removeAttribute("value");
    const slow = setTimeout(() => {
      this.progress.hidden = false;
    }, SLOW_MS);
    try {
      const done = await this.#fetching.run(async (signal) => {
        await stage.load(signal, (came, whole) => {
          this.bytes.textContent = bytesText(came) + (whole > 0 ? ` of ${bytesText(whole)}` : "");
          if (whole > 0) this.bar.value = came / whole;
        });
        return true;
      });
      // What the server said of its cost may make it another picture.
      if (done) this.#shown = stage.key;
      return done === true;
    } catch (error) {
      this.#tell([errorText(error)]);
      this.place.dataset.state = "failed";
      return false;
    } finally {
      clearTimeout(slow);
      this.progress.hidden = true;
    }
  }

  /** @param {Notice[]} notices labels that are there are a click away */
  #tell(notices) {
    this.notices.replaceChildren(
      ...notices.map((one) => {
        if (typeof one === "string") return el("p", {}, one);
        const { words, name, labels } = one;
        const buttons = labels.map((label) => button(label, () => this.#moveTo(name, label)));
        return el("p", {}, words, " ", ...buttons);
      }),
    );
  }

  #showControls() {
    const { state, positions, movableAxes, dataset, bare } = this.session;
    this.variables.select.value = state.variable;
    this.#showAxes();
    for (const axis of movableAxes) {
      const { name } = axis;
      if (!this.#controls.has(name)) {
        const listener = {
          onChoose: (/** @type {number} */ at, /** @type {boolean} */ dragged) =>
            this.session.move(name, at, dragged),
          onText: (/** @type {string} */ text) => this.#moveTo(name, text),
        };
        this.#controls.set(name, new DimensionControl(axis, listener));
      }
      this.#controls.get(name)?.show(positions[name], state.zone);
    }
    const shown = movableAxes.filter(({ size }) => !bare && (size > 1 || dataset.axes.size < 3));
    const names = shown.map(({ name }) => name);
    if (`${names}` === this.#moved) return;
    this.#moved = `${names}`;
    this.dimensions.replaceChildren(
      ...names.map((name) => this.#controls.get(name)?.element ?? ""),
    );
  }

  /** The two choices of dimensions, where there is a choice. */
  #showAxes() {
    const { state, variable } = this.session;
    const { dims } = variable;
    const key = `${[variable.name, state.x, state.y]}`;
    if (key === this.#axed) return;
    if (dims.length < 2) {
      this.axes.replaceChildren();
      return;
    }
    /** @type {[string, string][]} */
    const names = dims.map((name) => [name, this.session.axis(name).title]);
    const across = choice("Across", names, (x) =>
      this.#chooseAxes(x, x === state.y ? state.x : state.y),
    );
    const none = /** @type {[string, string]} */ (["", "values (a chart)"]);
    const along = choice("Along", [...names, none], (y) => {
      if (y === "") this.#chooseAxes(state.x, null);
      else this.#chooseAxes(y === state.x ? state.y : state.x, y);
    });
    across.select.value = state.x ?? "";
    along.select.value = state.y ?? "";
    if (this.axes.contains(document.activeElement)) return;
    this.axes.replaceChildren(across.element, along.element);
    this.#axed = key;
  }

  /**
   * @param {string | null} x
   * @param {string | null} y
   */
  #chooseAxes(x, y) {
    this.session.push({ x, y, box: null, points: [] });
  }

  /**
   * @param {string} name
   * @param {string} text
   */
  async #moveTo(name, text) {
    const at = await this.session.resolve(name, text);
    if (at !== undefined) {
      this.#tell([]);
      this.session.move(name, at);
      return;
    }
    this.#tell([{ words: `${text} is not on ${name}.`, name, labels: this.session.nearest }]);
    this.#showControls();
  }

  /** @param {string} name */
  #chooseVariable(name) {
    const { dataset, state } = this.session;
    const usual = usualState(dataset, dataset.variables.get(name));
    const { fixed, cmap, zone, points } = state;
    const same = usual.x === state.x && usual.y === state.y;
    this.session.push({
      ...usual,
      fixed,
      cmap,
      zone,
      points: same ? points : [],
      box: same ? state.box : null,
    });
  }
}

/** What keys do, which the page has. */
function showKeys() {
  const dialog = /** @type {HTMLDialogElement} */ (byId("keys"));
  if (!dialog.open) dialog.showModal();
}
