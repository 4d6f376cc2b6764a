/**
 * The view of two dimensions: a map, a section, a Hovmoller diagram, an image.
 *
 * @import { Slices } from "./cost.js"
 * @import { Field, Wanted } from "./fields.js"
 * @import { Film } from "./animation.js"
 * @import { Slice } from "./queries.js"
 * @import { OnProgress } from "./requests.js"
 * @import { Session } from "./session.js"
 * @import { Range, State } from "./state.js"
 * @typedef {object} Cell
 * @property {number} index among the values
 * @property {[number, number]} point its centre
 * @property {string} place the same for people
 */
import { Player } from "./animation.js";
import { Colours } from "./colours.js";
import { labelText, shownText } from "./controls.js";
import { tilesOf } from "./cost.js";
import { coordinateAt, labelAt } from "./dataset.js";
import { button, el } from "./dom.js";
import { emptyField, readField, readLevels, readPart, wantedField } from "./fields.js";
import { Figure } from "./figure.js";
import { windowOf } from "./mesh.js";
import { CostRow, costText } from "./pieces.js";
import { seriesAxis } from "./queries.js";
import { cellAt, TURN } from "./raster.js";
import {
  colourTable,
  LEVELS,
  levelsOf,
  MISSING,
  quantise,
  scaleOf,
  summaryOf,
  usualRange,
} from "./scales.js";
import { MOST_POINTS } from "./state.js";
import { degreeText, numberText, ordinal } from "./ticks.js";

export class FieldStage {
  /** @type {Field | null} */
  #field = null;
  /** @type {Range} */
  #range = { low: 0, high: 1 };
  // What the picture is coloured by.
  #coloured = "";
  #meshed = "";
  #made = levelsOf(this.#range, "linear");
  /** @type {Uint8Array} the frame of a film */
  #levels = new Uint8Array(0);
  // The key of the picture that a film began with; frames are no other pictures.
  #playing = "";

