// A job that goes on, on Flink: the cluster reads the topics by itself and holds the windows, workers clean, add up and write.
// What has come in counts exactly once, by Flink's checkpoints; a row that is written again takes the place of its own.
import os from "node:os";
import path from "node:path";
import { freePort } from "../../infra/services/ports";
import { flinkSettings } from "../../infra/services/flink/settings";
import { HOST } from "../../infra/services/server-kind";
import { aggregatesOf, type NamedAggregate } from "../../transforms/aggregates-of";
import { readKafka, type Graph, type RunContext, type Unbounded } from "../../beam";
import { type Address, type Output, type RunnerRead, type StartAt } from "../../io/connector";
import { sourceOf } from "../../io/registry";
import { type Pipeline } from "../../pipelines/definition";
import { UsageError } from "../../schema/errors";
import { type Table } from "../../schema/table";
import { batchContext } from "../direct/batch-context";
import { buildGraph } from "../direct/build-graph";
import { checkGraph } from "../direct/check-graph";
import { type RunRequest } from "../direct/run-batch";
import { checkAligned, stretchOf } from "../stretch";
import { type Counts } from "../report";
import { begin, type Begun, type FlinkWishes } from "./flink";
import { followStream, type OnView } from "./follow";
import { nameInMetrics } from "./job-view";
import { type Origin } from "../worker/write-keyed";
import { checkPlaces, endThere, placesOf, prepare, takesUpdates, type Places } from "./write-there";

/** Flink ends a bundle after so many elements or milliseconds: what is in one waits for it. */
const BUNDLE_ELEMENTS = 20_000;
const BUNDLE_MS = 200;

/** A job that was ended by a signal. */
export type StreamReport = Counts & {
  readonly pipeline: string;
  readonly runner: "flink";
  readonly state: "interrupted";
  readonly job: string;
  readonly seconds: number;
  readonly recordsPerSecond: number;
  /** Where it can go on from. */
  readonly savepoint: string;
  readonly restarts: number;
  /** Whether records that were read again behind a restart are not in the counts, or in them twice. */
  readonly isApproximate: boolean;
};

/** Runs it until the signal says so, with a cluster of its own where none is named. */
export async function stream(request: RunRequest, wishes: FlinkWishes, onView: OnView): Promise<StreamReport> {
  const started = performance.now();
  const { pipeline, options, signal = new AbortController().signal } = request;
  const port = wishes.master === undefined ? await freePort() : null;
  const settings = port === null ? undefined : smallCluster(options["state-dir"], wishes.job, port);
  const begun = await beginStream(request, wishes, settings);
  const address = port === null ? (wishes.master ?? "") : `${HOST}:${port}`;
  const { view, savepoint } = await followStream(begun, address, signal, onView);
  const seconds = (performance.now() - started) / 1000;
  const count = (name: string): number => view?.counters[name] ?? 0;
  const restarts = view?.restarts ?? 0;
  return {
    pipeline: pipeline.name,
    runner: "flink",
    state: "interrupted",
    ...{ read: count("read"), ok: count("ok"), dead: count("dead"), dropped: count("dropped") },
    ...{ duplicate: count("duplicate"), late: count("late"), rejected: 0 },
    written: Object.fromEntries(
      Object.keys(pipeline.outputs).map((name) => [name, view?.written[nameInMetrics(name)] ?? 0]),
    ),
    seconds: Math.round(seconds * 1000) / 1000,
    recordsPerSecond: Math.round(count("read") / seconds),
    job: wishes.job,
    savepoint,
    restarts,
    isApproximate: restarts > 0,
  };
}

