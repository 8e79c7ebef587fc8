// What a job tells while it runs, one line an event: for people, or as JSON for machines.
// People get one line for all batches of ten seconds, and none for batches in which nothing happened; machines get a
// line for every batch, since each is an entry in the job's history. There is never a line for a record.
import colors from "picocolors";
import { formatDuration } from "../../schema/duration";
import { eventSpec, kindOf, type EventFields, type EventName, type FieldKind, type Level } from "./events";
import { jsonLine, jsonValue, type Json } from "./log-value";
import { harmless, isSecretName, sentenceOf, shortened } from "./safe-text";

export type LogForm = "human" | "json";

export interface LogOptions {
  readonly job: string;
  readonly pipeline: string;
  readonly form: LogForm;
  /** People get at most one line about batches in so many milliseconds. */
  readonly everyMs?: number;
  /** Where lines go; standard error unless told. */
  readonly out?: { write(line: string): unknown; readonly isTTY?: boolean };
  readonly now?: () => number;
  /** Calls back after so many milliseconds; gives what takes that back. */
  readonly later?: (milliseconds: number, action: () => void) => () => void;
}

const EVERY_MS = 10_000;
const LONGEST_TEXT = 200;

type Fields = Readonly<Record<string, unknown>>;

interface Pending {
  readonly name: EventName;
  readonly fields: Fields;
  readonly times: number;
}

export class Log {
  private readonly out: NonNullable<LogOptions["out"]>;
  private readonly now: () => number;
  private readonly later: NonNullable<LogOptions["later"]>;
  private readonly everyMs: number;
  private readonly paint: ReturnType<typeof colors.createColors>;
  private pending: Pending | null = null;
  private summedAt = Number.NEGATIVE_INFINITY;
  private takeBack: (() => void) | null = null;
  private closed = false;

  constructor(private readonly options: LogOptions) {
    this.out = options.out ?? process.stderr;
    this.now = options.now ?? Date.now;
    this.later = options.later ?? afterwards;
    this.everyMs = options.everyMs ?? EVERY_MS;
    this.paint = colors.createColors(this.out.isTTY === true && colors.isColorSupported);
  }

  /** Says that something happened. Never throws: a log must not fail a batch. */
  event<Name extends EventName>(name: Name, fields: EventFields<Name>): void {
    try {
      if (this.options.form === "json") this.write(this.machineLine(name, fields));
      else this.tellPeople(name, fields);
    } catch {
      // Standard error is closed or full.
    }
  }

  /** Writes what was kept back to be summed up. */
  flush(): void {
    this.takeBack?.();
    this.takeBack = null;
    if (this.pending === null || isQuiet(this.pending)) return;
    const { name, fields, times } = this.pending;
    this.pending = null;
    this.summedAt = this.now();
    try {
      this.write(this.humanLine(name, fields, times));
    } catch {
      // As in event.
    }
  }

  /** To be called at the end of the job, after its last event. */
  close(): void {
    this.flush();
    this.closed = true;
  }

  private tellPeople(name: EventName, fields: Fields): void {
    const { people } = eventSpec(name);
    if (people === "none") return;
    if (people === "summed") return this.sumUp(name, fields);
    // What happened before is told before.
    this.flush();
    this.write(this.humanLine(name, fields, 1));
  }

  private sumUp(name: EventName, fields: Fields): void {
    if (this.pending !== null && this.pending.name !== name) this.flush();
    this.pending =
      this.pending === null
        ? { name, fields, times: 1 }
        : { name, fields: together(name, this.pending.fields, fields), times: this.pending.times + 1 };
    if (isQuiet(this.pending)) return;
    const since = this.now() - this.summedAt;
    // A clock that was set back is no reason to be silent until it has caught up.
    if (this.closed || since < 0 || since >= this.everyMs) this.flush();
    else this.takeBack ??= this.later(this.everyMs - since, () => this.flush());
  }

  private machineLine(name: EventName, fields: Fields): string {
    const spec = eventSpec(name);
    const { job, pipeline } = this.options;
    const said: Record<string, Json | undefined> = {
      time: isoTime(this.now()),
      level: spec.level,
      event: name,
      job: jsonValue(job),
      pipeline: jsonValue(pipeline),
    };
    for (const [field, value] of Object.entries(fields)) {
      // The names that every line has are not for fields; the catalogue's test sees to that, this to all others.
      const own = Object.hasOwn(said, field) ? `${field}_` : field;
      if (isSecretName(field)) said[own] = "***";
      else if (kindOf(spec, field) === "time" && typeof value === "number") said[own] = isoTime(value);
      else said[own] = jsonValue(value);
    }
    // Left out by JSON itself: what is undefined.
    return jsonLine(said as Json);
  }

