// The local servers themselves: started from nothing, used by clients, killed, started again with their data, stopped.
import { execFile } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { promisify } from "node:util";
import { CreateBucketCommand, GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { adapt, managedwriter } from "@google-cloud/bigquery-storage";
import { Storage } from "@google-cloud/storage";
import { credentials } from "@grpc/grpc-js";
import { Client as SearchClient } from "@opensearch-project/opensearch";
import { Client as CassandraClient, type types } from "cassandra-driver";
import { Kafka, logLevel, Partitioners } from "kafkajs";
import { Client } from "pg";
import { freePort } from "../infra/services/ports";
import { parquetReader } from "../infra/services/parquet-reader/parquet-reader";
import { identityOf } from "../infra/services/process-identity";
import { runProgram } from "../infra/services/programs";
import { serviceNames, type ServiceName } from "../infra/services/server-kind";
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
  const producer = kafkaClient().producer({ createPartitioner: Partitioners.DefaultPartitioner });
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
  /** What a client does with each. */
  interface Use {
    readonly write: (service: RunningService) => Promise<void>;
    readonly read: (service: RunningService) => Promise<string>;
    /** What is read when all is well. */
    readonly there: string;
    /** Whether what was written is there after a kill. */
    readonly keeps: boolean;
  }

  interface BigQueryAnswer {
    readonly rows?: readonly { readonly f: readonly { readonly v: unknown }[] }[];
    readonly status?: unknown;
  }

  const searching: Use = {
    write: async (service) => {
      const client = searchClient(service);
      const operations = [{ index: { _index: "numbers", _id: "one" } }, { number: 1 }];
      const { body } = await client.bulk({ refresh: true, body: operations });
      expect(body.errors).toBe(false);
    },
    read: async (service) => {
      const { body } = await searchClient(service).search({ index: "numbers" });
      return JSON.stringify(body.hits.hits.map(({ _source }) => _source as unknown));
    },
    there: '[{"number":1}]',
    keeps: true,
  };

  const uses = {
    gcs: {
      write: async (service) => {
        const [bucket] = await storage(service).createBucket("lake");
        await bucket.file("in/numbers.ndjson").save('{"number":1}\n{"number":2}\n', { resumable: false });
      },
      read: async (service) => (await storage(service).bucket("lake").file("in/numbers.ndjson").download()).toString(),
      there: '{"number":1}\n{"number":2}\n',
      keeps: true,
    },
    s3: {
      write: async ({ environment }) => {
        const client = objects(environment);
        await client.send(new CreateBucketCommand({ Bucket: "lake" }));
        await client.send(new PutObjectCommand({ Bucket: "lake", Key: "in/a=1/numbers.ndjson", Body: '{"number":1}' }));
      },
      read: async ({ environment }) => {
        const get = new GetObjectCommand({ Bucket: "lake", Key: "in/a=1/numbers.ndjson" });
        return (await (await objects(environment).send(get)).Body?.transformToString()) ?? "";
      },
      there: '{"number":1}',
      keeps: false,
    },
    bigquery: {
      write: async (service) => {
        await bigQuery(service, "datasets", { datasetReference: { datasetId: "numbers" } });
        // Not by `create table`, which makes a NUMERIC of three places here.
        const fields = [
          { name: "number", type: "INT64" },
          { name: "price", type: "NUMERIC" },
        ];
        const tableReference = { projectId: "test", datasetId: "numbers", tableId: "small" };
        await bigQuery(service, "datasets/numbers/tables", { tableReference, schema: { fields } });
        await ask(service, "insert into numbers.small values (1, 0.123456789), (2, 12.345678901)");
      },
      read: async (service) => JSON.stringify(await ask(service, "select number, price from numbers.small order by 1")),
      there: '[["1","0.123456789"],["2","12.345678901"]]',
      keeps: true,
    },
    cassandra: {
      write: async (service) => {
        await cql(
          service,
          "create keyspace numbers with replication = {'class': 'SimpleStrategy', 'replication_factor': 1}",
        );
        await cql(service, "create table numbers.small (number int primary key, price decimal)");
        await cql(service, "insert into numbers.small (number, price) values (1, 12.345678901)");
      },
      read: async (service) => {
        const { rows } = await cql(service, "select number, price from numbers.small");
        return rows.map((row) => row.values().join(" ")).join("\n");
      },
      there: "1 12.345678901",
      keeps: true,
    },
    opensearch: searching,
    elasticsearch: searching,
  } satisfies Readonly<Record<string, Use>>;
  type Other = keyof typeof uses;
  const others = Object.keys(uses) as Other[];
  let started: Record<Other, RunningService>;

  const storage = ({ environment }: RunningService): Storage =>
    new Storage({ apiEndpoint: environment["STORAGE_EMULATOR_HOST"], projectId: "test" });

  /** A client as it is where the environment is all that it is told. */
  const objects = (
    environment: RunningService["environment"],
    secret = environment["AWS_SECRET_ACCESS_KEY"],
  ): S3Client =>
    new S3Client({
      endpoint: environment["AWS_ENDPOINT_URL_S3"],
      region: environment["AWS_REGION"],
      credentials: { accessKeyId: environment["AWS_ACCESS_KEY_ID"] ?? "", secretAccessKey: secret ?? "" },
    });

  /** BigQuery's own REST interface: a POST and its answer. */
  async function bigQuery({ environment }: RunningService, path: string, body: object): Promise<BigQueryAnswer> {
    const url = `${environment["BIGQUERY_EMULATOR_HOST"]}/bigquery/v2/projects/test/${path}`;
    const headers = { "content-type": "application/json" };
    const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    const answer = (await response.json()) as BigQueryAnswer;
    if (!response.ok) throw new Error(JSON.stringify(answer));
    return answer;
  }

  /** The rows of a query's answer, as lists of what BigQuery writes for each value. */
  async function ask(service: RunningService, query: string): Promise<unknown[][]> {
    const { rows = [] } = await bigQuery(service, "queries", { query, useLegacySql: false });
    return rows.map(({ f }) => f.map(({ v }) => v));
  }

  async function cql(service: RunningService, query: string): Promise<types.ResultSet> {
    const contactPoints = [new URL(service.url).host];
    const client = new CassandraClient({ contactPoints, localDataCenter: "datacenter1" });
    try {
      return await client.execute(query);
    } finally {
      await client.shutdown();
    }
  }

  const searchClient = ({ url }: RunningService): SearchClient =>
    new SearchClient({ node: `http://${new URL(url).host}` });

  /** The processes of the group that a server's process leads. */
  async function groupOf({ pid }: RunningService): Promise<string[]> {
    const { output } = await runProgram("ps", ["-e", "-o", "pgid=,stat=,args="]);
    const lines = output.split("\n").map((line) => line.trim());
    return lines.filter((line) => line.startsWith(`${pid} `) && !/^\d+ Z/.test(line));
  }

  beforeAll(async () => {
    started = await startServices(others, options);
    // Where nothing is in the cache yet, half a gigabyte has to be fetched.
  }, 900_000);

  test("up, with what to set for clients; reached from this machine only", async () => {
    expect(await serviceStatus(others, options)).toEqual(
      others.map((name) => {
        const { url, port, environment, pid, log } = started[name];
        return { name, url, port, environment, pid, log, ready: true, state: "ready" };
      }),
    );
    for (const { port } of Object.values(started)) expect(await isRefused(port)).toBe(true);
  });

  test("the command prints what to set", async () => {
    expect(await run("up", "gcs")).toBe(`export STORAGE_EMULATOR_HOST=${started.gcs.url}\n`);
  });

  test.each(others)("%s takes and gives", async (name) => {
    await uses[name].write(started[name]);
    expect(await uses[name].read(started[name])).toBe(uses[name].there);
  });

  test("S3 refuses a wrong secret, and does not write what is there already where that is asked for", async () => {
    const { environment } = started.s3;
    const put = { Bucket: "lake", Key: "in/a=1/numbers.ndjson", Body: "none", IfNoneMatch: "*" };
    await expect(objects(environment, "wrong").send(new PutObjectCommand(put))).rejects.toThrow(/signature/);
    await expect(objects(environment).send(new PutObjectCommand(put))).rejects.toThrow(/pre-conditions/);
    expect(await uses.s3.read(started.s3)).toBe(uses.s3.there);
  });

  test("BigQuery loads what lies in GCS, and appends by the Storage Write API", async () => {
    const schema = { fields: [{ name: "number", type: "INT64" }] };
    const destinationTable = { projectId: "test", datasetId: "numbers", tableId: "loaded" };
    const load = { sourceUris: ["gs://lake/in/numbers.ndjson"], sourceFormat: "NEWLINE_DELIMITED_JSON" };
    const { status } = await bigQuery(started.bigquery, "jobs", {
      configuration: { load: { ...load, schema, destinationTable } },
    });
    expect(status).toEqual({ state: "DONE" });
    expect(await ask(started.bigquery, "select sum(number) from numbers.loaded")).toEqual([["3"]]);

    const [apiEndpoint = "", port] = started.bigquery.environment["BIGQUERY_STORAGE_EMULATOR_HOST"]?.split(":") ?? [];
    const sslCreds = credentials.createInsecure();
    const client = new managedwriter.WriterClient({ projectId: "test", apiEndpoint, port: Number(port), sslCreds });
    const connection = await client.createStreamConnection({
      streamId: managedwriter.DefaultStream,
      destinationTable: "projects/test/datasets/numbers/tables/loaded",
    });
    const protoDescriptor = adapt.convertStorageSchemaToProto2Descriptor(
      adapt.convertBigQuerySchemaToStorageTableSchema(schema),
      "row",
    );
    const writer = new managedwriter.JSONWriter({ connection, protoDescriptor });
    await writer.appendRows([{ number: 4 }]).getResult();
    writer.close();
    client.close();
    expect(await ask(started.bigquery, "select sum(number) from numbers.loaded")).toEqual([["7"]]);
  });

  test("killed, nothing of them runs, and up brings them back where they were", async () => {
    for (const name of others) {
      await killService(name, options);
      expect([name, await state(name), await groupOf(started[name])]).toEqual([name, "crashed", []]);
    }
    const again = await startServices(others, options);
    for (const name of others) {
      expect(again[name].url).toBe(started[name].url);
      expect(again[name].pid).not.toBe(started[name].pid);
      if (uses[name].keeps) expect(await uses[name].read(again[name])).toBe(uses[name].there);
      else await expect(uses[name].read(again[name])).rejects.toThrow();
    }
    started = again;
  });

  test("down: nothing runs, and with --data nothing is left", async () => {
    await stopServices(others, { ...options, data: true });
    for (const name of others) {
      expect([name, await state(name), await groupOf(started[name])]).toEqual([name, "stopped", []]);
      expect(existsSync(path.join(directory, name))).toBe(false);
    }
  });

  test.each(others)("%s without its programs: one sentence, and nothing is started", async (name) => {
    const error: unknown = await startServices([name], { ...options, environment: { PATH: "" } }).catch(
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(UsageError);
    expect(messageOf(error)).toMatch(new RegExp(`was not found: install it .*up --wait ${name}$`));
    expect(existsSync(path.join(directory, name))).toBe(false);
  });
});

test("the Parquet reader", async () => {
  const script = "import pyarrow.parquet, pyarrow; print(pyarrow.__version__)";
  expect(await runProgram(await parquetReader(), ["-I", "-c", script])).toEqual({ code: 0, output: "26.0.1\n" });
});
