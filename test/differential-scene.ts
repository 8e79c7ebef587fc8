// What the differential tests share: places where a pipeline runs, and the law that each of them gives the rows of the direct
// runner and counts the same.
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { type Counters } from "../beam";
import { readParameters } from "../cli/parameters";
import { type Pipeline } from "../pipelines/definition";
import { outputAddresses, type InputAddress } from "../runners/addresses";
import { runBatch, type RunRequest } from "../runners/direct/run-batch";
import { type Engine } from "../runners/engine";
import { RunOptions } from "../runners/run-options";

export const isNightly = process.env["BEAMLINE_NIGHTLY"] === "1";
/** Of what is generated: a failure tells it. */
export const seed = Number(
  process.env["BEAMLINE_SEED"] ?? (isNightly ? Math.floor(Date.now() / 86_400_000) : 20_261_129),
);

export type Inputs = Readonly<Record<string, InputAddress>>;

export interface Outcome {
  /** The lines of every table, in an order of their own: a cluster gives them in none. */
  readonly rows: Readonly<Record<string, readonly string[]>>;
  readonly counters: Counters;
}

/** Where pipelines run. */
export interface Place {
  readonly name: string;
  run(pipeline: Pipeline, inputs: Inputs): Promise<Outcome>;
}

/** Where the rows of a run go: an address that is new each time, and what lies there. */
export interface Target {
  readonly uri: string;
  rows(): Promise<Outcome["rows"]>;
}

/** What a run of it asks for. */
export const requestOf = (
  pipeline: Pipeline,
  inputs: Inputs,
  { uri }: Target,
  flags: Readonly<Record<string, string>>,
): RunRequest => ({
  pipeline,
  params: pipeline.params.parse({}),
  options: readParameters(RunOptions, new Map(Object.entries(flags).map(([name, value]) => [name, [value]])), {}),
  inputs,
  outputs: outputAddresses(pipeline, [uri], {}),
});

/** An engine of runs with an end. */
export const bounded = (name: string, target: (name: string) => Promise<Target>, engine: () => Engine): Place => ({
  name,
  async run(pipeline, inputs) {
    let counters: Counters = {};
    const used = engine();
    const to = await target(name);
    await runBatch({
      ...requestOf(pipeline, inputs, to, { "batch-time": "2026-01-06T00:00:00Z" }),
      engine: {
        duplicates: used.duplicates,
        async run(graph, signal) {
          const ran = await used.run(graph, signal);
          counters = ran.counters;
          return ran;
        },
      },
    });
    return { rows: await to.rows(), counters };
  },
});

/** A file for each table. */
export const filesIn =
  (at: (...parts: string[]) => string) =>
  (name: string): Promise<Target> => {
    const directory = `${name.replace(/\W/g, "-")}/`;
    rmSync(at(directory), { recursive: true, force: true });
    const rowsOf = (file: string) => readFileSync(at(directory, file), "utf8").split("\n").sort();
    const rows = () => Object.fromEntries(readdirSync(at(directory)).map((file) => [file, rowsOf(file)]));
    return Promise.resolve({ uri: `file:${directory}`, rows: () => Promise.resolve(rows()) });
  };

const COUNTED = ["read", "ok", "dead", "dropped", "to aggregate", "aggregated", "duplicate", "late"] as const;
export type Counted = Record<(typeof COUNTED)[number], number>;

export const countsIn = (counters: Counters): Counted =>
  Object.fromEntries(COUNTED.map((name) => [name, counters[name] ?? 0])) as unknown as Counted;

/** Every record is ok, dead or dropped, and every row of a window aggregated, a duplicate or late. */
export function counted(counters: Counters): Counted {
  const counts = countsIn(counters);
  expect(counts.ok + counts.dead + counts.dropped).toBe(counts.read);
  expect(counts.aggregated + counts.duplicate + counts.late).toBe(counts["to aggregate"]);
  return counts;
}

/** Runs it here and there; answers with what both say. */
export async function agreed(here: Place, there: Place, pipeline: Pipeline, inputs: Inputs): Promise<Counted> {
  const wanted = await here.run(pipeline, inputs);
  const found = await there.run(pipeline, inputs);
  expect(found.rows).toEqual(wanted.rows);
  const counts = counted(wanted.counters);
  expect(counted(found.counters)).toEqual(counts);
  return counts;
}
