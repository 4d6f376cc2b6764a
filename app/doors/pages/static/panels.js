/**
 * What stands beside the picture: the series of a place, the files to take away, the lines of code.
 *
 * @import { Axis } from "./dataset.js"
 * @import { Session } from "./session.js"
 * @import { State } from "./state.js"
 */
import { Chart } from "./chart.js";
import { chartAxis, labelText } from "./controls.js";
import { coordinateAt, nearest } from "./dataset.js";
import { el } from "./dom.js";
import { lineQuery, seriesAxis, valuesOf } from "./queries.js";
import { Latest } from "./requests.js";
import { degreeText, numberText } from "./ticks.js";

/**
 * @typedef {object} Series Values along one dimension at one place.
 * @property {string} title names the cell whose values these are
 * @property {Float32Array | Float64Array} values
 */

/** The chart of up to four places along one dimension. */
export class SeriesPanel {
  #shown = "";
  #tracing = new Latest();

  /** @param {Session} session */
  constructor(session) {
    this.session = session;
    this.chart = new Chart((position) => this.#pick(position));
    this.hint = el("p", { class: "hint" }, "Click on the picture for the values along time there.");
    this.legend = el("ul", { class: "legend" });
    this.table = el("details", { class: "table", hidden: true }, el("summary", {}, "As a table"));
    this.element = el(
      "section",
      { class: "panel series", "aria-label": "Series" },
      el("h2", {}, "Series"),
      this.hint,
      this.legend,
      this.chart.element,
      this.table,
    );
  }

  /** @returns {Axis | null} the dimension that the chart runs along */
  get #axis() {
    const { dataset, variable, state } = this.session;
    return seriesAxis(dataset, variable, [state.x, state.y]);
  }

  /** Show the series of the points of the state, fetched where they are others than before. */
  async update() {
    const { state, variable, positions, fixedAxes } = this.session;
    const axis = this.#axis;
    const none = axis === null || state.x === null || state.y === null;
    this.element.hidden = none;
    if (none) return;
    const others = fixedAxes.filter((one) => one !== axis).map((one) => positions[one.name]);
    const key = JSON.stringify([
      variable.name,
      axis.name,
      state.x,
      state.y,
      others,
      state.points,
      state.zone,
    ]);
    if (key !== this.#shown) {
      const found = await this.#tracing.run((signal) =>
        Promise.all(state.points.map((point) => this.#fetch(axis, point, signal))),
      );
      if (found === undefined) return;
      this.#shown = key;
      this.#show(axis, found);
    }
    this.chart.mark(positions[axis.name]);
  }

  /**
   * @param {Axis} axis
   * @param {[number, number]} point
   * @param {AbortSignal} signal
   * @returns {Promise<Series>}
   */
  async #fetch(axis, point, signal) {
    const { requests, state, variable, positions, isel, grid } = this.session;
    if (grid !== null) {
      // Of such a grid the server knows which cell is nearest.
      const own = variable.dims.filter((name) => !grid.dims.includes(name));
      const query = lineQuery({ ...variable, dims: own }, axis.name, positions);
      const file = await requests.bin(isel, [...query, ["at", point.join(",")]], { signal });
      const [lat, lon] = [grid.latitude, grid.longitude].map((name) =>
        Number(file.arrays.get(name)?.data[0] ?? Number.NaN),
      );
      const title = `${degreeText(lat, "Y")}, ${degreeText(lon, "X")}`;
      return { title, values: valuesOf(file, variable.name) };
    }
    const [across, along] = [state.x, state.y].map((name) => this.session.axis(String(name)));
    const at = { [across.name]: nearest(across, point[0]), [along.name]: nearest(along, point[1]) };
    const query = lineQuery(variable, axis.name, { ...positions, ...at });
    const file = await requests.bin(isel, query, { signal });
    const place = [along, across].map((one) => labelText(one, at[one.name], state.zone));
    return { title: place.join(", "), values: valuesOf(file, variable.name) };
  }

  /**
   * @param {Axis} axis
   * @param {Series[]} series
   */
  #show(axis, series) {
    const { variable, state } = this.session;
    this.chart.element.hidden = series.length === 0;
    this.table.hidden = series.length === 0;
    this.legend.replaceChildren(
      ...series.map(({ title }, at) =>
        el("li", {}, el("span", { class: `swatch series-${at + 1}` }), title),
      ),
    );
    this.hint.textContent =
      series.length > 0
        ? `${variable.title} along ${axis.title}`
        : `Click on the picture for the values along ${axis.title} there.`;
    if (series.length === 0) return;
    const { isTime, words } = chartAxis(axis);
    const coordinates = Array.from({ length: axis.size }, (_, at) =>
      isTime ? coordinateAt(axis, at) / 1000 : coordinateAt(axis, at),
    );
    const curves = series.map(({ title, values }) => ({ title, values: [...values] }));
    this.chart.show(coordinates, curves, { isTime, words, units: variable.units });
    this.#showTable(axis, series, state);
  }

  /** @param {number} position of the axis that was clicked */
  #pick(position) {
    const axis = this.#axis;
    if (axis !== null) this.session.move(axis.name, position);
  }

  /**
   * The same values as a table, made when it is opened.
   *
   * @param {Axis} axis
   * @param {Series[]} series
   * @param {State} state
   */
  #showTable(axis, series, state) {
    const summary = /** @type {Node} */ (this.table.firstChild);
    const fill = () => {
      const rows = Array.from({ length: axis.size }, (_, at) =>
        el(
          "tr",
          {},
          el("th", { scope: "row" }, labelText(axis, at, state.zone)),
          ...series.map(({ values }) => el("td", {}, numberText(Number(values[at]), 6))),
        ),
      );
      const heads = series.map(({ title }) => el("th", { scope: "col" }, title));
      const head = el("tr", {}, el("th", { scope: "col" }, axis.title), ...heads);
      const table = el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows));
      this.table.replaceChildren(summary, el("div", { class: "scrolled", tabindex: "0" }, table));
    };
    this.table.hidden = false;
    this.table.ontoggle = () => this.table.open && fill();
    if (this.table.open) fill();
  }
}
