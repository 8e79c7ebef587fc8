// Jobs that go on, on a Flink cluster, from Kafka into PostgreSQL: a topic full of trades worked off, and trades of now, of
// which is measured how long behind the end of its window a row has all of them.
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Client } from "pg";
import { CANDLE_COLUMNS, compareRows, type Row } from "../compare-rows";
import { nodeCommand, spread, type Command } from "../measure";
import { describeMachine } from "../report";
import { createDatabase, dropDatabase, readCandles, readCounts, withClient } from "../streaming/candle-table";
import { WindowEnds } from "../streaming/delays";
import { liveTrades } from "../streaming/live-trades";
import { candlesWithRepeats, loadTrades } from "../streaming/load";
import { readWhole, say, stopsOnSignal, UsageError } from "../streaming/main";
import { StreamProcess } from "../streaming/stream-process";
import { textTable } from "../streaming/text-table";
import { TopicWriter } from "../streaming/topic-writer";
import { builtCommand, caseText, type Case } from "./contenders";
import { jobsOn, lookAt } from "./measured-job";
import { makeOwnProject } from "./own-project";
import { openServers, type Servers } from "./servers";

const TICK_MS = 10;
const LOOK_MS = 50;
const PATIENCE_MS = 300_000;
/** Of the steady trades: short ones, so that many end. */
const WINDOW_MS = 10_000;

const USAGE = `tsx bench/flink/stream.ts [options]
  --records N            trades in the topic that is worked off (1000000); 0 leaves it out
  --runs N               of each (2)
  --warm-up N            before those that count (1)
  --parallelism 1,2      how many parts of a step run at the same time (1,2,4)
  --rate N               trades of now per second (5000)
  --seconds N            for how long (120); 0 leaves it out
  --checkpoints TEXT     how often the cluster keeps where the job stands (3s)
  --seed N               seed of the trades (42)
  --services DIRECTORY   kafka, postgres and flink that \`npm run services\` has there; else some of its own are started`;

function readOptions(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      records: { type: "string", default: "1000000" },
      runs: { type: "string", default: "2" },
      "warm-up": { type: "string", default: "1" },
      parallelism: { type: "string", default: "1,2,4" },
      rate: { type: "string", default: "5000" },
      seconds: { type: "string", default: "120" },
      checkpoints: { type: "string", default: "3s" },
      seed: { type: "string", default: "42" },
      services: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) throw new UsageError("");
  return {
    records: readWhole("records", values.records, 0),
    runs: readWhole("runs", values.runs, 1),
    warmUp: readWhole("warm-up", values["warm-up"], 0),
    parallelisms: values.parallelism.split(",").map((word) => readWhole("parallelism", word, 1)),
    rate: readWhole("rate", values.rate, 1),
    seconds: readWhole("seconds", values.seconds, 0),
    checkpoints: values.checkpoints,
    seed: readWhole("seed", values.seed, 0),
    services: values.services === undefined ? undefined : path.resolve(values.services),
  };
}
type Options = ReturnType<typeof readOptions>;

interface Scene {
  readonly servers: Servers;
  readonly options: Options;
  readonly isStopped: () => boolean;
  /** The project with the pipeline that counts repeats. */
  readonly project: string;
}

interface Job {
  readonly topic: string;
  readonly database: string;
  readonly pipeline: "trades-aggregate" | "trades-counted";
  readonly parallelism: number;
  readonly more: readonly string[];
}

function commandOf({ servers, options, project }: Scene, job: Job): Command {
  const where = ["--from", `kafka://${servers.kafka}/${job.topic}`, "--to", job.database];
  const how = ["--runner=flink", "--streaming", "--flink-master", servers.flink, "--workers=process"];
  const often = ["--checkpoint-interval", options.checkpoints, "--parallelism", String(job.parallelism)];
  return nodeCommand(builtCommand(), ["run", job.pipeline, ...where, ...how, ...often, ...job.more], project);
}

// --- a topic that is worked off -------------------------------------------------------------------------------------

interface Worked {
  readonly seconds: number;
  readonly flinkCpu: number;
  readonly workersCpu: number;
  readonly workersRssMb: number;
  readonly taskManagersRssMb: number;
}

