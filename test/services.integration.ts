// The local servers themselves: started from nothing, used by clients, killed, started again with their data, stopped.
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { promisify } from "node:util";
import { Kafka, logLevel } from "kafkajs";
import { Client } from "pg";
import { freePort } from "../infra/services/ports";
import { parquetReader } from "../infra/services/parquet-reader/parquet-reader";
import { identityOf } from "../infra/services/process-identity";
import { runProgram } from "../infra/services/programs";
import { serviceNames, usualServices, type ServiceName } from "../infra/services/server-kind";
import {
  killService,
  restartService,
  serviceStatus,
  startServices,
  stopServices,
  type RunningService,
  type ServiceStatus,
} from "../infra/services/services";
import { messageOf, UsageError } from "../schema/errors";
import { exactProducer } from "./exact-producer";
import { until } from "./job-scene";
import { appendToBigQuery, askBigQuery, loadIntoBigQuery, putNumber, s3Client, uses } from "./service-uses";

const root = path.resolve(__dirname, "..");
// Not the developer's own servers. Inside the repository, since a user that root steps down to may not enter every place.
const directory = path.join(root, ".services", "integration-test");
const options = { directory };
const names = ["kafka", "postgres"] as const;
// Where it is set, Google's client takes it before what it is told, and leaves out the path behind the server's name.
delete process.env["STORAGE_EMULATOR_HOST"];
let services: Record<(typeof names)[number], RunningService>;

/** The command as a process of its own: what it starts has to outlive it. */
async function run(...words: string[]): Promise<string> {
  const args = ["--import", "tsx", "infra/services/main.ts", ...words];
  const env = { ...process.env, BEAMLINE_SERVICES_DIR: directory };
  return (await promisify(execFile)(process.execPath, args, { cwd: root, env })).stdout;
}

const state = async (name: ServiceName): Promise<string | undefined> =>
  (await serviceStatus([name], options))[0]?.state;

function kafkaClient(): Kafka {
  const retry = { retries: 5, initialRetryTime: 100 };
  return new Kafka({ brokers: [new URL(services.kafka.url).host], logLevel: logLevel.NOTHING, retry });
}

/** Writes numbers to a topic. */
async function produce(topic: string, numbers: readonly number[]): Promise<void> {
  const producer = exactProducer(kafkaClient());
  await producer.connect();
  await producer.send({ topic, messages: numbers.map((number) => ({ value: String(number), timestamp: "1000" })) });
  await producer.disconnect();
}

/** Reads so many numbers from a topic's start, as a new member of a new group. */
async function consume(topic: string, count: number, groupId: string): Promise<number[]> {
  const consumer = kafkaClient().consumer({ groupId, maxWaitTimeInMs: 100 });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const numbers: number[] = [];
  await new Promise<void>((resolve, reject) => {
    consumer
      .run({
        eachMessage: ({ message }) => {
          if (numbers.push(Number(message.value)) === count) resolve();
          return Promise.resolve();
        },
      })
      .catch(reject);
  });
  await consumer.disconnect();
  return numbers.sort((a, b) => a - b);
}

async function query(sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: services.postgres.url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

beforeAll(async () => {
  // What an interrupted run of this test left.
  await stopServices(serviceNames, { ...options, data: true });
});

afterAll(async () => {
  await stopServices(serviceNames, { ...options, data: true });
  rmSync(directory, { recursive: true, force: true });
});

test("up, by a process that ends: both are ready, on the given ports", async () => {
  const ports = { kafka: await freePort(), postgres: await freePort() };
  await run("up", "--port", `kafka=${ports.kafka}`, "--port", `postgres=${ports.postgres}`);
  const status = JSON.parse(await run("status", ...names, "--json")) as ServiceStatus[];
  expect(status).toEqual([
    expect.objectContaining({ name: "kafka", url: `kafka://127.0.0.1:${ports.kafka}`, ready: true, state: "ready" }),
    expect.objectContaining({
      name: "postgres",
      url: `postgres://beamline@127.0.0.1:${ports.postgres}/beamline`,
      ready: true,
      state: "ready",
    }),
  ]);
  for (const { pid } of status) expect(identityOf(pid ?? 0)).not.toBeNull();

  // Up already, and two at once: the same servers.
  const [first, second] = await Promise.all([startServices(names, options), startServices(names, options)]);
  services = first;
  expect(Object.values(first)).toMatchObject(status.map(({ pid, port }) => ({ pid, port, wasUp: true })));
  expect(second).toMatchObject({ kafka: { pid: first.kafka.pid }, postgres: { pid: first.postgres.pid } });
});

/** Whether somebody who comes by another of this machine's addresses is refused. */
function isRefused(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, "127.0.0.2", () => resolve(false));
    socket.once("error", () => resolve(true));
    socket.unref();
  });
}

test("they can be reached from this machine only", async () => {
  for (const { port } of Object.values(services)) expect(await isRefused(port)).toBe(true);
});

