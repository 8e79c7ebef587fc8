// How long trades wait until a row counts them, and windows until theirs is whole: told when each trade is made and what each
// row counts, it answers in percentiles.

/** Whole milliseconds; what waits longer is in the last. */
const LONGEST = 300_000;

/** Very many delays in little memory. */
export class Delays {
  readonly #counts = new Uint32Array(LONGEST + 1);
  #count = 0;
  #max = 0;

  get count(): number {
    return this.#count;
  }

  add(milliseconds: number): void {
    const delay = Math.min(LONGEST, Math.max(0, Math.round(milliseconds)));
    this.#counts[delay] = (this.#counts[delay] ?? 0) + 1;
    this.#count += 1;
    this.#max = Math.max(this.#max, delay);
  }

  /** The shortest delay that so many percent of all do not go beyond; NaN without any. */
  percentile(percent: number): number {
    if (this.#count === 0) return NaN;
    const wanted = Math.max(1, Math.ceil((percent / 100) * this.#count));
    let seen = 0;
    for (let delay = 0; delay <= this.#max; delay += 1) {
      seen += this.#counts[delay] ?? 0;
      if (seen >= wanted) return delay;
    }
    return this.#max;
  }
}

interface Window {
  /** When each trade that counts was made, in the order of the topic; what was seen is forgotten. */
  waiting: number[];
  seen: number;
}

/** The trades of each symbol and window that rows are to count, and when they were seen to. */
export class Waiting {
  /** Of each trade: from its event time to the first look that saw it counted. */
  readonly trades = new Delays();
  /** Of each look that saw a row grow: the age of the newest trade in it. */
  readonly rows = new Delays();
  readonly #windows = new Map<string, Window>();
  #waiting = 0;
  /** Rows that counted more trades than were made, or went back. */
  readonly problems = new Set<string>();

  /** Delays of trades that were made before `from` are not counted: start-up is no delay of a stream. */
  constructor(private readonly from: number) {}

  /** Trades that no row counts yet. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Where the oldest window begins that still waits for a trade; null when none does. */
  oldest(): number | null {
    let oldest: number | null = null;
    for (const [key, { waiting }] of this.#windows) {
      if (waiting.length === 0) continue;
      const start = Number(key.slice(key.indexOf(" ") + 1));
      if (oldest === null || start < oldest) oldest = start;
    }
    return oldest;
  }

  /** A trade that must be counted was made. Those of one symbol are counted in the order in which they are told here. */
  made(symbol: string, windowStart: number, time: number): void {
    const key = `${symbol} ${windowStart}`;
    let window = this.#windows.get(key);
    if (window === undefined) this.#windows.set(key, (window = { waiting: [], seen: 0 }));
    window.waiting.push(time);
    this.#waiting += 1;
  }

  /** A look at `at` found that a row counts so many trades. */
  seen(symbol: string, windowStart: number, count: number, at: number): void {
    const key = `${symbol} ${windowStart}`;
    const window = this.#windows.get(key);
    const made = window === undefined ? 0 : window.seen + window.waiting.length;
    if (window === undefined || count > made || count < window.seen) {
      this.problems.add(`${key}: a row counts ${count} trades; ${made} were made, ${window?.seen ?? 0} seen before`);
      return;
    }
    if (count === window.seen) return;
    const counted = window.waiting.splice(0, count - window.seen);
    window.seen = count;
    this.#waiting -= counted.length;
    for (const time of counted) if (time >= this.from) this.trades.add(at - time);
    const newest = counted.at(-1) ?? 0;
    if (newest >= this.from) this.rows.add(at - newest);
  }
}

/** The rows of windows, and how long behind the end of its window each had all of its trades. */
export class WindowEnds {
  readonly delays = new Delays();
  /** Rows that counted more trades than were made. */
  readonly problems = new Set<string>();
  readonly #open = new Map<string, { readonly symbol: string; readonly start: number; made: number }>();

  /** Windows that begin before `from` are nothing to it. */
  constructor(
    private readonly from: number,
    private readonly size: number,
  ) {}

  /** Windows that are over and whose rows do not have all yet. */
  waiting(now: number): number {
    return [...this.#open.values()].filter(({ start }) => start + this.size <= now).length;
  }

  /** Where the oldest window begins that is not whole; null when all are. */
  oldest(): number | null {
    const starts = [...this.#open.values()].map(({ start }) => start);
    return starts.length === 0 ? null : Math.min(...starts);
  }

  made(symbol: string, time: number): void {
    const start = time - (time % this.size);
    if (start < this.from) return;
    const window = this.#open.get(`${symbol} ${start}`);
    if (window === undefined) this.#open.set(`${symbol} ${start}`, { symbol, start, made: 1 });
    else window.made += 1;
  }

  /** A look at `at` found that a row counts so many trades. */
  seen(symbol: string, start: number, count: number, at: number): void {
    const window = this.#open.get(`${symbol} ${start}`);
    if (window === undefined) return;
    if (count > window.made) this.problems.add(`${symbol} ${start}: ${count} trades counted, ${window.made} made`);
    if (at < start + this.size || count < window.made) return;
    this.#open.delete(`${symbol} ${start}`);
    this.delays.add(at - start - this.size);
  }
}
