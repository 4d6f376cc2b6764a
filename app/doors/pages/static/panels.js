/**
 * What stands beside the picture: how values and times are shown, and the series and profiles of
 * places.
 *
 * @import { Axis } from "./dataset.js"
 * @import { Line } from "./cost.js"
 * @import { Query } from "./requests.js"
 * @import { Session } from "./session.js"
 * @typedef {object} Series The values at one place, and the cell whose values these are.
 * @property {string} title
 * @property {Line} line
 */
import { Chart } from "./chart.js";
import { choice, labelText, tableOf } from "./controls.js";
import { emptyLine } from "./cost.js";
import { isInstants, nearest } from "./dataset.js";
import { button, el } from "./dom.js";
import { LineReader } from "./pieces.js";
import { lineQuery, profileAxis, seriesAxis } from "./queries.js";
import { degreeText, numberText, ordinal } from "./ticks.js";
import { unitsFor } from "./units.js";

// More rows make no table that anybody reads.
const MOST_ROWS = 1000;
// Lines that were read stay, so that Back costs nothing; of the longest these are 10 MB.
const MOST_LINES = 64;

/** The units and the time zone of what is shown; neither changes what is asked for. */
export class DisplayPanel {
  #made = "";

  /** @param {Session} session */
  constructor(session) {
    this.session = session;
    this.element = el("section", { class: "panel display", "aria-label": "Display" });
  }

  update() {
    const { variable, state, dataset } = this.session;
    const units = unitsFor(variable);
    const timed = [...dataset.axes.values()].some(isInstants);
    this.element.hidden = units.length === 0 && !timed;
    const made = JSON.stringify([variable.name, state.units, state.zone]);
    if (made === this.#made) return;
    this.#made = made;
    const chosen = choice(
      "Units",
      [["", `${variable.units} (as stored)`], ...units.map(pair)],
      (one) => this.session.push({ units: one || null }),
    );
    chosen.select.value = state.units ?? "";
    const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
    const names = new Set(["UTC", state.zone, here, ...Intl.supportedValuesOf("timeZone")]);
    const zones = choice("Time zone", [...names].map(pair), (zone) => this.session.push({ zone }));
    zones.select.value = state.zone;
    this.element.replaceChildren(
      ...(units.length > 0 ? [chosen.element] : []),
      ...(timed ? [zones.element] : []),
    );
  }
}

/**
 * @param {string} name
 * @returns {[string, string]}
 */
function pair(name) {
  return [name, name];
}

/** The chart of up to four places, along time or along depth. */
export class SeriesPanel {
  #shown = "";
  #drawn = "";
  /** @type {Map<string, Line>} what was read, by what was asked for */
  #lines = new Map();
  /** @type {Series[]} */
  #series = [];

  /** @param {Session} session */
  constructor(session) {
    this.session = session;
    this.chart = new Chart((position) => this.#pick(position));
    this.hint = el("p", { class: "hint" });
    this.tabs = el("div", { class: "tabs", role: "group", "aria-label": "Along" });
    this.reader = new LineReader(
      session,
      () => this.#show(),
      () => this.#drop(),
    );
    this.legend = el("ul", { class: "legend" });
    this.table = el("details", { class: "table", hidden: true }, el("summary", {}, "As a table"));
    this.element = el(
      "section",
      { class: "panel series", "aria-label": "Series" },
      this.tabs,
      this.hint,
      this.legend,
      this.reader.row.element,
      this.chart.element,
      this.table,
    );
  }

  /** @returns {{ series: Axis | null, profile: Axis | null, axis: Axis | null }} */
  get #axes() {
    const { dataset, variable, state } = this.session;
    const shown = [state.x, state.y];
    const series = seriesAxis(dataset, variable, shown);
    const profile = profileAxis(dataset, variable, [...shown, series?.name ?? null]);
    return { series, profile, axis: (state.tab === "profile" && profile) || series };
  }

