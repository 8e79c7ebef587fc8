// Pipelines and what they read, as fast-check makes them: windows of every kind, keys of one or several columns, any of the
// measures, with and without ids; records out of order, some twice, some that nobody can read. Many of them are one
// pipeline with an input and an output each, since a job on a cluster takes its time however little there is in it.
import fc from "fast-check";
import { z } from "zod";
import { assign, fixed, flatten, named, register, sessions, sliding, type PCollection, type Windowing } from "../beam";
import { deadLetters, definePipeline, input, table, type OutputSpec, type Pipeline } from "../pipelines/definition";
import { type SourceRecord } from "../schema/record";
import { decimal, timestamp, type Row } from "../schema/table";
import {
  aggregate,
  avg,
  clean,
  count,
  decode,
  drop,
  first,
  last,
  max,
  min,
  ok,
  sum,
  sumProduct,
  vwap,
  type DeadLetter,
  type StepResult,
} from "../transforms";

export const Deal = z.object({
  id: z.union([z.int(), z.string()]),
  time: z.int(),
  symbol: z.string(),
  side: z.boolean(),
  venue: z.int(),
  price: decimal(),
  quantity: decimal().nullable(),
  fee: z.number().nullable(),
});
export type Deal = z.infer<typeof Deal>;

export const TEST = "TEST";

/** Leaves out what was no deal in earnest. */
export function inEarnest(deal: Deal): StepResult<Deal> {
  return deal.symbol === TEST ? drop("a test") : ok(deal);
}

register("beamline/test/generated-pipelines", { Deal, inEarnest });

const keyColumns = { symbol: z.string(), side: z.boolean(), venue: z.int() };
type KeyColumn = keyof typeof keyColumns;

const measures = {
  n: [count(), z.int()],
  volume: [sum("quantity"), decimal().nullable()],
  fees: [sum("fee"), z.number().nullable()],
  turnover: [sumProduct("price", "quantity"), decimal(60, 16).nullable()],
  open: [first("price"), decimal()],
  close: [last("price"), decimal()],
  first_fee: [first("fee"), z.number().nullable()],
  last_quantity: [last("quantity"), decimal().nullable()],
  high: [max("price"), decimal()],
  low: [min("quantity"), decimal().nullable()],
  highest_fee: [max("fee"), z.number().nullable()],
  mean: [avg("quantity"), decimal().nullable()],
  vwap: [vwap("price", "quantity"), decimal().nullable()],
} as const;
type MeasureName = keyof typeof measures;

/** A pipeline with its input. */
export interface Generated {
  readonly window: Windowing;
  readonly by: readonly KeyColumn[];
  readonly isUnique: boolean;
  readonly measures: readonly MeasureName[];
  readonly files: readonly (readonly Line[])[];
}

/** A line of a file; null for a deal that is none, since nobody can read it or it is left out. */
export interface Line {
  readonly text: string;
  readonly deal: Deal | null;
}

// --- generated ------------------------------------------------------------------------------------------------------

const SECOND = 1000;
/** Windows lie on both sides of the beginning of time too, where whole numbers are divided in another way. */
const starts = [Date.UTC(2026, 0, 5, 9, 30), 0];

const decimalText = fc
  .tuple(
    fc.oneof(fc.bigInt({ min: 0n, max: 10n ** 6n }), fc.bigInt({ min: 0n, max: 10n ** 15n })),
    fc.nat(8),
    fc.boolean(),
  )
  .map(([digits, scale, isNegative]) => {
    const text = String(digits).padStart(scale + 1, "0");
    const plain = scale === 0 ? text : `${text.slice(0, -scale)}.${text.slice(-scale)}`;
    return isNegative ? `-${plain}` : plain;
  });

const dealAt = (start: number): fc.Arbitrary<Deal> =>
  fc.record({
    // Some are long, and a text is another id than the number that it reads like.
    id: fc.oneof(
      { weight: 4, arbitrary: fc.nat(30) },
      { weight: 2, arbitrary: fc.nat(2 ** 40) },
      { weight: 2, arbitrary: fc.constantFrom("1", "2", "3", "4", "x", "ü") },
    ),
    // Few enough times for some to be met twice, by whole seconds often the edge of a window.
    time: fc
      .oneof(
        fc.integer({ min: -70, max: 70 }).map((n) => n * SECOND),
        fc.integer({ min: -3_000, max: 3_000 }),
      )
      .map((after) => start + after),
    symbol: fc.constantFrom("BTC", "BTC", "BTC", "[ETH]", "", "Übung €", "x".repeat(200)),
    side: fc.boolean(),
    // Keys that are the same in their last 32 bits.
    venue: fc.constantFrom(7, 7 + 2 ** 32, -1),
    price: decimalText,
    quantity: fc.option(decimalText, { freq: 8 }),
    fee: fc.option(fc.oneof(fc.integer({ min: -9, max: 9 }), fc.constantFrom(0.1, 0.25, 1e-7, 2 ** 33 + 0.5)), {
      freq: 8,
    }),
  });

const unreadable = fc.constantFrom("{", "null", '{"id":1}', '"ü"', '{"id":1,"time":1.5,"symbol":"BTC"}');

