// What truly happened, so that a test can compute on its own what a pipeline must have. In memory the last of it; in a file,
// when there is one, all: a line is in the file before what it tells of is sent.
import fs from "node:fs";
import { messageOf, RunError, UsageError } from "../../schema/errors";
import { type User } from "./randomuser/users";
import { type Ticker } from "./binance/ticker";

export interface TradeEntry {
  readonly kind: "trade";
  readonly symbol: string;
  readonly id: number;
  readonly price: string;
  readonly quantity: string;
  /** When it was made, in milliseconds. */
  readonly time: number;
  readonly eventTime: number;
  readonly isBuyerMaker: boolean;
  /** True for a trade that no socket gets: it is only in the history. */
  readonly isGap: boolean;
}

/** A ticker that was given to somebody, once for each symbol and closeTime. */
export type TickerEntry = { readonly kind: "ticker" } & Ticker;

/** A user that was given to somebody, once for each uuid. */
export interface UserEntry {
  readonly kind: "user";
  /** The number of the request that gave it first. */
  readonly request: number;
  readonly user: User;
}

/** Something that went wrong, by order or because a client did not keep to the protocol. */
export interface FaultEntry {
  readonly kind: "fault";
  readonly fault: FaultName;
  readonly about: string;
}

export type FaultName =
  // Frames on a socket.
  | "garbage"
  | "duplicate"
  // Connections.
  | "disconnect"
  | "refused"
  | "outage"
  // Answers.
  | "403"
  | "418"
  | "429"
  | "451"
  | "5xx"
  | "cut"
  | "garbage answer"
  | "hanging"
  // What clients do wrong.
  | "too soon"
  | "too much weight"
  | "no pong"
  | "too many messages"
  | "slow reader"
  // What the exchange does on its own.
  | "end of life";

export type LedgerEntry = TradeEntry | TickerEntry | UserEntry | FaultEntry;

/** What makes a ledger's numbers: with other settings, its file cannot be gone on with. */
export type Settings = Readonly<Record<string, string | number>>;

export interface LedgerOptions {
  /** NDJSON; one that is there already is gone on with. */
  readonly file?: string | undefined;
  /** What a new ledger is kept with. */
  readonly settings: Settings;
  /** Which of them were said, so that a file with others is a mistake. */
  readonly said: readonly string[];
  /** How many entries are kept in memory. */
  readonly remember: number;
}

export class Ledger {
  /** A file's own when it was there already. */
  readonly settings: Settings;
  readonly #remember: number;
  readonly #file: { readonly name: string; readonly descriptor: number } | null;
  readonly #counts = new Map<string, number>();
  readonly #last = new Map<string, LedgerEntry>();
  #entries: LedgerEntry[] = [];
  #forgotten = 0;
  #isClosed = false;

  constructor({ file, settings, said, remember }: LedgerOptions) {
    this.#remember = remember;
    const before = file === undefined ? null : contentOf(file);
    this.settings = before === null ? settings : agreed(file as string, before.settings, settings, said);
    for (const entry of before?.entries() ?? []) this.#keep(entry);
    this.#file = file === undefined ? null : { name: file, descriptor: opened(file, before?.length ?? 0) };
    if (before === null) this.#write([{ kind: "settings", ...settings }]);
  }

  /** How often each thing happened: entries by their kind, faults by their name, and what is only counted. */
  get counts(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }

  /** How many entries are no longer in memory. */
  get forgotten(): number {
    return this.#forgotten;
  }

  entries(): readonly LedgerEntry[];
  entries<Kind extends LedgerEntry["kind"]>(kind: Kind): readonly Extract<LedgerEntry, { kind: Kind }>[];
  entries(kind?: LedgerEntry["kind"]): readonly LedgerEntry[] {
    return this.#entries.filter((entry) => kind === undefined || entry.kind === kind);
  }

  /** The last of a kind, or of a kind and symbol; also when it is no longer among the entries. */
  last<Kind extends LedgerEntry["kind"]>(
    kind: Kind,
    symbol?: string,
  ): Extract<LedgerEntry, { kind: Kind }> | undefined {
    const name = symbol === undefined ? kind : `${kind} ${symbol}`;
    return this.#last.get(name) as Extract<LedgerEntry, { kind: Kind }> | undefined;
  }