test("Kafka takes and gives records, old ones too, and knows only topics that were created", async () => {
  const admin = kafkaClient().admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic: "numbers", numPartitions: 4 }] });
  await admin.disconnect();
  await produce("numbers", [1, 2, 3]);
  expect(await consume("numbers", 3, "first")).toEqual([1, 2, 3]);
  await expect(produce("nowhere", [1])).rejects.toThrow("does not host this topic-partition");
});

test("Postgres answers in UTC and UTF-8", async () => {
  await query("create table numbers (number int primary key)");
  await query("insert into numbers values (1), (2)");
  expect(await query("select sum(number)::int as sum, current_setting('timezone') as zone from numbers")).toEqual([
    { sum: 3, zone: "UTC" },
  ]);
  expect(await query("show server_encoding")).toEqual([{ server_encoding: "UTF8" }]);
});

test.each(names)("%s killed: status says so, and up brings it back with its data on its port", async (name) => {
  const before = services[name];
  await killService(name, options);
  expect(await serviceStatus([name], options)).toEqual([
    {
      name,
      url: before.url,
      port: before.port,
      environment: {},
      pid: null,
      ready: false,
      state: "crashed",
      log: before.log,
    },
  ]);
  await expect(killService(name, options)).rejects.toThrow(`${name} is not running, so it cannot be killed`);
  services = { ...services, ...(await startServices([name], options)) };
  expect(services[name]).toMatchObject({ url: before.url, wasUp: false });
  expect(services[name].pid).not.toBe(before.pid);
});

test("Postgres killed in the middle of work comes back at once", async () => {
  const client = new Client({ connectionString: services.postgres.url });
  client.on("error", () => undefined);
  await client.connect();
  // This child of the server is busy and does not see at once that its parent is gone.
  const busy = client.query("select count(*) from generate_series(1, 20000000)").catch(() => undefined);
  await new Promise((resolve) => setTimeout(resolve, 200));
  await killService("postgres", options);
  services = { ...services, ...(await startServices(["postgres"], options)) };
  await busy;
  await client.end().catch(() => undefined);
  expect(await query("select count(*)::int from numbers")).toEqual([{ count: 2 }]);
});

test("restarted: what was written is there", async () => {
  services = { ...services, kafka: await restartService("kafka", options) };
  expect(await consume("numbers", 3, "second")).toEqual([1, 2, 3]);
  services = { ...services, postgres: await restartService("postgres", options) };
  expect(await query("select count(*)::int from numbers")).toEqual([{ count: 2 }]);
});

test("a server that is there but does not answer is not ready", async () => {
  process.kill(services.postgres.pid, "SIGSTOP");
  expect(await state("postgres")).toBe("not ready");
  process.kill(services.postgres.pid, "SIGCONT");
  expect(await state("postgres")).toBe("ready");
});

test("a recorded pid that is somebody else's by now is neither shown nor ended", async () => {
  await stopServices(["postgres"], options);
  const file = path.join(directory, "postgres", "service.json");
  const record = JSON.parse(readFileSync(file, "utf8")) as object;
  writeFileSync(file, JSON.stringify({ ...record, process: { pid: process.pid, started: "before" } }));
  expect(await state("postgres")).toBe("crashed");
  await stopServices(["postgres"], options);
  expect(await state("postgres")).toBe("stopped");
});

test("a start that fails shows the end of the log", async () => {
  const file = path.join(directory, "postgres", "data", "postgresql.conf");
  const settings = readFileSync(file, "utf8");
  writeFileSync(file, `${settings}\nno_such_setting = 1\n`);
  await expect(startServices(["postgres"], options)).rejects.toThrow(
    /^postgres ended while it was starting\. The end of .*server\.log:\n.*unrecognized configuration parameter "no_such_setting"/s,
  );
  writeFileSync(file, settings);
});

test("down: nothing runs, the data stays; with --data it goes", async () => {
  await startServices(names, options);
  await run("down");
  expect([await state("kafka"), await state("postgres")]).toEqual(["stopped", "stopped"]);
  expect(existsSync(path.join(directory, "kafka", "data"))).toBe(true);
  await run("down", "kafka", "--data");
  expect([existsSync(path.join(directory, "kafka")), existsSync(path.join(directory, "postgres"))]).toEqual([
    false,
    true,
  ]);
});

