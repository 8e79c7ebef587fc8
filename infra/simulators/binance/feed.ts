// Which frames a trade becomes, and in which order: here lie the faults of the stream itself. They depend on the seed and the
// trade alone, so they are the same for every connection and for every run.
import { type Faults, type BinanceFaults } from "../faults";
import { Chance, draw } from "../seeded";
import { type Trade } from "./market";
import { priceText, quantityText } from "./ticker";

export interface Frame {
  readonly stream: string;
  readonly fault: "garbage" | "duplicate" | null;
  /** For the ledger. */
  readonly about: string;
  /** On a connection whose events are wrapped, or on one where they are not. */
  readonly wrapped: string | Buffer;
  readonly raw: string | Buffer;
}

interface Waiting {
  /** When it is sent, in the market's time. */
  readonly due: number;
  readonly frame: Frame;
}

export const streamOf = (symbol: string): string => `${symbol.toLowerCase()}@trade`;

/** An event as both kinds of connections get it. */
export function eventTexts(stream: string, event: unknown): { readonly raw: string; readonly wrapped: string } {
  const raw = JSON.stringify(event);
  return { raw, wrapped: `{"stream":${JSON.stringify(stream)},"data":${raw}}` };
}

export class Feed {
  readonly #seed: number;
  readonly #faults: Pick<Faults<typeof BinanceFaults>, "now">;
  /** By the time at which they are due, then in the order in which they came. */
  #waiting: Waiting[] = [];

  constructor(seed: number, faults: Pick<Faults<typeof BinanceFaults>, "now">) {
    this.#seed = seed;
    this.#faults = faults;
  }

  /** Whether no socket gets this trade. Ids are cut into pieces of the gaps' length, and a piece is left out as a whole. */
  leavesOut({ symbol, id }: Trade): boolean {
    const { gaps, gapLength } = this.#faults.now;
    return draw(this.#seed, "gap", symbol, Math.floor(id / gapLength)) < gaps;
  }

  /** Takes a trade that is to be sent. */
  add(trade: Trade): void {
    const { garbage, duplicates, disorder } = this.#faults.now;
    const { symbol, id, eventTime } = trade;
    const chance = (what: string) => draw(this.#seed, what, symbol, id);
    const stream = streamOf(symbol);
    const about = `${symbol} ${id}`;
    const texts = eventTexts(stream, eventOf(trade));
    const due = eventTime + Math.floor(chance("disorder") * disorder);
    if (chance("garbage") < garbage) this.#wait(due, garbageFrame(stream, trade, this.#seed));
    this.#wait(due, { stream, fault: null, about, ...texts });
    if (chance("duplicate") < duplicates)
      this.#wait(eventTime + Math.floor(chance("disorder of the duplicate") * disorder), {
        stream,
        fault: "duplicate",
        about,
        ...texts,
      });
  }

  /** When the next frame is due. */
  get next(): number {
    return this.#waiting[0]?.due ?? Number.POSITIVE_INFINITY;
  }

  /** Takes out what is due until then, in order. */
  take(until: number): Frame[] {
    const later = this.#waiting.findIndex(({ due }) => due > until);
    return this.#waiting.splice(0, later < 0 ? this.#waiting.length : later).map(({ frame }) => frame);
  }

  #wait(due: number, frame: Frame): void {
    let at = this.#waiting.length;
    while (at > 0 && (this.#waiting[at - 1]?.due ?? 0) > due) at -= 1;
    this.#waiting.splice(at, 0, { due, frame });
  }
}

/** A trade as it is on the wire. */
export function eventOf(trade: Trade): Readonly<Record<string, string | number | boolean>> {
  return {
    e: "trade",
    E: trade.eventTime,
    s: trade.symbol,
    t: trade.id,
    p: priceText(trade.price),
    q: quantityText(trade.quantity),
    T: trade.time,
    m: trade.isBuyerMaker,
    M: true,
  };
}

/** One that nobody can take for a trade. */
function garbageFrame(stream: string, trade: Trade, seed: number): Frame {
  const chance = new Chance(seed, "kind of garbage", trade.symbol, trade.id);
  const kind = chance.pick(["not JSON", "wrong types", "binary", "truncated"] as const);
  const frame = { stream, fault: "garbage", about: `${trade.symbol} ${trade.id}: ${kind}` } as const;
  switch (kind) {
    case "not JSON":
      return { ...frame, raw: "<html>Bad Gateway", wrapped: "<html>Bad Gateway" };
    case "wrong types":
      return {
        ...frame,
        ...eventTexts(stream, {
          e: "trade",
          E: "soon",
          s: trade.symbol,
          t: String(trade.id),
          p: trade.price / 100,
          q: null,
          T: new Date(trade.time).toISOString(),
          m: "no",
          M: 1,
        }),
      };
    case "binary": {
      const bytes = Buffer.from(Array.from({ length: 24 }, () => chance.between(0, 255)));
      return { ...frame, raw: bytes, wrapped: bytes };
    }
    case "truncated": {
      const { raw, wrapped } = eventTexts(stream, eventOf(trade));
      // The last bracket at least is gone.
      const part = (text: string) => text.slice(0, chance.between(1, text.length - 1));
      return { ...frame, raw: part(raw), wrapped: part(wrapped) };
    }
  }
}
