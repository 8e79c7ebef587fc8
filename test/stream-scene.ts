// What the tests of jobs that go on on Flink share: trades of now in a topic of four partitions, the job as a process, and the
// candles that must come out. Times are those of now, since a partition at its end goes by the clock.
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { freePort } from "../infra/services/ports";
import { startServices, stopServices, type RunningService } from "../infra/services/services";
import { type ServiceName } from "../infra/services/server-kind";
import { type ClusterJob } from "../runners/flink/cluster";
import { type JobView } from "../runners/flink/job-view";
import { Broker, candlesInPostgres, inPostgres } from "./job-scene";
import { Ledger, type Expected } from "./ledger";
import { trade } from "./command-scene";

export const WINDOW = 5_000;
/** Of the ledger's trades. */
const DISORDER = "5s";
const PARTITIONS = 4;

/** For services whose parts are killed often: who is killed so often has to be begun again so often. */
export const oftenBegunAgain = {
  BEAMLINE_FLINK_SETTINGS: JSON.stringify({ "restart-strategy.failure-rate.max-failures-per-interval": 1_000 }),
};

export interface Sending {
  readonly topic: string;
  readonly ledger: Ledger;
}

export interface StreamScene {
  readonly directory: string;
  readonly flink: RunningService;
  readonly postgres: RunningService;
  readonly broker: Broker;
  /** A topic with trades in every partition, and a schema of the same name for what becomes of it. */
  begin(topic: string, seed: number): Promise<Sending>;
  send(sending: Sending, count: number): Promise<void>;
  /** The words of its job, on a small cluster of its own unless more is said, which stands before what is usual. */
  words(sending: Sending, ...more: string[]): string[];
  onCluster(...more: string[]): string[];
  candles(sending: Sending): Promise<Expected[]>;
  isAll(sending: Sending): (rows: unknown) => boolean;
  /** The process id of a part of the cluster, such as taskmanager-1. */
  pidOf(part: string): number;
}

/** Starts the servers before the tests of a file, and stops them behind. Call it once at the top. */
export function streamScene(environment: NodeJS.ProcessEnv = process.env): StreamScene {
  const names = ["kafka", "postgres", "flink"] as const;
  const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-test-"));
  // PostgreSQL may run as another user.
  chmodSync(directory, 0o755);
  let services: Partial<Record<ServiceName, RunningService>> = {};
  let broker: Broker;

  beforeAll(async () => {
    const ports = { kafka: await freePort(), postgres: await freePort(), flink: await freePort() };
    services = await startServices(names, { directory, ports, environment });
    broker = await Broker.connect(new URL(services.kafka?.url ?? "").host);
  });
  afterAll(async () => {
    await broker?.close();
    await stopServices(names, { directory, data: true });
    rmSync(directory, { recursive: true, force: true });
  });

  const service = (name: ServiceName): RunningService => {
    const running = services[name];
    if (running === undefined) throw new Error(`${name} is not running`);
    return running;
  };
  const send = async ({ topic, ledger }: Sending, count: number): Promise<void> => {
    await broker.send(
      topic,
      ledger.take(count).map((record, n) => ({ ...record, partition: n % PARTITIONS })),
    );
  };
  return {
    directory,
    get flink() {
      return service("flink");
    },
    get postgres() {
      return service("postgres");
    },
    get broker() {
      return broker;
    },
    async begin(topic, seed) {
      await broker.createTopic(topic, PARTITIONS);
      await inPostgres(service("postgres").url, `create schema ${topic}`);
      const sending = { topic, ledger: new Ledger(seed, () => Date.now()) };
      await send(sending, 200);
      return sending;
    },
    send,
    words({ topic }, ...more) {
      const usual = [
        ...["--runner=flink", "--streaming", "--window=5s", "--lateness=0s", `--disorder=${DISORDER}`],
        ...[
          "--checkpoint-interval=2s",
          `--from=${broker.uri(topic)}`,
          `--to=${service("postgres").url}?schema=${topic}`,
        ],
      ];
      const nameOf = (word: string) => word.split("=")[0];
      const said = more.map(nameOf);
      return ["trades-aggregate", ...usual.filter((word) => !said.includes(nameOf(word))), ...more];
    },
    onCluster(...more) {
      const workers = more.some((word) => word.startsWith("--workers=")) ? [] : ["--workers=process"];
      return [`--flink-master=${service("flink").url}`, ...workers, ...more];
    },
    candles: ({ topic }) => candlesInPostgres(service("postgres").url, topic),
    isAll({ ledger }) {
      const expected = JSON.stringify(ledger.expected(WINDOW));
      return (rows) => JSON.stringify(rows) === expected;
    },
    pidOf: (part) => Number(readFileSync(path.join(directory, "flink", `${part}.pid`), "utf8")),
  };
}

/** A job as `status --json` has it. */
export type ShownJob = ClusterJob & { readonly view: JobView | null };

/** A trade whose record is as old as it says. */
export const oldTrade = (number: number, age: number) => {
  const time = Date.now() - age;
  return { key: "BTCUSDT", time, value: trade(number, { s: "BTCUSDT", T: time, E: time }), partition: 0 };
};

/** The processes under a directory that run a pipeline's code: the watching one and the working one of each. */
export function workersUnder(directory: string): { readonly pid: number; readonly works: boolean }[] {
  return execFileSync("ps", ["-eo", "pid=,stat=,args="], { encoding: "utf8" })
    .split("\n")
    .map((line) => /^\s*(\d+)\s+(\S+)\s+(.*)$/.exec(line)?.slice(1) ?? [])
    .filter(([, state = "Z", args = ""]) => !state.startsWith("Z") && /worker\/(work|main)\.ts /.test(args))
    .map(([pid, , args = ""]) => ({ pid: Number(pid), works: args.includes("worker/work.ts ") }))
    .filter(({ pid }) => environmentOf(pid).includes(`BEAMLINE_DIRECTORY=${directory}\0`));
}

function environmentOf(pid: number): string {
  try {
    return `${readFileSync(`/proc/${pid}/environ`, "utf8")}\0`;
  } catch {
    return "";
  }
}
