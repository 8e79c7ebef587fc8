// What each request weighs, and how much of that an address has used in this minute.
import { type Asked } from "../simulator-server";

const MINUTE = 60_000;
/** What the exchange allowed when this was written. */
export const WEIGHT_LIMIT = 6000;

const FIXED: Readonly<Record<string, number>> = {
  "/api/v3/exchangeInfo": 20,
  "/api/v3/trades": 25,
  "/api/v3/historicalTrades": 25,
};

function weightOf({ path, query }: Asked): number {
  if (path !== "/api/v3/ticker/24hr") return FIXED[path] ?? 1;
  if (query.has("symbol")) return 2;
  const symbols = query.get("symbols")?.split(",").length ?? Number.POSITIVE_INFINITY;
  return symbols <= 20 ? 2 : symbols <= 100 ? 40 : 80;
}

export class Weights {
  readonly #limit: number;
  #minute = 0;
  #used = new Map<string, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Counts a request at this time. */
  weigh(asked: Asked, time: number): { headers: Record<string, string>; waitSeconds: number | null } {
    const minute = Math.floor(time / MINUTE);
    if (minute !== this.#minute) this.#used = new Map();
    this.#minute = minute;
    const used = (this.#used.get(asked.from) ?? 0) + weightOf(asked);
    this.#used.set(asked.from, used);
    return {
      headers: { "x-mbx-used-weight": String(used), "x-mbx-used-weight-1m": String(used) },
      waitSeconds: used > this.#limit ? Math.ceil(((minute + 1) * MINUTE - time) / 1000) : null,
    };
  }
}
