/**
 * Series and profiles as charts, by uPlot, whose points between gaps are drawn too.
 *
 * @typedef {object} Curve
 * @property {string} title
 * @property {number[]} values NaN where nothing is known
 * @typedef {object} ChartAxis
 * @property {boolean} isTime whether coordinates are instants
 * @property {string} units of the values
 * @property {((coordinate: number) => string) | null} words what stands at a coordinate, where it is
 *   not its number
 */
import { el, styled } from "./dom.js";
import { numberText } from "./ticks.js";

const HEIGHT = 240;

/**
 * The places of values that have no neighbour: a line through them is no line (uPlot issue 1042).
 *
 * @param {ArrayLike<number | null | undefined>} values
 * @param {number} from
 * @param {number} to
 * @returns {number[]}
 */
export function isolated(values, from, to) {
  const found = [];
  const known = (/** @type {number} */ at) => values[at] !== null && values[at] !== undefined;
  for (let at = from; at <= to; at++) {
    if (known(at) && !known(at - 1) && !known(at + 1)) found.push(at);
  }
  return found;
}

/** A chart in its own place; a click on it says at which position. */
export class Chart {
  /** @type {uPlot | null} */
  #plot = null;
  #mark = -1;

  /** @param {(position: number) => void} onPick */
  constructor(onPick) {
    this.onPick = onPick;
    this.element = el("div", { class: "chart" });
    new ResizeObserver(() => this.#fit()).observe(this.element);
  }

  /**
   * @param {number[]} coordinates of the axis: seconds since 1970 where it `isTime`
   * @param {Curve[]} curves
   * @param {ChartAxis} axis
   */
  show(coordinates, curves, { isTime, units, words }) {
    this.#plot?.destroy();
    const ink = styled("--muted");
    const grid = { stroke: styled("--line"), width: 1 };
    const font = `12px ${styled("--sans")}`;
    const points = {
      size: 5,
      filter: (/** @type {uPlot} */ plot, /** @type {number} */ series) => {
        const data = /** @type {ArrayLike<number | null>} */ (plot.data[series]);
        return isolated(data, 0, data.length - 1);
      },
    };
    this.#plot = new uPlot(
      {
        width: this.element.clientWidth || 320,
        height: HEIGHT,
        legend: { show: false },
        tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "UTC"),
        scales: { x: { time: isTime } },
        axes: [
          {
            stroke: ink,
            grid,
            ticks: grid,
            font,
            ...(words === null ? {} : { values: (_, ticks) => ticks.map(words) }),
          },
          {
            stroke: ink,
            grid,
            ticks: grid,
            font,
            label: units,
            labelFont: font,
            labelSize: 18,
            size: 56,
            values: (_, ticks) => ticks.map((one) => numberText(one)),
          },
        ],
        series: [
          {},
          ...curves.map((curve, at) => ({
            label: curve.title,
            stroke: styled(`--series-${at + 1}`),
            width: 1.6,
            points: /** @type {any} */ (points),
          })),
        ],
        hooks: { draw: [(plot) => this.#drawMark(plot)] },
      },
      [
        coordinates,
        ...curves.map(({ values }) => values.map((one) => (Number.isNaN(one) ? null : one))),
      ],
      this.element,
    );
    this.#plot.over.addEventListener("click", () => {
      const at = this.#plot?.cursor.idx;
      if (at !== null && at !== undefined) this.onPick(at);
    });
  }

  /** @param {number} position where a line stands: what the picture shows */
  mark(position) {
    this.#mark = position;
    this.#plot?.redraw(false);
  }

  /** @param {uPlot} plot */
  #drawMark(plot) {
    const at = plot.data[0][this.#mark];
    if (at === undefined) return;
    const { ctx, bbox } = plot;
    const x = Math.round(plot.valToPos(at, "x", true));
    ctx.save();
    ctx.fillStyle = styled("--accent");
    ctx.fillRect(x - 1, bbox.top, 2, bbox.height);
    ctx.restore();
  }

  #fit() {
    if (this.#plot !== null && this.element.clientWidth > 0) {
      this.#plot.setSize({ width: this.element.clientWidth, height: HEIGHT });
    }
  }
}