async function workOff(scene: Scene, topic: string, { unique, parallelism }: Case, wanted: Wanted): Promise<Worked> {
  const { servers } = scene;
  const name = `bench_flink_stream_${process.pid}`;
  const database = await createDatabase(servers.postgres, name);
  const pipeline = unique ? "trades-aggregate" : "trades-counted";
  const earlier = new Set((await jobsOn(servers.flink)).map(({ jid }) => jid));
  const look = lookAt(servers);
  const before = look();
  const most = { workersRssMb: 0, taskManagersRssMb: 0 };
  // Repeats are up to seven seconds behind.
  const streaming = new StreamProcess(
    commandOf(scene, { topic, database, pipeline, parallelism, more: ["--disorder", "10s"] }),
    "SIGINT",
  );
  try {
    return await withClient(database, async (client) => {
      const until = Date.now() + PATIENCE_MS;
      for (;;) {
        streaming.usage();
        const now = look();
        most.workersRssMb = Math.max(most.workersRssMb, now.workersRssMb);
        most.taskManagersRssMb = Math.max(most.taskManagersRssMb, now.taskManagersRssMb);
        const [job] = (await jobsOn(servers.flink)).filter(({ jid }) => !earlier.has(jid));
        if (job !== undefined && (await countedIn(client)) >= wanted.count) {
          const seconds = (Date.now() - job["start-time"]) / 1000;
          const { differences, examples } = compareRows(
            wanted.rows,
            await readCandles(database),
            CANDLE_COLUMNS,
            "number",
          );
          if (differences > 0) throw new Error(`WRONG: ${differences} differences: ${examples.join("; ")}`);
          const workersCpu = now.workers - before.workers;
          return { seconds, flinkCpu: now.flink - before.flink, workersCpu, ...most };
        }
        if (Date.now() > until) throw new Error(`not done after ${PATIENCE_MS / 1000} s`);
        if (scene.isStopped()) throw new Error("stopped by a signal");
        await sleep(LOOK_MS * 4);
      }
    });
  } finally {
    const complaint = await streaming.end();
    if (complaint !== null) say(complaint);
    await dropDatabase(servers.postgres, name);
  }
}

interface Wanted {
  readonly rows: readonly Row[];
  readonly count: number;
}

const wantedOf = (rows: readonly Row[]): Wanted => ({
  rows,
  count: rows.reduce((sum, row) => sum + Number(row["trade_count"]), 0),
});

async function countedIn(client: Client): Promise<number> {
  return (await readCounts(client, 0)).reduce((sum, { count }) => sum + count, 0);
}

async function backlog(scene: Scene): Promise<string> {
  const { options, servers } = scene;
  const { records, seed, runs, warmUp, parallelisms } = options;
  say(`writing ${records.toLocaleString("en")} trades into Kafka`);
  const topic = `bench-flink-stream-${Date.now()}`;
  const { expected } = await loadTrades({ kafka: servers.kafka, topic, records, seed });
  const wanted = { once: wantedOf(expected), counted: wantedOf(candlesWithRepeats(records, seed)) };
  const cases = [false, true].flatMap((unique) =>
    parallelisms.map((parallelism) => ({ unique, parallelism, runs: [] as Worked[] })),
  );
  for (let run = 1 - warmUp; run <= runs; run += 1) {
    for (const one of cases) {
      const worked = await workOff(scene, topic, one, one.unique ? wanted.once : wanted.counted);
      say(`${run < 1 ? "warming up" : `run ${run}`}: ${caseText(one)}: ${worked.seconds.toFixed(1)} s`);
      if (run > 0) one.runs.push(worked);
    }
  }
  const median = (some: readonly Worked[], of: (run: Worked) => number): number => spread(some.map(of)).median;
  const lines = cases.map((one) => [
    caseText(one),
    Math.round(records / median(one.runs, ({ seconds }) => seconds)).toLocaleString("en"),
    median(one.runs, ({ seconds }) => seconds).toFixed(1),
    median(one.runs, ({ flinkCpu }) => flinkCpu).toFixed(1),
    median(one.runs, ({ workersCpu }) => workersCpu).toFixed(1),
    median(one.runs, ({ workersRssMb }) => workersRssMb).toFixed(0),
    median(one.runs, ({ taskManagersRssMb }) => taskManagersRssMb).toFixed(0),
  ]);
  const header = ["worked off", "records/s", "s", "CPU s Flink", "CPU s workers", "workers MB", "TaskManagers MB"];
  return `${textTable([header, ...lines])}\nAll tables were equal to the hand loop's.`;
}

// --- trades of now ----------------------------------------------------------------------------------------------------

