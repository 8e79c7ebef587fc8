// Small records for tests of aggregates over time, a pipeline over them with windows of any kind, and jobs that go on
// over files of them.
import fs from "node:fs";
import path from "node:path";
import { z } from "zod";
import { register, type Windowing } from "../beam";
import { readParameters } from "../cli/parameters";
import { parseAddress } from "../io/address";
import { definePipeline, deadLetters, input, table, type Pipeline } from "../pipelines/definition";
import { type JobEvent, type JobRequest } from "../runners/direct/run-continuous";
import { RunOptions } from "../runners/run-options";
import { decimal, positiveDecimal, timestamp } from "../schema/table";
import { aggregate, clean, count, decode, first, last, sum } from "../transforms";

export const Tick = z.object({
  symbol: z.string(),
  id: z.union([z.int(), z.string()]),
  time: z.int(),
  price: positiveDecimal(),
});
export type Tick = z.infer<typeof Tick>;

register("beamline/test/ticks", { Tick });

const Bar = z.object({
  window_start: timestamp(),
  window_end: timestamp(),
  symbol: z.string(),
  n: z.int(),
  total: decimal(),
  open: decimal(),
  close: decimal(),
});

/** A bar as stores have it: with times as text. */
export interface StoredBar {
  readonly window_start: string;
  readonly window_end: string;
  readonly symbol: string;
  readonly n: number;
  readonly total: string;
  readonly open: string;
  readonly close: string;
}

export interface Shape {
  readonly window: Windowing;
  readonly lateness: number;
  readonly unique: boolean;
}

/** Bars of ticks. */
export const toBars = ({ window, lateness, unique }: Shape) =>
  aggregate({
    name: "bars",
    by: ["symbol"],
    at: "time",
    window,
    lateness,
    ...(unique ? { unique: "id" as const } : {}),
    measures: { n: count(), total: sum("price"), open: first("price"), close: last("price") },
  });

/** Bars go to two outputs: one that wants each row that changed, and one that wants the last word on a window. */
export const ticksPipeline = (shape: Shape): Pipeline =>
  definePipeline({
    name: "ticks",
    summary: "Bars of ticks",
    inputs: { ticks: input(Tick, { sample: "" }) },
    outputs: {
      bars: table(Bar, { name: "bars", key: ["symbol", "window_start"] }),
      finals: table(Bar, { name: "finals", key: ["symbol", "window_start"] }),
      dead_letters: deadLetters,
    },
    params: z.object({}),
    build({ ticks }, { bars, finals, dead_letters }) {
      const { good, bad } = ticks.apply(clean(decode(Tick)));
      const rows = good.apply(toBars(shape));
      rows.apply(bars);
      rows.apply(finals);
      bad.apply(dead_letters);
    },
  });

/** A job over the ticks in in-*.ndjson, to data/app.db and, for the last words, to out/. */
export function ticksJob(
  shape: Shape,
  flags: Readonly<Record<string, string>>,
  more: Partial<Pick<JobRequest, "onPoint">> & { readonly onEvent?: (event: JobEvent) => void } = {},
): JobRequest {
  const words = { streaming: "true", "dead-letter-share": "1", ...flags };
  return {
    pipeline: ticksPipeline(shape),
    params: {},
    options: readParameters(RunOptions, new Map(Object.entries(words).map(([name, text]) => [name, [text]])), {}),
    inputs: { ticks: parseAddress("file:in-*.ndjson") },
    outputs: {
      bars: parseAddress("sqlite:data/app.db"),
      finals: parseAddress("file:out/"),
      dead_letters: parseAddress("sqlite:data/app.db"),
    },
    ...more,
  };
}

/** The rows of all files in a directory, batch after batch. */
export function rowsIn(directory: string): StoredBar[] {
  if (!fs.existsSync(directory)) return [];
  return fs
    .readdirSync(directory)
    .sort()
    .flatMap((file) => fs.readFileSync(path.join(directory, file), "utf8").split("\n"))
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as StoredBar);
}

/** As stores have it. */
export function stored(bar: Readonly<Record<string, unknown>>): StoredBar {
  const text = (time: unknown) => new Date(time as number).toISOString();
  return {
    ...bar,
    window_start: text(bar["window_start"]),
    window_end: text(bar["window_end"]),
  } as unknown as StoredBar;
}

/** In one order, however they came. */
export function inOrder(bars: readonly StoredBar[]): StoredBar[] {
  const place = ({ symbol, window_start, window_end }: StoredBar) => `${symbol} ${window_start} ${window_end}`;
  return [...bars].sort((a, b) => (place(a) < place(b) ? -1 : 1));
}