/** The settings of a cluster that lives as long as the command; what it keeps stays. */
function smallCluster(stateDirectory: string, job: string, port: number): Record<string, string | number> {
  const kept = path.resolve(stateDirectory, "flink", encodeURIComponent(job));
  const settings = { scratch: os.tmpdir(), kept, port, rpcPort: 0 };
  const { "io.tmp.dirs": _, ...taken } = JSON.parse(flinkSettings(settings)) as Record<string, string | number>;
  // It is as large as its job, and finds itself.
  const isItsOwn = (name: string) => /^taskmanager\.(memory|cpu|numberOf)|^jobmanager\.rpc\.port$/.test(name);
  return Object.fromEntries(Object.entries(taken).filter(([name]) => !isItsOwn(name)));
}

/** A checkpoint that takes longer waits for a worker that does not answer: the job is begun again from the one before. */
const CHECKPOINT_LIMIT_MS = 60_000;

/** Submits it. Comes back when the job server has it. */
export async function beginStream(
  request: RunRequest,
  wishes: FlinkWishes,
  settings?: Readonly<Record<string, string | number>>,
): Promise<Begun> {
  const { pipeline, options, signal } = request;
  const { parallelism } = wishes;
  const isNew = options["from-savepoint"] === undefined;
  checkShape(request);
  const reads = await readsOf(request, wishes.job, isNew);
  const wholeFroms = [...reads.values()].flatMap(({ wholeFrom }) => (wholeFrom === null ? [] : [wholeFrom]));
  const isSkipping = options["partial-windows"] === "skip" && wholeFroms.length > 0;
  const { since } = stretchOf(options);
  const context: RunContext = {
    ...contextOf(request, wishes.job),
    covers: { since, until: null, wholeFrom: isSkipping ? Math.max(...wholeFroms) : null },
  };
  const { unbounded, aggregates } = unboundedOf(request, context);
  if (aggregates.length > 0) checkSilent(reads, isNew);
  const places = placesOf(outputsOf(pipeline, aggregates, request.outputs), request.outputs);
  checkPlaces(places, "--streaming");
  const origin = { job: wishes.job, pipeline: pipeline.name, id: context.batch };
  const graph = graphOf(request, { ...context, unbounded }, reads, places, origin);
  const batch = { ...origin, plan: context.batch, ranges: [], replays: [], turn: null, isPart: true };
  return begin(graph, { ...wishes, orHere: false }, signal, {
    isDetached: wishes.master !== undefined,
    ready: () => prepare(places, batch),
    ...(settings === undefined ? {} : { settings }),
    options: {
      streaming: true,
      experiments: ["use_deprecated_read"],
      checkpointingInterval: options["checkpoint-interval"],
      checkpointTimeoutMillis: CHECKPOINT_LIMIT_MS,
      externalizedCheckpointsEnabled: true,
      retainExternalizedCheckpointsOnCancellation: true,
      maxBundleSize: BUNDLE_ELEMENTS,
      maxBundleTimeMills: BUNDLE_MS,
      // No maxParallelism: Beam would split a topic into as many readers, and deal each part several of them. It asks them in turn
      // for one record each, and one that has none at the moment is waited for, so that a busy partition beside a calm one
      // falls behind without end. One reader of several partitions waits only when none of them has any.
      parallelism: parallelism ?? 1,
      ...(isNew ? {} : { savepointPath: options["from-savepoint"] }),
    },
  });
}

const contextOf = ({ pipeline, options }: RunRequest, job: string): RunContext =>
  batchContext({ pipeline, options }, { job, batch: job, batchTime: Date.now(), goesOn: false, duplicates: "grouped" });

/** Only what knows how to go on may gather elements, as on the direct runner. */
function checkShape({ pipeline, params, options }: RunRequest): void {
  const looking = { job: "check", batch: "check", batchTime: 0, goesOn: true };
  const context = batchContext({ pipeline, options }, looking);
  const { graph, uncleaned } = buildGraph(pipeline, params, context, {});
  checkGraph(graph, context, uncleaned);
  const { since } = stretchOf(options);
  if (since !== null) checkAligned({ since, until: null }, aggregatesOf(context));
}