  private humanLine(name: EventName, fields: Fields, times: number): string {
    const spec = eventSpec(name);
    const time = this.paint.dim(isoTime(this.now()).replace(/\.\d+Z$/, "Z"));
    const parts = [time, this.painted(spec.level, times === 1 ? name : `${name} ×${amount(times)}`)];
    const errors: string[] = [];
    for (const [field, value] of Object.entries(fields)) {
      const kind = kindOf(spec, field);
      if (value === undefined || value === null) continue;
      if (kind === "error") errors.push(`— ${sentenceOf(value)}`);
      else {
        const shown = isSecretName(field) ? "***" : humanValue(kind, value);
        const nothing = shown === "0" && (kind === "count" || kind === "counts");
        if (!nothing) parts.push(`${harmless(field)}=${shown}`);
      }
    }
    return [...parts, ...errors].join(" ");
  }

  private painted(level: Level, words: string): string {
    switch (level) {
      case "info":
        return words;
      case "warn":
        return this.paint.yellow(`warning: ${words}`);
      case "error":
        return this.paint.red(`error: ${words}`);
    }
  }

  private write(line: string): void {
    this.out.write(`${line}\n`);
  }
}

/** Does not keep the process alive. */
function afterwards(milliseconds: number, action: () => void): () => void {
  const timer = setTimeout(action, milliseconds).unref();
  return () => clearTimeout(timer);
}

/** Whether nothing was counted in it, so that there is nothing to tell. */
function isQuiet({ name, fields }: Pending): boolean {
  const spec = eventSpec(name);
  return Object.entries(fields).every(([field, value]) => {
    const kind = kindOf(spec, field);
    if (kind === "counts") return sumOf(value) === 0;
    return kind !== "count" || Number(value) === 0;
  });
}

/** Two events as one: what was counted is added up, of all else the later one stands. */
function together(name: EventName, first: Fields, second: Fields): Fields {
  const spec = eventSpec(name);
  const fields: Record<string, unknown> = { ...first };
  for (const [field, value] of Object.entries(second)) {
    const kind = kindOf(spec, field);
    const adds = kind === "count" || kind === "counts" || kind === "seconds";
    fields[field] = adds ? added(first[field], value) : value;
  }
  return fields;
}

function added(first: unknown, second: unknown): unknown {
  if (typeof first === "number" && typeof second === "number") return first + second;
  if (isRecord(first) && isRecord(second)) {
    const sums: Record<string, unknown> = { ...first };
    for (const [name, value] of Object.entries(second)) sums[name] = added(sums[name] ?? 0, value);
    return sums;
  }
  const parts = [first, second];
  if (parts.every((part) => typeof part === "bigint" || Number.isSafeInteger(part))) {
    return BigInt(first as number) + BigInt(second as number);
  }
  return second;
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;
const sumOf = (counts: unknown): number =>
  isRecord(counts) ? Object.values(counts).reduce<number>((sum, count) => sum + Number(count), 0) : 0;

const number = new Intl.NumberFormat("en-US", { maximumFractionDigits: 3 });
const amount = (value: number | bigint): string => number.format(value);

function isoTime(milliseconds: number): string {
  const time = new Date(milliseconds);
  return Number.isNaN(time.getTime()) ? String(milliseconds) : time.toISOString();
}

function humanValue(kind: FieldKind, value: unknown): string {
  if (kind === "counts" && isRecord(value)) return amount(sumOf(value));
  if (kind === "time" && typeof value === "number") return isoTime(value).replace(".000Z", "Z");
  if (kind === "seconds" && typeof value === "number") {
    return value < 60 ? `${amount(value)}s` : formatDuration(Math.round(value) * 1000);
  }
  if (typeof value === "number" || typeof value === "bigint") return kind === "number" ? String(value) : amount(value);
  const text = typeof value === "string" ? value : JSON.stringify(jsonValue(value) ?? null);
  const plain = harmless(shortened(text, LONGEST_TEXT));
  // Otherwise a value could look like further fields.
  return /^[^\s"=]+$/.test(plain) ? plain : JSON.stringify(plain);
}