async function steady(scene: Scene): Promise<{ text: string; isGood: boolean }> {
  const { options, servers, isStopped } = scene;
  const { rate, seconds, seed } = options;
  const name = `bench_flink_steady_${process.pid}`;
  const topic = `bench-flink-steady-${Date.now()}`;
  const database = await createDatabase(servers.postgres, name);
  const writer = await TopicWriter.open(servers.kafka, topic);
  const next = liveTrades(seed);
  const begin = Date.now();
  let ends = new WindowEnds(Infinity, WINDOW_MS);
  const failures: Error[] = [];
  let written = 0;
  let until = Infinity;
  const make = (): void => {
    const now = Date.now();
    if (now >= until) return;
    for (const due = ((now - begin) / 1000) * rate; written < due; written += 1) {
      const { line, symbol, time, isRepeat } = next(now);
      void writer.put({ value: line, key: symbol, time })?.catch((error: unknown) => failures.push(error as Error));
      if (symbol !== null && !isRepeat) ends.made(symbol, time);
    }
    writer.sendNow();
  };
  const making = setInterval(make, TICK_MS);
  // Each partition has to have a record before the job begins.
  await sleep(1_000);
  const more = ["--window", `${WINDOW_MS / 1000}s`, "--disorder", "2s"];
  const job = { topic, database, pipeline: "trades-aggregate", parallelism: 2, more } as const;
  const streaming = new StreamProcess(commandOf(scene, job), "SIGINT");
  const look = lookAt(servers);
  try {
    return await withClient(database, async (client) => {
      const beginning = Date.now() + PATIENCE_MS;
      // Until it has caught up, behind which a start has no part in what is measured.
      while ((await countedIn(client)) < rate * 20) {
        streaming.usage();
        if (isStopped() || Date.now() > beginning) throw new Error("it does not come to work");
        await sleep(LOOK_MS);
      }
      const from = Math.ceil(Date.now() / WINDOW_MS) * WINDOW_MS;
      ends = new WindowEnds(from, WINDOW_MS);
      until = from + seconds * 1000;
      await sleep(from - Date.now());
      const before = look();
      const patience = until + 30_000;
      while (Date.now() < until || (ends.waiting(Date.now()) > 0 && Date.now() < patience)) {
        const looked = Date.now();
        if (failures[0] !== undefined) throw failures[0];
        if (isStopped()) throw new Error("stopped by a signal");
        streaming.usage();
        await lookAtRows(client, ends);
        await sleep(Math.max(0, looked + LOOK_MS - Date.now()));
      }
      const after = look();
      const { delays, problems } = ends;
      const left = ends.waiting(Date.now());
      const told = [50, 95, 99, 100].map((percent) => (delays.percentile(percent) / 1000).toFixed(2)).join(" / ");
      const cores = (used: (one: typeof after) => number) => ((used(after) - used(before)) / seconds).toFixed(2);
      const said = [...problems, ...(left > 0 ? [`${left} rows never had all trades`] : [])];
      const text = [
        `${rate} trades of now per second for ${seconds} s, windows of ${WINDOW_MS / 1000} s, parallelism 2, checkpoints every ${options.checkpoints}:`,
        `end of a window → its row has all trades, p50 / p95 / p99 / max: ${told} s, of ${delays.count} rows`,
        `cores: Flink ${cores(({ flink }) => flink)}, workers ${cores(({ workers }) => workers)}`,
        ...said.slice(0, 5),
      ].join("\n");
      return { text, isGood: said.length === 0 && delays.count > 0 };
    });
  } finally {
    clearInterval(making);
    const complaint = await streaming.end();
    if (complaint !== null) say(complaint);
    await writer.close();
    await dropDatabase(servers.postgres, name);
  }
}

async function lookAtRows(client: Client, ends: WindowEnds): Promise<void> {
  const oldest = ends.oldest();
  if (oldest === null) return;
  const rows = await readCounts(client, oldest);
  const at = Date.now();
  for (const { symbol, start, count } of rows) ends.seen(symbol, start, count, at);
}

async function main(): Promise<boolean> {
  const options = readOptions(process.argv.slice(2));
  const machine = describeMachine();
  const isStopped = stopsOnSignal();
  const servers = await openServers(options.services, say);
  try {
    const scene = { servers, options, isStopped, project: await makeOwnProject() };
    const worked = options.records > 0 ? await backlog(scene) : "";
    const now = options.seconds > 0 ? await steady(scene) : { text: "", isGood: true };
    const { cores, cpu, memoryGb, node, platform, date, loadBefore } = machine;
    console.log(
      [
        `${cores} cores (${cpu}), ${memoryGb} GB, Node ${node}, ${platform}, ${date}, load before ${loadBefore}; medians`,
        ...[worked, now.text].filter((text) => text !== ""),
      ].join("\n\n"),
    );
    return now.isGood;
  } finally {
    await servers.stop();
  }
}

main().then(
  (isGood) => (process.exitCode = isGood ? 0 : 1),
  (error: unknown) => (process.exitCode = UsageError.report(error, USAGE)),
);
