// The one catalogue of what a job logs: the log takes nothing else, and the table in the docs is made from it.

/** What the value of a field is, and so how it is shown and how several are put together. */
export interface FieldKinds {
  /** Says which one, or how much there is now: never added up. */
  number: number | bigint;
  /** How many: added up over batches, and not shown to people when 0. */
  count: number | bigint;
  /** How many by name: people see the sum. */
  counts: Readonly<Record<string, number>>;
  /** A length of time; added up over batches. */
  seconds: number;
  /** A moment, in milliseconds since 1970. */
  time: number;
  text: string;
  error: unknown;
}
export type FieldKind = keyof FieldKinds;

interface EventSpec {
  readonly level: Level;
  /** What people see of it: all, nothing, or now and then one line for several. */
  readonly people: "all" | "none" | "summed";
  readonly help: string;
  /** A kind with “?” may be left out. */
  readonly fields: Readonly<Record<string, FieldKind | `${FieldKind}?`>>;
}

export type Level = "info" | "warn" | "error";

export const EVENTS = {
  "job started": {
    level: "info",
    people: "all",
    help: "The job begins, or goes on where it stopped",
    fields: { version: "text", next_batch: "number", epoch: "number?", inputs: "text?", outputs: "text?" },
  },
  listening: {
    level: "info",
    people: "all",
    help: "Where /ping, /ready and /metrics are",
    fields: { url: "text" },
  },
  "checkpoint verified": {
    level: "info",
    people: "all",
    help: "What the job kept fits the pipeline as it is now",
    fields: { batch: "number", watermark: "time?", open_windows: "count?" },
  },
  "plan made": {
    level: "info",
    people: "none",
    help: "A batch was planned and written down; nothing of it is read yet",
    fields: { batch: "number", ranges: "count", records: "count?", closes: "count?" },
  },
  "batch committed": {
    level: "info",
    people: "summed",
    help: "A batch's rows are visible and its offsets kept",
    fields: {
      batch: "number",
      read: "count",
      ok: "count",
      dead: "count",
      dropped: "count",
      duplicate: "count",
      late: "count",
      written: "counts",
      rejected: "count?",
      seconds: "seconds",
      lag: "number?",
      open_windows: "number?",
      watermark: "time?",
    },
  },
  "rows wait": {
    level: "warn",
    people: "all",
    help: "A place does not answer: the batch's rows for it wait on this machine (--fallback), and so do those of later batches",
    fields: { batch: "number", rows: "count", error: "error" },
  },
  "rows delivered": {
    level: "info",
    people: "all",
    help: "Rows that waited are where they belong, each as the batch that it was",
    fields: { rows: "count", waiting: "count?" },
  },
  "rows announced": {
    level: "info",
    people: "summed",
    help: "What an output wants to be told of: how many rows went to it, and the last one",
    fields: { said: "text", rows: "count" },
  },
  "batch failed": {
    level: "error",
    people: "all",
    help: "Nothing of the batch was kept; it is tried again after the pause, when there is one",
    fields: { batch: "number", attempt: "number", next_in: "seconds?", error: "error" },
  },
  retrying: {
    level: "warn",
    people: "all",
    help: "Something outside did not answer and is tried again",
    fields: { what: "text", attempt: "number", next_in: "seconds?", error: "error?" },
  },
  "gap found": {
    level: "warn",
    people: "all",
    help: "The source no longer has records that were not read yet: they are lost",
    fields: { input: "text", source: "text", from: "number", to: "number", lost: "count" },
  },
  "partition new": {
    level: "info",
    people: "all",
    help: "A source has a part that it did not have before",
    fields: { input: "text", source: "text", from: "number" },
  },
  "source idle": {
    level: "info",
    people: "all",
    help: "Nothing came of a part for so long that the watermark no longer waits for it",
    fields: { input: "text", source: "text", idle: "seconds" },
  },
  "source news": {
    level: "warn",
    people: "all",
    help: "A source that gives each record once had trouble and dealt with it, or lost records",
    fields: { input: "text", what: "text", count: "count", said: "text" },
  },
  "inbox full": {
    level: "warn",
    people: "all",
    help: "The inbox holds as much as it may: the source is paused until batches have made room",
    fields: { input: "text", records: "count", limit: "count", bytes: "count", limit_bytes: "count" },
  },
  "replay done": {
    level: "info",
    people: "all",
    help: "Dead letters went through the pipeline again",
    fields: { replayed: "count", ok: "count", dead: "count", seconds: "seconds" },
  },
  "windows not whole": {
    level: "warn",
    people: "all",
    help: "Windows of which records are missing, since they lie before the job's beginning or are gone, get no row, or none more; --partial-windows=write writes them",
    fields: { windows: "count", named: "text" },
  },
  "job stopped": {
    level: "info",
    people: "all",
    help: "The job ended in order, with a checkpoint",
    fields: { reason: "text", batches: "count", read: "count", seconds: "seconds" },
  },
  "job failed": {
    level: "error",
    people: "all",
    help: "The job ended because of an error that trying again does not mend",
    fields: { error: "error" },
  },
} as const satisfies Readonly<Record<string, EventSpec>>;

type Events = typeof EVENTS;
export type EventName = keyof Events;

type Specs<Name extends EventName> = Events[Name]["fields"];
type ValueOf<Kind> = Kind extends `${infer Plain extends FieldKind}?`
  ? FieldKinds[Plain] | null | undefined
  : Kind extends FieldKind
    ? FieldKinds[Kind]
    : never;
type Needed<S> = { readonly [Field in keyof S as S[Field] extends `${string}?` ? never : Field]: ValueOf<S[Field]> };
type Free<S> = { readonly [Field in keyof S as S[Field] extends `${string}?` ? Field : never]?: ValueOf<S[Field]> };

/** What must, and what may, be said with an event. */
export type EventFields<Name extends EventName> = Needed<Specs<Name>> & Free<Specs<Name>>;

/** The catalogue's entry without its exact types. */
export const eventSpec = (name: EventName): EventSpec => EVENTS[name];

/** The kind of a field; text for one that is not in the catalogue. */
export function kindOf(spec: EventSpec, field: string): FieldKind {
  const kind = Object.hasOwn(spec.fields, field) ? spec.fields[field] : undefined;
  return (kind?.replace("?", "") as FieldKind | undefined) ?? "text";
}

const SEEN = { all: "each", none: "none", summed: "summed" } as const;

/** For the docs: event, level, lines for people, fields, when. */
export function eventsTable(): string[][] {
  return Object.keys(EVENTS).map((name) => {
    const { level, people, help, fields } = eventSpec(name as EventName);
    const names = Object.entries(fields).map(([field, kind]) => `\`${field}\`${kind.endsWith("?") ? " (maybe)" : ""}`);
    return [`\`${name}\``, level, SEEN[people], names.join(", "), help];
  });
}