  /**
   * @param {Session} session
   */
  constructor(session) {
    this.session = session;
    this.readout = el("output", { class: "readout" }, "Point at the picture to read a value.");
    this.told = el("span", { class: "told" });
    this.highest = el("span", { class: "highest" });
    this.figure = new Figure({
      onBox: (box) => session.replace({ box }),
      onPoint: (x, y) => this.#read(x, y),
      onPick: (x, y) => this.#pick(x, y),
      onKey: (key) => this.#onKey(key),
    });
    this.player = new Player(() => this.#film());
    this.row = new CostRow();
    this.colours = new Colours((change, done) => this.#recolour(change, done));
    this.element = el(
      "div",
      { class: "field" },
      this.figure.element,
      el("div", { class: "under" }, this.readout, this.highest, this.told),
      this.row.element,
      this.player.element,
    );
    /** What stands beside the picture. */
    this.side = this.colours.element;
  }

  /** @returns {Range} of the colours, as they are now */
  get range() {
    return this.#range;
  }

  /**
   * The positions along the axis across (0) or along (1) that are looked at, where cells lie on a mesh.
   *
   * @param {number} place
   */
  window(place) {
    const { box } = this.session.state;
    const { mesh = null, wanted = null } = this.#field ?? {};
    if (mesh === null || wanted === null || box === null) return null;
    const { start, step } = place === 0 ? wanted.slices.x : wanted.slices.y;
    const ends = windowOf(mesh, box);
    const [first, last] = [ends[place], ends[place + 2]];
    return first < last ? `${start + first * step}:${start + (last - 1) * step + 1}` : null;
  }

  /** What would be fetched; another one is another picture. */
  get key() {
    return this.#playing || JSON.stringify(wantedField(this.session).queries);
  }

  /**
   * @param {AbortSignal} signal
   * @param {OnProgress} onProgress
   */
  async load(signal, onProgress) {
    this.row.reading.cancel();
    const wanted = await this.session.weighed(() => wantedField(this.session), signal);
    const meshed = JSON.stringify([this.session.grid, wanted.slices]);
    const known = meshed === this.#meshed ? (this.#field?.mesh ?? null) : null;
    // What nothing can be left out of is read when that is agreed to.
    const read = wanted.cost.slices !== null;
    this.#field = read ? await readField(this.session, wanted, signal, known, onProgress) : null;
    this.#meshed = meshed;
    this.#coloured = "";
    this.#offer(wanted);
  }

  /**
   * Say what all of a picture costs, and ask whether that is wanted.
   *
   * @param {Wanted} wanted
   * @param {string} [words]
   * @param {Slices[]} [left] its pieces that are not there
   * @param {number} [each] bytes of one
   */
  #offer(wanted, words, left, each) {
    const { session } = this;
    const { much, whole: all } = wanted.cost;
    if (much === null) return this.row.tell();
    const axes = [wanted.across, wanted.along];
    const at = Object.fromEntries(
      axes.map(({ name }) => {
        const middle = (all[name].start + all[name].stop) >> 1;
        return [name, name in session.state.fixed ? session.positions[name] : middle];
      }),
    );
    const tiles = left ?? tilesOf(session.variable, all, much, session.most, at);
    const bytes = each ?? much.bytes / tiles.length;
    const alone = tiles.length < 2 && much.refused;
    const said = `All of it reads ${costText(much)}${alone ? ", more than one request may" : ""}.`;
    // Labels that only answers tell are known of what is read at once.
    const known = axes.every((axis) => labelAt(axis, axis.size >> 1) !== null);
    const text = tiles.length > 1 ? "In pieces" : "Read it";
    this.row.tell(
      el("p", {}, words ?? said),
      known && !alone ? button(text, () => this.#pieces(wanted, tiles, bytes)) : null,
    );
  }

  /**
   * Read a picture in pieces, drawn as they come.
   *
   * @param {Wanted} wanted
   * @param {Slices[]} tiles
   * @param {number} bytes of each
   */
  async #pieces(wanted, tiles, bytes) {
    const { session } = this;
    const left = [...tiles];
    // What came before somebody cancelled stays.
    let field = this.#field?.read ? this.#field : null;
    const words = await this.row.read(
      tiles,
      "pieces",
      () => 1,
      bytes,
      async (tile, signal) => {
        field ??= await emptyField(session, wanted, signal);
        field = await readPart(session, field, tile, signal);
        if (signal.aborted) return;
        left.shift();
        this.#field = field;
        this.#coloured = "";
        this.draw();
      },
    );
    if (words !== null && left.length > 0) this.#offer(wanted, words, left, bytes);
    else if (words !== null) this.row.tell();
  }

  /** Show what the state says of colours, box and points. */
  draw() {
    this.figure.element.hidden = this.#field === null;
    this.player.element.hidden = !Player.allowed || this.#axis === null || !this.#isWhole;
    if (this.#field === null) return;
    const { state } = this.session;
    this.#checkFilm();
    const key = JSON.stringify([
      state.scaling,
      state.range,
      state.cmap,
      state.reverse,
      state.units,
    ]);
    if (key !== this.#coloured) this.#colour(this.#field, state);
    this.#coloured = key;
    this.figure.setBox(state.box);
    this.figure.setMarks(state.points);
  }

  /**
   * What takes a walk over all values: the usual range, the histogram, what is missing.
   *
   * @param {Field} field
   * @param {State} state
   */
  #colour(field, state) {
    const { values, wanted, usual } = field;
    const { scaling } = state;
    usual[scaling] ??= usualRange(values, scaling) ?? { low: 0, high: 1 };
    this.#range = state.range ?? usual[scaling];
    field.summary ??= summaryOf(values);
    const { summary } = field;
    this.colours.show(values, summary, state, this.#range, this.session.display);
    this.#paint(state);
    const missing = field.read?.includes(0) ? "" : missingText(summary);
    const stride = strideText(wanted.slices);
    this.told.textContent = missing + (missing && stride ? " · " : "") + stride;
    const { top } = summary;
    const cell = top < 0 ? null : this.#cell(top);
    const among = stride || field.read?.includes(0) ? " of the cells shown" : "";
    this.highest.textContent = cell && `highest${among}: ${this.#valueText(cell)} at ${cell.place}`;
    this.figure.overlay.setAttribute("aria-label", this.#summary(summary));
  }

  /** @param {number} factor */
  zoom(factor) {
    this.figure.zoom(factor);
  }

  /** @param {State} state */
  #paint(state) {
    if (this.#field === null) return;
    this.figure.setTable(colourTable(state.cmap, state.reverse));
    // A film has its levels from elsewhere.
    if (this.#playing !== "") return;
    const made = levelsOf(this.#range, state.scaling);
    if (`${Object.values(made)}` !== `${Object.values(this.#made)}`) this.#made = made;
    this.figure.setField({ ...this.#field, levels: this.#made });
  }

  /**
   * A drag recolours the picture alone; its end is the address's matter.
   *
   * @param {Partial<State>} change
   * @param {boolean} done
   */
  #recolour(change, done) {
    if (done) {
      this.session.replace(change);
      return;
    }
    const state = { ...this.session.state, ...change };
    this.#range = change.range ?? this.#range;
    this.colours.showRange(state, this.#range);
    this.#paint(state);
  }

  /** @param {{ low: number, high: number }} summary */
  #summary({ low, high }) {
    const { display } = this.session;
    const [from, to] = [low, high].map((end) => numberText(display.to(end)));
    return `${shownText(this.session)}, from ${from} to ${to} ${display.units}`.trim();
  }

  /**
   * The value of the cell around a place, and where that cell truly is.
   *
   * @param {number} x
   * @param {number} y
   */
  #read(x, y) {
    const cell = this.#cellAt(x, y);
    if (cell === null || this.#field === null) {
      this.readout.textContent = "";
      return;
    }
    this.readout.replaceChildren(el("b", {}, this.#valueText(cell)), ` at ${cell.place}`);
  }

  /** @param {Cell} cell */
  #valueText({ index }) {
    const { display, state } = this.session;
    const film = this.#playing !== "";
    let value = Number(this.#field?.values[index]);
    if (film) {
      const level = this.#levels[index];
      const share = level === MISSING ? Number.NaN : level / (LEVELS - 1);
      value = scaleOf(this.#range, state.scaling).value(share);
    }
    if (Number.isNaN(value)) return this.#field?.read?.[index] === 0 ? "not read" : "no data";
    return `${film ? "≈ " : ""}${numberText(display.to(value), film ? 3 : 5)} ${display.units}`.trim();
  }

  /**
   * @param {number} x
   * @param {number} y
   * @returns {Cell | null}
   */
  #cellAt(x, y) {
    if (this.#field === null) return null;
    const { mesh, x: columns, y: rows } = this.#field;
    const each = mesh?.columns ?? columns.edges.length - 1;
    let [column, row] = [cellAt(columns, x), cellAt(rows, y)];
    if (mesh !== null) {
      const cell = this.figure.cellAt(x, y);
      [column, row] = [cell < 0 ? -1 : cell % each, Math.floor(cell / each)];
    }
    return column < 0 || row < 0 ? null : this.#cell(row * each + column);
  }

  /**
   * @param {number} index
   * @returns {Cell}
   */
  #cell(index) {
    const { wanted, mesh, x: columns } = /** @type {Field} */ (this.#field);
    const { across, along, slices } = wanted;
    const each = mesh?.columns ?? columns.edges.length - 1;
    const [column, row] = [index % each, Math.floor(index / each)];
    const at = {
      [across.name]: (slices.x.start + column * slices.x.step) % across.size,
      [along.name]: slices.y.start + row * slices.y.step,
    };
    if (mesh !== null) {
      const point = /** @type {[number, number]} */ ([
        mesh.longitudes[index],
        mesh.latitudes[index],
      ]);
      const place = `${degreeText(point[1], "Y")}, ${degreeText(point[0], "X")}`;
      return { index, point, place };
    }
    const words = [along, across].map((axis) =>
      labelText(axis, at[axis.name], this.session.state.zone),
    );
    const [x0, y0] = [across, along].map((axis) => coordinateAt(axis, at[axis.name]));
    return { index, point: [x0, y0], place: words.join(", ") };
  }

  /**
   * @param {number} x
   * @param {number} y
   */
  #pick(x, y) {
    const cell = this.#cellAt(x, y);
    if (cell === null || this.#field === null) return;
    const { across, mesh } = this.#field;
    const [x0, y0] = cell.point;
    // One place has one address, whichever way its store counts longitudes.
    const turns = across.wraps || mesh !== null ? Math.floor((x0 + TURN / 2) / TURN) : 0;
    /** @type {[number, number]} */
    const point = [x0 - TURN * turns, y0];
    const { points } = this.session.state;
    if (points.some(([x1, y1]) => x1 === point[0] && y1 === point[1])) return;
    this.session.push({ points: [...points.slice(0, MOST_POINTS - 1), point] });
  }

  /** Whether the picture is what one answer has: that of another step is as large. */
  get #isWhole() {
    return this.#field !== null && this.#field.read === null;
  }

  /** The dimension that keys step along, and films. */
  get #axis() {
    const { dataset, variable, state } = this.session;
    const axis = seriesAxis(dataset, variable, [state.x, state.y]);
    return axis !== null && axis.size > 1 ? axis : null;
  }

  /** @param {string} key */
  #onKey(key) {
    const by = { "[": -1, "]": 1 }[key] ?? 0;
    if (by === 0 && key !== " ") return false;
    const axis = this.#axis;
    if (axis !== null && by === 0) this.player.toggle();
    else if (axis !== null) this.session.move(axis.name, this.session.positions[axis.name] + by);
    return true;
  }

  /** @returns {Promise<Film | null>} of the picture as it is now, its range held */
  async #film() {
    const axis = this.#axis;
    const field = this.#field;
    if (axis === null || field === null || !this.#isWhole) return null;
    const { session } = this;
    if (session.state.range === null) session.replace({ range: this.#range });
    const { scaling } = session.state;
    const range = this.#range;
    this.#playing = this.key;
    this.#filmed = this.#filmKey();
    const wantedAt = (/** @type {number} */ position) =>
      wantedField(session, { ...session.positions, [axis.name]: position });
    return {
      size: axis.size,
      bytes: field.values.length,
      position: session.positions[axis.name],
      read: async (position, signal) => {
        const wanted = wantedAt(position);
        // Levels of logarithms are not the server's, which are even.
        if (scaling !== "log") {
          return readLevels(session, wanted, `${range.low},${range.high}`, signal);
        }
        const { values } = await readField(session, wanted, signal, field.mesh);
        return quantise(values, levelsOf(range, scaling));
      },
      show: (position, levels) => {
        this.#levels = levels;
        this.highest.textContent = "";
        this.figure.setField({ ...field, values: levels, levels: null });
        session.pass(axis.name, position);
      },
      end: (position) => {
        // The frame is still there when its values come.
        this.#playing = "";
        if (session.positions[axis.name] === position) session.move(axis.name, position, true);
        else session.replace({});
      },
    };
  }

  #filmed = "";

  /** What a film is made of; other colours are no other film. */
  #filmKey() {
    const { session } = this;
    const axis = this.#axis;
    const still = axis === null ? {} : { ...session.positions, [axis.name]: 0 };
    const { range, scaling } = session.state;
    return JSON.stringify([axis?.name, wantedField(session, still).queries, range, scaling]);
  }

  /** A film ends where something else is chosen, a frame by hand too. */
  #checkFilm() {
    if (!this.player.playing || this.#axis === null) return;
    const moved = this.session.positions[this.#axis.name] !== this.player.position;
    if (moved || this.#filmKey() !== this.#filmed) this.player.stop();
  }
}

/** @param {{ x: Slice, y: Slice }} slices */
function strideText({ x, y }) {
  const most = Math.max(x.step, y.step);
  return most > 1 ? `every ${ordinal(most)} cell` : "";
}

/** @param {{ count: number, missing: number }} summary */
function missingText({ count, missing }) {
  if (missing === count) return "no data in this slice";
  if (missing === 0) return "";
  const share = (100 * missing) / count;
  return `no data: ${share.toFixed(share < 10 ? 1 : 0)} %`;
}