  /** Show the lines of the points of the state, fetched where they are others than before. */
  async update() {
    const { state, variable, positions } = this.session;
    const { axis } = this.#axes;
    const none = axis === null || state.x === null || state.y === null;
    this.element.hidden = none;
    if (none) return;
    this.#showTabs();
    const series = state.points.map((point) => this.#at(axis, point));
    const key = JSON.stringify([axis.name, series.map(({ line }) => line.query)]);
    if (key !== this.#shown) {
      this.#shown = key;
      this.#series = series;
      await this.reader.read(series.map(({ line }) => line));
      // Something newer was asked for meanwhile.
      if (key !== this.#shown) return;
    }
    // What was read may say better where a cell is.
    this.#series = state.points.map((point) => this.#at(axis, point));
    const drawn = JSON.stringify([key, state.zone, state.units, variable.name]);
    if (drawn !== this.#drawn) this.#show();
    this.#drawn = drawn;
    this.chart.mark(positions[axis.name]);
  }

  /**
   * @param {Axis} axis
   * @param {[number, number]} point
   * @returns {Series}
   */
  #at(axis, point) {
    const { state, variable, positions, grid } = this.session;
    const kept = (/** @type {Query} */ query) => {
      const key = JSON.stringify(query);
      const line = this.#lines.get(key) ?? emptyLine(query, variable, axis);
      this.#lines.delete(key);
      this.#lines.set(key, line);
      for (const [old] of this.#lines) if (this.#lines.size > MOST_LINES) this.#lines.delete(old);
      return line;
    };
    if (grid !== null) {
      // Of such a grid the server knows which cell is nearest.
      const own = variable.dims.filter((name) => !grid.dims.includes(name));
      const query = lineQuery({ ...variable, dims: own }, axis.name, positions);
      const line = kept([...query, ["at", point.join(",")]]);
      const [lat, lon] = [grid.latitude, grid.longitude].map((name, at) =>
        Number(line.file?.arrays.get(name)?.data[0] ?? point[1 - at]),
      );
      return { title: `${degreeText(lat, "Y")}, ${degreeText(lon, "X")}`, line };
    }
    const [across, along] = [state.x, state.y].map((name) => this.session.axis(String(name)));
    const at = { [across.name]: nearest(across, point[0]), [along.name]: nearest(along, point[1]) };
    const line = kept(lineQuery(variable, axis.name, { ...positions, ...at }));
    const place = [along, across].map((one) => labelText(one, at[one.name], state.zone));
    return { title: place.join(", "), line };
  }

  /** Forget the places of which nothing was read. */
  #drop() {
    const { state } = this.session;
    const kept = state.points.filter((_, at) => this.#series[at]?.line.read.includes(1));
    this.reader.row.tell();
    this.session.replace({ points: kept });
  }

  /** The two lines that a place has, where it has both. */
  #showTabs() {
    const { series, profile, axis } = this.#axes;
    const tab = (/** @type {"series" | "profile"} */ name, /** @type {Axis} */ of) => {
      const words = `${name === "series" ? "Series" : "Profile"} along ${of.title}`;
      const made = button(words, () => this.session.push({ tab: name }));
      made.ariaPressed = String(of === axis);
      return made;
    };
    const heading = el("h2", {}, "Series");
    if (series === null || profile === null) this.tabs.replaceChildren(heading);
    else this.tabs.replaceChildren(tab("series", series), tab("profile", profile));
  }

  #show() {
    const { axis } = this.#axes;
    if (axis === null) return;
    const { variable, state, display } = this.session;
    const series = this.#series;
    const known = series.some(({ line }) => line.read.includes(1));
    this.chart.element.hidden = !known;
    this.table.hidden = !known;
    this.legend.replaceChildren(
      ...series.map(({ title }, at) =>
        el(
          "li",
          {},
          el("span", { class: `swatch series-${at + 1}` }),
          el("span", { class: "cell" }, title),
          el("button", {
            type: "button",
            class: "remove",
            title: "Remove",
            "aria-label": `Remove ${title}`,
            onclick: () =>
              this.session.push({ points: state.points.filter((_, other) => other !== at) }),
          }),
        ),
      ),
    );
    const [first] = series;
    const more = series.length < 4 ? "Click for up to four places. " : "";
    const thinned =
      first !== undefined && first.line.every > 1
        ? `, every ${ordinal(first.line.every)} value`
        : "";
    this.hint.textContent =
      first !== undefined
        ? `${variable.title} along ${axis.title}${thinned}. ${more}Their files are below.`
        : `Click on the picture for the values along ${axis.title} there.`;
    if (first === undefined || !known) return;
    const curves = series.map(({ title, line }) => ({
      title,
      values: Array.from(line.values, display.to),
    }));
    this.chart.show(axis, first.line.every, curves, display.units, state.zone);
    this.chart.mark(this.session.positions[axis.name]);
    this.#showTable(axis);
  }

  /** @param {number} position that was clicked */
  #pick(position) {
    const { axis } = this.#axes;
    if (axis !== null) this.session.move(axis.name, position);
  }

  /**
   * The same values as a table, made when it is opened.
   *
   * @param {Axis} axis
   */
  #showTable(axis) {
    const { state, display } = this.session;
    const series = this.#series;
    const summary = /** @type {Node} */ (this.table.firstChild);
    const fill = () => {
      const { every, values } = /** @type {Series} */ (series[0]).line;
      const rows = Array.from({ length: Math.min(values.length, MOST_ROWS) }, (_, at) => [
        labelText(axis, at * every, state.zone),
        ...series.map(({ line }) => numberText(display.to(line.values[at]), 6)),
      ]);
      const left = values.length - rows.length;
      this.table.replaceChildren(
        summary,
        tableOf([axis.title, ...series.map(({ title }) => title)], rows),
        left > 0 ? el("p", { class: "hint" }, `… and ${left} more, which the CSV has`) : "",
      );
    };
    this.table.hidden = false;
    this.table.ontoggle = () => this.table.open && fill();
    if (this.table.open) fill();
  }
}