describe("the servers that are started by name", () => {
  type Named = keyof typeof uses;
  const named = Object.keys(uses) as Named[];
  let started: Record<Named, RunningService>;

  beforeAll(async () => {
    started = await startServices(named, options);
    // Where nothing is in the cache yet, several hundred megabytes have to be fetched.
  }, 900_000);

  test("they are all that are not started without a name", () => {
    // Flink keeps nothing: it has a test of its own.
    expect([...named, "flink"]).toEqual(serviceNames.filter((name) => !usualServices.includes(name)));
  });

  test("up, with what to set for clients; reached from this machine only", async () => {
    expect(await serviceStatus(named, options)).toEqual(
      named.map((name) => {
        const { url, port, environment, pid, log } = started[name];
        return { name, url, port, environment, pid, log, ready: true, state: "ready" };
      }),
    );
    // Some have a second port, the one after.
    for (const { port } of Object.values(started))
      expect([await isRefused(port), await isRefused(port + 1)]).toEqual([true, true]);
  });

  test("the command prints what to set", async () => {
    expect(await run("up", "gcs")).toBe(`export STORAGE_EMULATOR_HOST=${started.gcs.url}\n`);
  });

  test.each(named)("%s takes and gives", async (name) => {
    await uses[name].create(started[name]);
    await uses[name].add(started[name], 1);
    expect(await uses[name].read(started[name])).toEqual([1]);
  });

  test("S3 refuses a wrong secret, and does not write over what is there where that is asked for", async () => {
    await expect(s3Client(started.s3, "wrong").send(putNumber(2))).rejects.toThrow(/signature/);
    await expect(s3Client(started.s3).send(putNumber(1))).rejects.toThrow(/pre-conditions/);
    expect(await uses.s3.read(started.s3)).toEqual([1]);
  });

  test("BigQuery loads what lies in GCS, and appends by the Storage Write API", async () => {
    await loadIntoBigQuery(started.bigquery, "gs://lake/in/a=1/n.ndjson", "loaded");
    await appendToBigQuery(started.bigquery, "loaded", 5);
    expect(await askBigQuery(started.bigquery, "select sum(number) from numbers.loaded")).toEqual([["6"]]);
  });

  test("killed at once after an answer: nothing of them runs, and up brings them back where they were", async () => {
    for (const name of named) {
      await uses[name].add(started[name], 2);
      await killService(name, options);
      expect([name, await state(name), groupOf(started[name])]).toEqual([name, "crashed", []]);
    }
    const again = await startServices(named, options);
    for (const name of named) {
      expect(again[name].url).toBe(started[name].url);
      expect(again[name].pid).not.toBe(started[name].pid);
      if (uses[name].keeps) expect([name, await uses[name].read(again[name])]).toEqual([name, [1, 2]]);
      else await expect(uses[name].read(again[name])).rejects.toThrow("does not exist");
    }
    started = again;
  });

  test("down: nothing runs, and with --data nothing is left", async () => {
    await stopServices(named, { ...options, data: true });
    for (const name of named) {
      expect([name, await state(name), groupOf(started[name])]).toEqual([name, "stopped", []]);
      expect(existsSync(path.join(directory, name))).toBe(false);
    }
  });

  test.each(named)("%s without its programs: one sentence, and nothing is started", async (name) => {
    const error: unknown = await startServices([name], { ...options, environment: { PATH: "" } }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(UsageError);
    expect(messageOf(error)).toMatch(new RegExp(`was not found: install it .*up --wait ${name}$`));
    expect(existsSync(path.join(directory, name))).toBe(false);
  });
});

describe("Flink", () => {
  let flink: RunningService;
  const overview = async () =>
    (await (await fetch(`${flink.url}/overview`)).json()) as { readonly taskmanagers: number };
  /** On a busy machine a large process takes a moment to end, also when it is killed. */
  const untilGone = (service: RunningService) =>
    until(
      () => groupOf(service),
      ({ length }) => length === 0,
    );
  const pidOf = (name: string): number => Number(readFileSync(path.join(directory, "flink", `${name}.pid`), "utf8"));

  beforeAll(async () => {
    ({ flink } = await startServices(["flink"], options));
  }, 900_000);

  test("two TaskManagers, reached from this machine only", async () => {
    expect((await overview()).taskmanagers).toBe(2);
    expect([await isRefused(flink.port), await isRefused(flink.port + 1)]).toEqual([true, true]);
  });

  test("a TaskManager that is killed comes back", async () => {
    const pid = pidOf("taskmanager-1");
    process.kill(pid, "SIGKILL");
    await until(
      () => pidOf("taskmanager-1"),
      (now) => now !== pid,
    );
    await until(overview, ({ taskmanagers }) => taskmanagers >= 2);
  });

  test("killed, it leaves nothing running, and up brings it back where it was", async () => {
    await killService("flink", options);
    await untilGone(flink);
    expect(await state("flink")).toBe("crashed");
    const { flink: again } = await startServices(["flink"], options);
    expect({ url: again.url, isOther: again.pid !== flink.pid }).toEqual({ url: flink.url, isOther: true });
    flink = again;
  });

  test("down: nothing runs, and with --data nothing is left", async () => {
    await stopServices(["flink"], { ...options, data: true });
    expect(await state("flink")).toBe("stopped");
    await untilGone(flink);
    expect(existsSync(path.join(directory, "flink"))).toBe(false);
  });
});

/** The processes of the group that a server's process leads; on Linux, where they can be listed without a program. */
function groupOf({ pid }: RunningService): string[] {
  const stats = process.platform === "linux" ? readdirSync("/proc").filter((name) => /^\d+$/.test(name)) : [];
  return stats.filter((name) => {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      const [state, , group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return group === String(pid) && state !== "Z";
    } catch {
      // Ended between the list and the look.
      return false;
    }
  });
}

test("the Parquet reader", async () => {
  const script = "import pyarrow.parquet, pyarrow; print(pyarrow.__version__)";
  expect(await runProgram(await parquetReader(), ["-I", "-c", script])).toEqual({ code: 0, output: "26.0.1\n" });
});