  /** Writes down what happens now. Returns when it is in the file. */
  record(...entries: readonly LedgerEntry[]): void {
    if (this.#isClosed || entries.length === 0) return;
    this.#write(entries);
    for (const entry of entries) this.#keep(entry);
  }

  fault(fault: FaultName, about: string): void {
    this.record({ kind: "fault", fault, about });
  }

  /** Counts something that needs no entry. */
  count(name: string, times = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + times);
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#file !== null) fs.closeSync(this.#file.descriptor);
  }

  #keep(entry: LedgerEntry): void {
    this.count(entry.kind === "fault" ? entry.fault : entry.kind);
    if (entry.kind === "trade" && entry.isGap) this.count("gap");
    this.#last.set(entry.kind, entry);
    if ("symbol" in entry) this.#last.set(`${entry.kind} ${entry.symbol}`, entry);
    this.#entries.push(entry);
    // Now and then many at once: to take one away from the front each time would move all others.
    if (this.#entries.length < 2 * this.#remember) return;
    this.#forgotten += this.#entries.length - this.#remember;
    this.#entries = this.#entries.slice(-this.#remember);
  }

  #write(entries: readonly object[]): void {
    if (this.#file === null) return;
    const text = entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");
    try {
      const bytes = Buffer.from(text);
      for (let written = 0; written < bytes.length;)
        written += fs.writeSync(this.#file.descriptor, bytes, written, bytes.length - written);
    } catch (error) {
      throw new RunError(`The ledger ${this.#file.name} cannot be written: ${messageOf(error)}`, { cause: error });
    }
  }
}

interface Content {
  readonly settings: Settings;
  readonly entries: () => Iterable<LedgerEntry>;
  /** In bytes, without a line that a killed process left half written. */
  readonly length: number;
}

/** What is in a ledger's file; null when there is none, or nothing in it. */
function contentOf(file: string): Content | null {
  let bytes: Buffer;
  try {
    // A device or a pipe may never end.
    if (!fs.statSync(file).isFile()) throw new Error("it is not a file");
    bytes = fs.readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw new UsageError(`--ledger ${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
  const length = bytes.lastIndexOf(0x0a) + 1;
  const end = bytes.indexOf(0x0a);
  if (end < 0) {
    if (bytes.length === 0 || bytes.toString().startsWith('{"kind":"settings"')) return null;
    throw new UsageError(`--ledger ${file} is not a ledger: give the name of another file`);
  }
  const parsed = (line: string, number: number): object => {
    try {
      const entry: unknown = JSON.parse(line);
      if (typeof entry === "object" && entry !== null && "kind" in entry) return entry;
    } catch {
      // Said below.
    }
    throw new UsageError(`--ledger ${file} is not a ledger, see its line ${number}: give the name of another file`);
  };
  const { kind, ...settings } = parsed(bytes.toString("utf8", 0, end), 1) as Settings & { kind: string };
  if (kind !== "settings") throw new UsageError(`--ledger ${file} is not a ledger: give the name of another file`);
  return {
    settings,
    length,
    *entries() {
      let number = 1;
      for (let start = end + 1; start < length;) {
        const next = bytes.indexOf(0x0a, start);
        number += 1;
        yield parsed(bytes.toString("utf8", start, next), number) as LedgerEntry;
        start = next + 1;
      }
    },
  };
}

function agreed(file: string, before: Settings, now: Settings, said: readonly string[]): Settings {
  const wrong = Object.keys({ ...before, ...now }).find(
    (name) => before[name] !== now[name] && (said.includes(name) || before[name] === undefined),
  );
  if (wrong === undefined) return before;
  throw new UsageError(
    `--ledger ${file} was kept with ${wrong} ${before[wrong] ?? "unsaid"}, not ${now[wrong] ?? "unsaid"}: say the same, or give the name of another file`,
  );
}

/** Opened to write behind what is whole. */
function opened(file: string, length: number): number {
  try {
    if (fs.existsSync(file)) fs.truncateSync(file, length);
    return fs.openSync(file, "a");
  } catch (error) {
    throw new UsageError(`--ledger ${file} cannot be written: ${messageOf(error)}`, { cause: error });
  }
}