async function readsOf(request: RunRequest, job: string, isNew: boolean): Promise<Map<string, RunnerRead>> {
  const { inputs, options } = request;
  const { disorder, since, "start-at": startAt } = options;
  const at: StartAt = since === undefined ? startAt : { since: Date.parse(since) };
  const reads = new Map<string, RunnerRead>();
  for (const [name, { address }] of Object.entries(inputs)) {
    const { readByRunner } = sourceOf(address);
    if (readByRunner === undefined)
      throw new UsageError(
        `--streaming on Flink reads topics of Kafka, and ${name} is read from ${address.scheme}: give --from ${name}=kafka://…, or use --runner=direct`,
      );
    reads.set(name, await readByRunner(address, { job, at, disorder, isNew }));
  }
  return reads;
}

/** How the pipeline's windows end, by its own lateness, which the graph alone knows. */
function unboundedOf(
  { pipeline, params, options }: RunRequest,
  context: RunContext,
): { readonly unbounded: Unbounded; readonly aggregates: readonly NamedAggregate[] } {
  const looking = { ...context, unbounded: { disorder: 0, delay: 0, updatesEvery: null } };
  buildGraph(pipeline, params, looking, {});
  const aggregates = aggregatesOf(looking);
  const { disorder, "batch-interval": updatesEvery } = options;
  const lateness = Math.max(0, ...aggregates.map(({ plan }) => plan.lateness));
  // A record may be that far from its row's time, and that far behind the newest one.
  return { unbounded: { disorder, delay: 2 * disorder + lateness, updatesEvery }, aggregates };
}

/** A partition without a record holds every window back. */
function checkSilent(reads: ReadonlyMap<string, RunnerRead>, isNew: boolean): void {
  for (const { topic, silent, partitions } of reads.values()) {
    const [first] = silent;
    if (first === undefined || !isNew) continue;
    throw new UsageError(
      `${silent.length === 1 ? first : `${silent.length} of the ${partitions} partitions of ${topic}, such as ${first},`} ` +
        `${silent.length === 1 ? "has" : "have"} no record, and on a cluster no window ends before each partition has had one: ` +
        "write a record into it, which may be one that the pipeline drops, or use --runner=direct",
    );
  }
}

/** Rows of an aggregate come again when their window has grown: a column that counts says which one is the newer. */
function outputsOf(
  { name, outputs }: Pipeline,
  aggregates: readonly NamedAggregate[],
  addresses: Readonly<Record<string, Address>>,
): Output[] {
  const counts = aggregates.flatMap(({ plan }) =>
    Object.entries(plan.measures).flatMap(([column, { kind }]) => (kind === "count" ? [column] : [])),
  );
  return Object.entries(outputs).map(([output, { table }]) => {
    if (aggregates.length === 0 || table.mode === "by-origin") return { name: output, table };
    const growsBy = counts.find((column) => hasColumn(table, column));
    if (growsBy !== undefined) return { name: output, table, growsBy };
    // A window's last word is the same whenever it comes.
    if (!takesUpdates(addresses[output] as Address)) return { name: output, table };
    throw new UsageError(
      `${name} cannot run with --streaming on Flink: no column of ${table.name} is a count() of its windows, by which a newer row is told from an older one: add that measure`,
    );
  });
}

const hasColumn = (table: Table, column: string): boolean => table.columns.some(({ name }) => name === column);

function graphOf(
  { pipeline, params }: RunRequest,
  context: RunContext & { readonly unbounded: Unbounded },
  reads: ReadonlyMap<string, RunnerRead>,
  places: Places,
  origin: Origin,
): Graph {
  const { unbounded } = context;
  return buildGraph(pipeline, params, context, {}, endThere(places, origin, unbounded.delay), (name, root) => {
    const { brokers, topic, consumer, since } = reads.get(name) as RunnerRead;
    return root.apply(
      readKafka(`read ${name} from ${topic}`, { brokers, topic, consumer, since, delay: unbounded.delay }),
    );
  }).graph;
}
