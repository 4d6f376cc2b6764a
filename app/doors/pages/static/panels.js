/**
 * What stands beside the picture: the series of a place, the files to take away, the lines of code.
 *
 * @import { Axis, Dataset, Variable } from "./dataset.js"
 * @import { State } from "./state.js"
 */
import { Chart } from "./chart.js";
import { labelText } from "./controls.js";
import { coordinateAt } from "./dataset.js";
import { el } from "./dom.js";
import { numberText } from "./ticks.js";

/**
 * @typedef {object} Series Values along one dimension at one place.
 * @property {string} title names the cell whose values these are
 * @property {Float32Array | Float64Array} values
 */

/** The chart of up to four places along one dimension. */
export class SeriesPanel {
  /** @type {Axis | null} */
  #axis = null;

  /** @param {(position: number) => void} onPick a place of the axis was clicked */
  constructor(onPick) {
    this.chart = new Chart(onPick);
    this.title = el("h2", {}, "Series");
    this.words = el("p", { class: "hint" }, "Click on the map for the values along time there.");
    this.legend = el("ul", { class: "legend" });
    this.table = el("details", { class: "table", hidden: true }, el("summary", {}, "As a table"));
    this.element = el(
      "section",
      { class: "panel series", "aria-label": "Series" },
      this.title,
      this.words,
      this.legend,
      this.chart.element,
      this.table,
    );
  }

  /**
   * @param {Axis} axis
   * @param {Series[]} series
   * @param {Variable} variable
   * @param {State} state
   */
  show(axis, series, variable, state) {
    this.#axis = axis;
    this.words.textContent = `${variable.title} along ${axis.title}`;
    this.legend.replaceChildren(
      ...series.map(({ title }, at) =>
        el("li", {}, el("span", { class: `swatch series-${at + 1}` }), title),
      ),
    );
    const isTime = axis.kind === "time" && axis.calendar !== null && coordinateAt(axis, 0) > 1e6;
    const coordinates = Array.from({ length: axis.size }, (_, at) =>
      isTime ? coordinateAt(axis, at) / 1000 : coordinateAt(axis, at),
    );
    const curves = series.map(({ title, values }) => ({ title, values: [...values] }));
    this.chart.show(coordinates, curves, { isTime, units: variable.units });
    this.#showTable(axis, series, state);
  }

  /** @param {number} position what the picture shows of the chart's axis */
  mark(position) {
    if (this.#axis !== null) this.chart.mark(position);
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

/**
 * The files that hold what the view shows, as links.
 *
 * @param {Dataset} dataset
 * @param {(format: string) => string} address
 */
export function filesPanel(dataset, address) {
  const formats = [
    ["csv", "CSV"],
    ["netcdf", "NetCDF"],
    ["json", "JSON"],
  ];
  const links = formats.map(([format, words]) =>
    el(
      "a",
      { class: "button", href: address(String(format)), download: dataset.id },
      String(words),
    ),
  );
  return el(
    "section",
    { class: "panel files", "aria-label": "Get it" },
    el("h2", {}, "Get it"),
    ...links,
  );
}
