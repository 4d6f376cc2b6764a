/**
 * Series and profiles as charts, by uPlot, whose points between gaps are drawn too.
 *
 * @typedef {object} Curve
 * @property {string} title
 * @property {number[]} values NaN where nothing is known
 * @import { Axis } from "./dataset.js"
 */
import { coordinateAt, isInstants, labelAt } from "./dataset.js";
import { el, onOtherStyles, styled } from "./dom.js";
import { numberText } from "./ticks.js";

const HEIGHT = 240;
// What stands at instants, by the distance between two of them: clocks of 24 hours, dates as ISO has
// them. A row: from so many seconds on, what stands at each, and what more where a year, a day or an
// hour begins.
const DAY = "\n{YYYY}-{MM}-{DD}";
/** @type {any} */
const CLOCK = [
  [31_536_000, "{YYYY}", null, null, null, null, null, null, 1],
  [2_419_200, "{YYYY}-{MM}", null, null, null, null, null, null, 1],
  [86_400, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
  [60, "{HH}:{mm}", DAY, null, DAY, null, null, null, 1],
  [0.001, "{HH}:{mm}:{ss}", DAY, null, DAY, null, null, null, 1],
];
const plain = (/** @type {number} */ value) => numberText(value);

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
  #every = 1;
  #upright = false;
  /** @type {number[]} the positions, by their coordinates from low to high, as uPlot wants them */
  #order = [];

  /** @param {(position: number) => void} onPick */
  constructor(onPick) {
    this.onPick = onPick;
    this.element = el("div", { class: "chart" });
    new ResizeObserver(() => this.#fit()).observe(this.element);
    onOtherStyles(() => this.#plot?.redraw());
  }

  /**
   * @param {Axis} axis
   * @param {number} every so many positions of it have values
   * @param {Curve[]} curves
   * @param {string} units of the values
   * @param {string} zone of instants
   */
  show(axis, every, curves, units, zone) {
    this.#plot?.destroy();
    const isTime = isInstants(axis);
    const upright = axis.role === "Z";
    [this.#every, this.#upright] = [every, upright];
    const isCounted = axis.kind === "text" || (axis.kind === "time" && !isTime);
    const words = (/** @type {number} */ at) => {
      if (!isCounted) return numberText(at);
      return Number.isInteger(at) ? String(labelAt(axis, at) ?? at).replace(/T00:00:00$/, "") : "";
    };
    // Of a long axis not all labels need be known.
    const isKnown = (/** @type {number} */ at) =>
      axis.step !== null || labelAt(axis, at * every) !== null;
    const coordinates = Array.from(curves[0].values, (_, at) =>
      isKnown(at) ? coordinateAt(axis, at * every) / (isTime ? 1000 : 1) : Number.NaN,
    );
    const order = coordinates.map((_, at) => at).filter(isKnown);
    const place = (/** @type {number} */ at) => /** @type {number} */ (coordinates[at]);
    this.#order = order.sort((one, other) => place(one) - place(other));
    const ink = () => styled("--muted");
    const grid = { stroke: () => styled("--line"), width: 1 };
    const font = `12px ${styled("--sans")}`;
    const common = { stroke: ink, grid, ticks: grid, font };
    const labelled = { label: units, labelFont: font, labelSize: 18 };
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
        tzDate: (at) => uPlot.tzDate(new Date(at * 1000), zone),
        scales: {
          x: { time: isTime, ...(upright ? { ori: 1, dir: axis.down ? -1 : 1 } : {}) },
          y: upright ? { ori: 0 } : {},
        },
        axes: [
          {
            ...common,
            ...(upright ? { side: 3, size: 56 } : {}),
            ...(isTime ? { values: CLOCK } : { values: (_, ticks) => ticks.map(words) }),
          },
          {
            ...common,
            ...labelled,
            ...(upright ? { side: 2, space: 64 } : { size: 56 }),
            values: (_, ticks) => ticks.map(plain),
          },
        ],
        series: [
          {},
          ...curves.map((curve, at) => ({
            label: curve.title,
            stroke: () => styled(`--series-${at + 1}`),
            width: 1.6,
            points: /** @type {any} */ (points),
          })),
        ],
        hooks: { draw: [(plot) => this.#drawMark(plot)] },
      },
      [
        this.#order.map(place),
        ...curves.map(({ values }) =>
          this.#order.map((at) => (Number.isNaN(values[at]) ? null : values[at])),
        ),
      ],
      this.element,
    );
    this.#plot.over.addEventListener("click", () => {
      const at = this.#plot?.cursor.idx;
      if (at !== null && at !== undefined) this.onPick(this.#order[at] * every);
    });
  }

  /** @param {number} position where a line stands: what the picture shows */
  mark(position) {
    const mark = Math.round(position / this.#every);
    if (mark === this.#mark) return;
    this.#mark = mark;
    this.#plot?.redraw(false);
  }

  /** @param {uPlot} plot */
  #drawMark(plot) {
    const at = plot.data[0][this.#order.indexOf(this.#mark)];
    if (at === undefined) return;
    const { ctx, bbox } = plot;
    const place = Math.round(plot.valToPos(at, "x", true)) - 1;
    ctx.save();
    ctx.fillStyle = styled("--accent");
    if (this.#upright) ctx.fillRect(bbox.left, place, bbox.width, 2);
    else ctx.fillRect(place, bbox.top, 2, bbox.height);
    ctx.restore();
  }

  #fit() {
    const width = this.element.clientWidth;
    if (width > 0 && width !== this.#plot?.width) this.#plot?.setSize({ width, height: HEIGHT });
  }
}
