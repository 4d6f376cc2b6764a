/**
 * What reads much: what it costs is said first, and it is read in pieces for who wants that.
 *
 * @import { Line, Weight } from "./cost.js"
 * @import { Session } from "./session.js"
 */
import { isMuch, NEAREST, piecesOf, readPiece, weigh, wholeOf } from "./cost.js";
import { button, el } from "./dom.js";
import { stepsIn } from "./queries.js";
import { bytesText, errorText, Latest } from "./requests.js";

/**
 * @param {Weight} weight
 * @param {number} [times]
 */
export function costText({ chunks, bytes }, times = 1) {
  const count = chunks * times;
  const words = count === 1 ? "1 chunk" : `${count.toLocaleString("en")} chunks`;
  return `${words}, ${bytesText(bytes * times)}`;
}

/** What is said of the cost of a view, with what can be done; and the reading in pieces. */
export class CostRow {
  reading = new Latest();
  element = el("div", { class: "cost", role: "status" });

  /** @param {(Node | null)[]} parts what is said; nothing clears it */
  tell(...parts) {
    this.element.replaceChildren(...parts.filter((one) => one !== null));
  }

  /**
   * Read pieces one after the other, until somebody cancels.
   *
   * @template Piece
   * @param {Piece[]} pieces
   * @param {string} unit what pieces are counted in
   * @param {(piece: Piece) => number} sizeOf how many of these a piece has
   * @param {number} bytes of one of these
   * @param {(piece: Piece, signal: AbortSignal) => Promise<void>} read
   * @returns {Promise<string | null>} how it ended; null where something else is wanted
   */
  async read(pieces, unit, sizeOf, bytes, read) {
    const all = pieces.reduce((sum, one) => sum + sizeOf(one), 0);
    const bar = el("progress", { max: all, "aria-label": "Reading" });
    const words = el("span", {});
    let [done, stopped] = [0, false];
    const step = (/** @type {number} */ more) => {
      done += more;
      bar.value = done;
      words.textContent = `${done} of ${all} ${unit}, ${bytesText(done * bytes)} of ${bytesText(all * bytes)}`;
    };
    step(0);
    const cancel = button("Cancel", () => {
      stopped = true;
      this.reading.cancel();
    });
    this.tell(bar, words, cancel);
    try {
      const whole = await this.reading.run(async (signal) => {
        for (const piece of pieces) {
          await read(piece, signal);
          if (signal.aborted) return;
          step(sizeOf(piece));
        }
        return true;
      });
      return whole || stopped ? `${done} of ${all} ${unit} were read.` : null;
    } catch (error) {
      return errorText(error);
    }
  }
}

/** The reading of lines, of one or of several alike. */
export class LineReader {
  row = new CostRow();

  /**
   * @param {Session} session
   * @param {() => void} onRead more is there than before
   * @param {(() => void) | null} onDrop nothing more is wanted
   */
  constructor(session, onRead, onDrop) {
    this.session = session;
    this.onRead = onRead;
    this.onDrop = onDrop;
  }

  /**
   * Read what is not there: at once where that is little, else after a question.
   *
   * @param {Line[]} lines
   */
  async read(lines) {
    const left = lines.filter(isOpen);
    const [first] = left;
    this.row.tell();
    await this.row.reading.run(async (signal) => {
      if (first === undefined) return;
      const weight = await weigh(this.session, first, left.length, signal);
      if (isMuch(weight, left.length)) this.offer(left, weight);
      else await Promise.all(left.map((one) => readPiece(this.session, one, wholeOf(one), signal)));
    });
  }

  /**
   * Say what lines cost, and ask how much of them is wanted.
   *
   * @param {Line[]} lines
   * @param {Weight} weight of one of them
   * @param {string} [words]
   */
  offer(lines, weight, words) {
    const { axis } = /** @type {Line} */ (lines[0]);
    const said = `All along ${axis.title} this reads ${costText(weight, lines.length)}.`;
    const few = axis.size > NEAREST && words === undefined;
    const read = (/** @type {number} */ reach) => this.#pieces(lines, weight, reach);
    this.row.tell(
      el("p", {}, words ?? said),
      few ? button(`The nearest ${NEAREST} steps`, () => read(NEAREST / 2)) : null,
      button("In pieces", () => read(axis.size)),
      this.onDrop && button("Cancel", this.onDrop),
    );
  }

  /**
   * Read lines in pieces from the current step outward, told as they come, until somebody cancels;
   * what has come stays.
   *
   * @param {Line[]} lines
   * @param {Weight} weight
   * @param {number} reach
   */
  async #pieces(lines, weight, reach) {
    const { positions, most } = this.session;
    const { axis } = /** @type {Line} */ (lines[0]);
    const of = (/** @type {Line} */ line) =>
      piecesOf(line, weight, most, positions[axis.name], reach).map((piece, round) => ({
        line,
        piece,
        round,
      }));
    // Round by round: all lines grow alike.
    const pieces = lines.flatMap(of).sort((one, other) => one.round - other.round);
    const words = await this.row.read(
      pieces,
      "steps",
      ({ piece }) => stepsIn(piece),
      weight.bytes / axis.size,
      async ({ line, piece }, signal) => {
        await readPiece(this.session, line, piece, signal);
        if (!signal.aborted) this.onRead();
      },
    );
    const left = lines.filter(isOpen);
    if (words !== null && left.length > 0) this.offer(left, weight, words);
    else if (words !== null) this.row.tell();
  }
}

/** @param {Line} line */
function isOpen({ read }) {
  return read.includes(0);
}