export const lineOf = (deal: Deal): Line => ({ text: JSON.stringify(deal), deal: deal.symbol === TEST ? null : deal });

/** Deals of which those with one id are one and the same, as they are when something is delivered twice. */
const linesFrom = (start: number): fc.Arbitrary<Line[]> =>
  fc
    .record({
      deals: fc.uniqueArray(fc.record({ deal: dealAt(start), copies: fc.constantFrom(1, 1, 1, 2, 3) }), {
        selector: ({ deal }) => deal.id,
        ...{ maxLength: 60, size: "max" },
      }),
      bad: fc.array(unreadable, { maxLength: 4 }),
      tests: fc.array(dealAt(start), { maxLength: 3 }),
    })
    .map(({ deals, bad, tests }) => [
      ...deals.flatMap(({ deal, copies }) => Array.from({ length: copies }, () => lineOf(deal))),
      ...bad.map((text) => ({ text, deal: null })),
      ...tests.map((deal) => lineOf({ ...deal, symbol: TEST })),
    ]);

/** The lines in any order, and in some files, of which one may be empty. */
const dealt = (lines: Line[]): fc.Arbitrary<Line[][]> =>
  fc
    .record({
      order: fc.shuffledSubarray(lines, { minLength: lines.length }),
      files: fc.integer({ min: 1, max: 3 }),
      into: fc.array(fc.nat(2), { minLength: lines.length, maxLength: lines.length }),
    })
    .map(({ order, files, into }) =>
      Array.from({ length: files }, (_, file) => order.filter((_line, n) => (into[n] ?? 0) % files === file)),
    );

const windowing = fc.oneof(
  fc.constantFrom(fixed(60 * SECOND), fixed(500), fixed(86_400 * SECOND)),
  fc.constantFrom(sliding(60 * SECOND, 20 * SECOND), sliding(50 * SECOND, 30 * SECOND), sliding(2_500, 750)),
  fc.constantFrom(sessions(15 * SECOND), sessions(SECOND), sessions(250)),
);

export const generated: fc.Arbitrary<Generated> = fc.record({
  window: windowing,
  by: fc.constantFrom<readonly KeyColumn[]>(["symbol"], ["venue"], ["side", "symbol"], ["symbol", "venue", "side"]),
  isUnique: fc.boolean(),
  measures: fc.subarray(Object.keys(measures) as MeasureName[], { minLength: 1 }),
  files: fc
    .constantFrom(...starts)
    .chain(linesFrom)
    .chain(dealt),
});

// --- as one pipeline --------------------------------------------------------------------------------------------------

export const inputName = (at: number): string => `deals_${at}`;
export const outputName = (at: number): string => `rows_${at}`;
const LETTERS = "dead_letters";

function outputOf({ by, measures: names }: Generated, at: number): OutputSpec<Row> {
  const model = z.object({
    window_start: timestamp(),
    window_end: timestamp(),
    ...Object.fromEntries(by.map((name) => [name, keyColumns[name]])),
    ...Object.fromEntries(names.map((name) => [name, measures[name][1]])),
  });
  return table(model, { name: outputName(at), key: ["window_start", ...by] as "window_start"[] });
}

/** All of them side by side. */
export function pipelineOf(all: readonly Generated[]): Pipeline {
  const outputs: Readonly<Record<string, OutputSpec<unknown>>> = {
    ...Object.fromEntries(all.map((one, at) => [outputName(at), outputOf(one, at)])),
    [LETTERS]: deadLetters,
  };
  return definePipeline({
    name: "generated",
    summary: "Pipelines side by side",
    inputs: Object.fromEntries(all.map((_, at) => [inputName(at), input(Deal, { sample: "" })])),
    outputs,
    params: z.object({}),
    build(inputs, ends) {
      const letters = all.map((one, at) => {
        const { rows, bad } = inputs[inputName(at)]!.apply(named(`pipeline ${at}`, transformOf(one, at)));
        rows.apply(ends[outputName(at)]!);
        return bad;
      });
      flatten(letters).apply(ends[LETTERS]!);
    },
  });
}

const transformOf =
  ({ window, by, isUnique, measures: names }: Generated, at: number) =>
  (deals: PCollection<SourceRecord>): { rows: PCollection<Row>; bad: PCollection<DeadLetter> } => {
    const { good, bad } = deals.apply(clean(decode(Deal), inEarnest));
    const rows = good.apply(
      aggregate({
        ...{ name: `aggregate ${at}`, by, at: "time", window },
        ...(isUnique ? { unique: "id" as const } : {}),
        measures: Object.fromEntries(names.map((name) => [name, measures[name][0]])),
      }),
    );
    return { rows, bad };
  };

/** What must be counted of them, by a plain look at what they read. */
export function countsOf(all: readonly Generated[]) {
  const lines = all.flatMap(({ files }) => files.flat());
  const deals = all.flatMap(({ files, window }) =>
    files.flat().flatMap(({ deal }) => (deal === null ? [] : [assign(window, deal.time).length])),
  );
  return { read: lines.length, ok: deals.length, "to aggregate": deals.reduce((n, windows) => n + windows, 0) };
}
