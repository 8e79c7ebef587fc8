// The law of the other differential test for jobs that go on on Flink: pipelines of the catalogue and generated ones, from
// topics of Kafka, give the rows that the direct runner makes of the same topics, and count the same. What comes later than
// the disorder allows is late, and everything else is in the rows.
//
//   npm run test:integration -- test/differential-stream
//   BEAMLINE_SEED=7 …        other generated pipelines; a failure tells its seed
//   BEAMLINE_NIGHTLY=1 …     many more of them, others each day
import { chmodSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { fixed, quietSdkLogs, sessions, sliding, type Windowing } from "../beam";
import { freePort } from "../infra/services/ports";
import { startServices, stopServices } from "../infra/services/services";
import { closePools } from "../io/postgres/pool";
import { catalog } from "../pipelines/catalog";
import { type Pipeline } from "../pipelines/definition";
import { inputAddresses } from "../runners/addresses";
import { direct } from "../runners/engine";
import { type JobView } from "../runners/flink/job-view";
import { stream } from "../runners/flink/stream";
import { scene } from "./command-scene";
import { bounded, counted, countsIn, isNightly, requestOf, seed, type Inputs, type Target } from "./differential-scene";
import {
  countsOf,
  generated,
  inputName,
  lineOf,
  pipelineOf,
  TEST,
  type Generated,
  type Line,
} from "./generated-pipelines";
import { Broker, inPostgres, jsonFromPostgres, type Sent } from "./job-scene";

const { at } = scene();
const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-test-"));
const PARTITIONS = 3;
/** Until a job is given up, and what there is is compared. */
const PATIENCE_MS = 150_000;
const LIMIT_MS = isNightly ? 1_800_000 : 600_000;

let broker: Broker;
let postgres: string;
let made = 0;

beforeAll(async () => {
  quietSdkLogs();
  // PostgreSQL may run as another user.
  chmodSync(directory, 0o755);
  const ports = { kafka: await freePort(), postgres: await freePort() };
  const services = await startServices(["kafka", "postgres"], { directory, ports });
  postgres = services.postgres.url;
  broker = await Broker.connect(new URL(services.kafka.url).host);
});
afterAll(async () => {
  await broker.close();
  await closePools();
  await stopServices(["kafka", "postgres"], { directory, data: true });
  rmSync(directory, { recursive: true, force: true });
});

// --- topics and tables ------------------------------------------------------------------------------------------------

/** A topic with these records, dealt to its partitions in their order. */
async function topicOf(records: readonly Omit<Sent, "partition">[]): Promise<string> {
  const topic = `differential-${(made += 1)}`;
  await broker.createTopic(topic, PARTITIONS);
  await sendTo(topic, records);
  return topic;
}

const sendTo = (topic: string, records: readonly Omit<Sent, "partition">[]): Promise<void> =>
  broker.send(
    topic,
    records.map((record, n) => ({ ...record, partition: n % PARTITIONS })),
  );

/** A schema of its own. */
async function schema(): Promise<Target> {
  const name = `differential_${(made += 1)}`;
  await inPostgres(postgres, `create schema ${name}`);
  const rows = async () => {
    const found = await inPostgres<{ name: string }>(
      postgres,
      `select table_name as name from information_schema.tables where table_schema = '${name}' order by 1`,
    );
    const tables = found.filter((table) => !table.name.startsWith("beamline_"));
    const lines = await Promise.all(
      tables.map(async (table) => {
        const all = await jsonFromPostgres(postgres, `select * from ${name}."${table.name}"`);
        return [table.name, all.map(lineOfRow).sort()] as const;
      }),
    );
    return Object.fromEntries(lines);
  };
  return { uri: `${postgres}?schema=${name}`, rows };
}

/** Without what tells of the run, and of which of two copies a row was made last. */
function lineOfRow({ job: _job, batch: _batch, ingested_at: _at, source, ...row }: Record<string, unknown>): string {
  return JSON.stringify("step" in row ? { source, ...row } : row);
}

const here = bounded("direct", schema, () => direct);

/** The job, until it is as is wanted or patience is over; answers with how it was then. */
async function streamed(
  pipeline: Pipeline,
  inputs: Inputs,
  flags: Readonly<Record<string, string>>,
  isAsWanted: (found: Found) => boolean | Promise<boolean>,
): Promise<Found> {
  const to = await schema();
  const over = new AbortController();
  let view: JobView | null = null;
  const usual = { streaming: "true", runner: "flink", "checkpoint-interval": "1s", "batch-interval": "500ms" };
  const request = requestOf(pipeline, inputs, to, { ...usual, "state-dir": at("state"), ...flags });
  const wishes = {
    ...{
      job: `differential-${(made += 1)}`,
      parallelism: 2,
      master: undefined,
      workers: "here",
      workerHost: undefined,
    },
    ...{ orHere: false, tell: () => undefined },
  };
  let failure: Error | null = null;
  const job = stream({ ...request, signal: over.signal }, wishes, (seen) => (view = seen)).catch(
    (error: unknown) => (failure = error as Error),
  );
  const look = async (): Promise<Found> => ({ view, rows: await to.rows() });
  const until = performance.now() + PATIENCE_MS;
  while (failure === null && performance.now() < until && !(await isAsWanted(await look()))) await sleep(500);
  over.abort();
  await job;
  if (failure !== null) throw failure as Error;
  return look();
}

interface Found {
  readonly view: JobView | null;
  readonly rows: Readonly<Record<string, readonly string[]>>;
}

/** The law. */
async function agreed(pipeline: Pipeline, inputs: Inputs, flags: Readonly<Record<string, string>>) {
  const wanted = await here.run(pipeline, inputs);
  const counts = counted(wanted.counters);
  const rows = JSON.stringify(wanted.rows);
  const found = await streamed(
    pipeline,
    inputs,
    flags,
    (now) =>
      JSON.stringify(now.rows) === rows &&
      JSON.stringify(countsIn(now.view?.counters ?? {})) === JSON.stringify(counts),
  );
  expect(found.rows).toEqual(wanted.rows);
  expect(countsIn(found.view?.counters ?? {})).toEqual(counts);
  return counts;
}

// --- the catalogue ----------------------------------------------------------------------------------------------------

/** Rows that replace all of their time need a commit of many, which no worker can do by itself. */
const goOn = catalog.filter(({ outputs }) =>
  Object.values(outputs).every(({ table }) => table.recomputedBy === undefined),
);

test.each(goOn.map((pipeline) => [pipeline.name, pipeline] as const))("%s", async (_name, pipeline) => {
  const topics = await Promise.all(
    Object.entries(pipeline.inputs).map(async ([name, { sample }]) => {
      const lines = readFileSync(sample, "utf8").split("\n").slice(0, -1);
      // Half a day from all of them.
      const records = lines.map((value) => ({ value, time: Date.UTC(2026, 0, 5, 12) }));
      return `${name}=${broker.uri(await topicOf(records))}`;
    }),
  );
  const counts = await agreed(pipeline, inputAddresses(pipeline, topics, pipeline.params.parse({})), {
    disorder: "2d",
  });
  expect(counts.ok).toBeGreaterThan(0);
});

// --- generated pipelines ----------------------------------------------------------------------------------------------

/** Rows that come again are told apart by what they count; and a partition without a record would hold all back. */
function fit(one: Generated): Generated {
  const lines = one.files.flat();
  const some = lines.find(({ deal }) => deal !== null)?.deal ?? SOME;
  const fillers = Array.from({ length: PARTITIONS }, () => lineOf({ ...some, symbol: TEST }));
  return { ...one, measures: [...new Set(["n", ...one.measures] as const)], files: [[...fillers, ...lines]] };
}

const SOME = { id: 1, time: 0, symbol: TEST, side: true, venue: 7, price: "1", quantity: null, fee: null } as const;

/** Each as its own time has it; what has none comes with the first. */
function recordsOf(lines: readonly Line[]): { value: string; time: number }[] {
  const first = lines.find(({ deal }) => deal !== null)?.deal?.time ?? 0;
  // Kafka has no time before 1970, and of a partition without a positive one KafkaIO never says that it is at its end.
  return lines.map(({ text, deal }) => ({ value: text, time: Math.max(1, deal?.time ?? first) }));
}

const some = (fitting: (one: Generated) => Generated) =>
  fc.noBias(fc.array(generated.map(fitting), { minLength: 1, maxLength: 10, size: "max" }));
// A job takes its time, so that what fails is not made smaller.
const limits = { interruptAfterTimeLimit: LIMIT_MS - 60_000, markInterruptAsFailure: true, endOnFailure: true };

async function inputsOf(all: readonly Generated[], pipeline: Pipeline): Promise<{ topics: string[]; inputs: Inputs }> {
  const topics = await Promise.all(all.map(({ files }) => topicOf(recordsOf(files.flat()))));
  const words = topics.map((topic, n) => `${inputName(n)}=${broker.uri(topic)}`);
  return { topics, inputs: inputAddresses(pipeline, words, {}) };
}

test(
  "generated pipelines",
  async () => {
    const seen = { dead: 0, dropped: 0, aggregated: 0, duplicate: 0 };
    const one = async (all: readonly Generated[]): Promise<void> => {
      const pipeline = pipelineOf(all);
      const { inputs } = await inputsOf(all, pipeline);
      // Their times are 140 s apart at most.
      const counts = await agreed(pipeline, inputs, { disorder: "140s" });
      expect(counts).toMatchObject(countsOf(all));
      for (const name of Object.keys(seen) as (keyof typeof seen)[]) seen[name] += counts[name];
    };
    await fc.assert(fc.asyncProperty(some(fit), one), { seed, numRuns: isNightly ? 30 : 2, ...limits });
    for (const times of Object.values(seen)) expect(times).toBeGreaterThan(0);
  },
  LIMIT_MS,
);

/** In the order of their times, of which none is before 1970, and with windows that are over while a test waits. */
function inOrder(one: Generated): Generated {
  const day = 86_400_000;
  const { files, window, ...rest } = fit(one);
  const lines = files
    .flat()
    .map((line) => (line.deal === null ? line : lineOf({ ...line.deal, time: line.deal.time + day })))
    .toSorted((a, b) => (a.deal?.time ?? 0) - (b.deal?.time ?? 0));
  const shorter = (length: number): number => Math.min(length, 6_000);
  const short: Windowing =
    window.kind === "fixed"
      ? fixed(shorter(window.size))
      : window.kind === "sliding"
        ? sliding(shorter(window.size), Math.min(window.every, 2_000))
        : sessions(shorter(window.gap));
  return { ...rest, window: short, files: [lines] };
}

const isDeal = ({ deal }: Line): boolean => deal !== null;

/** The same deals, but now, and others than those. */
const today = (lines: readonly Line[], now: number): Line[] =>
  lines.map((line) => (line.deal === null ? line : lineOf({ ...line.deal, id: `now ${line.deal.id}`, time: now })));

test(
  "beyond the disorder: what comes behind the end of its windows is late, part by part, and changes nothing",
  async () => {
    let late = 0;
    const one = async (all: readonly Generated[]): Promise<void> => {
      const pipeline = pipelineOf(all);
      const { topics, inputs } = await inputsOf(all, pipeline);
      const first = countsOf(all);
      let inTime: Generated[] = [];
      const found = await streamed(pipeline, inputs, { disorder: "5s" }, async ({ view }) => {
        const counts = countsIn(view?.counters ?? {});
        const now = Date.now();
        // All that there was is over.
        if (inTime.length === 0 && counts.read === first.read && (view?.watermark ?? 0) > now - 3_600_000) {
          inTime = all.map((each) => ({ ...each, files: [...each.files, today(each.files.flat(), now)] }));
          await Promise.all(
            topics.map((topic, n) => {
              const [old = [], newer = []] = inTime[n]?.files ?? [];
              return sendTo(topic, recordsOf([...newer, ...old.filter(isDeal)]));
            }),
          );
        }
        const settled = counts.aggregated + counts.duplicate + counts.late;
        return inTime.length > 0 && settled === countsOf(inTime)["to aggregate"] + first["to aggregate"];
      });
      const counts = counted(found.view?.counters ?? {});
      const wanted = await here.run(pipeline, (await inputsOf(inTime, pipeline)).inputs);
      // The letters are of other topics.
      expect({ ...found.rows, dead_letters: [] }).toEqual({ ...wanted.rows, dead_letters: [] });
      expect(counts).toMatchObject({ ...pick(counted(wanted.counters)), late: first["to aggregate"] });
      late += counts.late;
    };
    await fc.assert(fc.asyncProperty(some(inOrder), one), { seed, numRuns: isNightly ? 10 : 1, ...limits });
    expect(late).toBeGreaterThan(0);
  },
  LIMIT_MS,
);

const pick = ({ aggregated, duplicate }: { aggregated: number; duplicate: number }) => ({ aggregated, duplicate });
