// Trades in Avro on a real topic, with their schemas in a test double of a registry: aggregated in a bounded run and in a
// job, and candles written in Avro.
import { chmodSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { SchemaRegistry } from "@kafkajs/confluent-schema-registry";
import { freePort } from "../infra/services/ports";
import { startServices, stopServices } from "../infra/services/services";
import { parseAddress } from "../io/address";
import { EVERYTHING } from "../io/connector";
import { bytesOf } from "../io/kafka/avro-values";
import { kafka as connector } from "../io/kafka/kafka";
import { type Report } from "../runners/report";
import { scene, type Outcome } from "./command-scene";
import { Broker, candlesInSqlite, jobProcesses, type Sent } from "./job-scene";
import { Ledger, type Expected } from "./ledger";
import { RegistryDouble } from "./registry-double";

const { at, beamline } = scene();
const startJob = jobProcesses();
const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-registry-"));
// The server may run as another user.
chmodSync(directory, 0o755);
let broker: Broker;
let double: RegistryDouble;
let url: string;

beforeAll(async () => {
  const { kafka } = await startServices(["kafka"], { directory, ports: { kafka: await freePort() } });
  broker = await Broker.connect(new URL(kafka.url).host);
});
beforeEach(async () => {
  double = new RegistryDouble();
  url = await double.start();
});
afterEach(() => double.stop());
afterAll(async () => {
  await broker?.close();
  await stopServices(["kafka"], { directory, data: true });
  rmSync(directory, { recursive: true, force: true });
});

const decimal = { type: "bytes", logicalType: "decimal", precision: 38, scale: 8 };
const fields = [
  { name: "e", type: "string" },
  { name: "E", type: "long" },
  { name: "s", type: "string" },
  { name: "t", type: "long" },
  { name: "p", type: "string" },
  { name: "q", type: decimal },
  { name: "T", type: "long" },
  { name: "m", type: "boolean" },
];
const TRADE = { type: "record", name: "Trade", namespace: "exchange", fields };
const GROWN = { ...TRADE, fields: [...fields, { name: "venue", type: ["null", "string"], default: null }] };

/** As a producer elsewhere makes them, by the library that most take for it. */
class Producer {
  private readonly registry = new SchemaRegistry({ host: url });

  /** The id under which the registry has the schema from now on. */
  async register(topic: string, schema: object): Promise<number> {
    const body = JSON.stringify({ schemaType: "AVRO", schema: JSON.stringify(schema) });
    const answer = await fetch(`${url}/subjects/${topic}-value/versions`, { method: "POST", body });
    return ((await answer.json()) as { id: number }).id;
  }

  async encoded(id: number, records: ReturnType<Ledger["take"]>): Promise<Sent[]> {
    return Promise.all(
      records.map(async ({ key, value, time }) => {
        const trade = JSON.parse(value) as Record<string, unknown>;
        const quantity = bytesOf(BigInt(String(trade["q"])) * 10n ** 8n);
        return { key, time, value: await this.registry.encode(id, { ...trade, q: quantity }) };
      }),
    );
  }

  decode(value: Buffer): Promise<unknown> {
    return this.registry.decode(value);
  }
}

const from = (topic: string) => ["--from", `${broker.uri(topic)}?registry=${url}`];
const candles = () => candlesInSqlite(at("data/app.db"));
const reportOf = ({ stdout }: Outcome) => JSON.parse(stdout) as Report;

it("a bounded run reads them, with a schema that grew on the way", async () => {
  await broker.createTopic("bounded", 2);
  const [producer, ledger] = [new Producer(), new Ledger(1)];
  for (const schema of [TRADE, GROWN]) {
    const id = await producer.register("bounded", schema);
    await broker.send("bounded", await producer.encoded(id, ledger.take(1_000)));
  }
  const outcome = await beamline(...from("bounded"), "--json");
  expect(outcome.code).toBe(0);
  expect(reportOf(outcome)).toMatchObject({ dead: 0 });
  expect(candles()).toEqual(ledger.expected());
});

it("a job reads them; what cannot be decoded is a dead letter, and a registry that is away is waited for", async () => {
  await broker.createTopic("job", 2);
  const [producer, ledger] = [new Producer(), new Ledger(2)];
  const id = await producer.register("job", TRADE);
  const words = ["--streaming", ...from("job"), "--idle=10m", "--batch-interval=50ms", "--log=json", "--json"];
  await broker.send("job", await producer.encoded(id, ledger.take(500)));
  const job = startJob(at(), words);
  const isAll = (rows: Expected[]) => JSON.stringify(rows) === JSON.stringify(ledger.expected());
  await job.until(candles, isAll);

  const broken = (await producer.encoded(id, new Ledger(3).take(3))).map(({ value, ...rest }, n) => {
    const bytes = Buffer.from(value);
    // An id that no schema has, a record that ends too soon, and one of half a number.
    if (n === 0) bytes.writeInt32BE(99, 1);
    return { ...rest, value: n === 0 ? bytes : bytes.subarray(0, 6 * n) };
  });
  await broker.send("job", [...(await producer.encoded(id, ledger.take(300))), ...broken]);
  await job.until(candles, isAll);

  const grown = await producer.register("job", GROWN);
  const more = await producer.encoded(grown, ledger.take(300));
  double.failing = Number.POSITIVE_INFINITY;
  const asked = double.requests;
  await broker.send("job", more);
  await job.until(
    () => double.requests,
    (requests) => requests > asked + 2,
  );
  double.failing = 0;
  await job.until(candles, isAll);
  const { code, stdout } = await job.end();
  expect(code).toBe(130);
  expect(JSON.parse(stdout)).toMatchObject({ dead: broken.length, late: 0, lost: 0 });
  expect(job.events.filter(({ level }) => level === "error")).toEqual([]);
});

it("a registry that is away for longer than --give-up-after ends the job; the next start goes on", async () => {
  await broker.createTopic("away");
  const [producer, ledger] = [new Producer(), new Ledger(4)];
  const id = await producer.register("away", TRADE);
  await broker.send("away", await producer.encoded(id, ledger.take(200)));
  double.failing = Number.POSITIVE_INFINITY;
  const words = ["--streaming", ...from("away"), "--once", "--json"];
  expect(await beamline(...words, "--give-up-after=1s")).toMatchObject({
    code: 1,
    stdout: expect.stringContaining("The schema registry at ") as string,
  });
  double.failing = 0;
  expect(reportOf(await beamline(...words))).toMatchObject({ batches: 1, dead: 0 });
  expect(candles()).toEqual(ledger.expected());
});

it("candles go out in Avro, each once, and anybody can read them", async () => {
  await broker.createTopic("in");
  await broker.createTopic("out");
  const [producer, ledger] = [new Producer(), new Ledger(5)];
  const id = await producer.register("in", TRADE);
  const to = ["--to", `candles=${broker.uri("out")}?format=avro&registry=${url}`, "--lateness=0s"];
  const words = ["--streaming", ...from("in"), ...to, "--max-batch=300", "--json"];
  for (const end of ["--once", "--once", "--flush"]) {
    await broker.send("in", await producer.encoded(id, ledger.take(700)));
    expect(await beamline(...words, end)).toMatchObject({ code: 0 });
  }
  const [range] = (await connector.source?.plan(parseAddress(broker.uri("out")), EVERYTHING)) ?? [];
  if (range === undefined) throw new Error("nothing was written");
  const rows: Expected[] = [];
  for await (const records of connector.source?.read(range) ?? []) {
    for (const { value } of records) {
      const row = (await producer.decode(Buffer.from(value))) as Record<string, unknown>;
      const [symbol, trade_count] = [String(row["symbol"]), Number(row["trade_count"])];
      const volume = BigInt(`0x${Buffer.from(row["volume"] as Uint8Array).toString("hex")}`) / 10n ** 8n;
      const window_start = new Date(Number(row["window_start"])).toISOString();
      rows.push({ symbol, window_start, trade_count, volume: String(volume) });
    }
  }
  const place = ({ symbol, window_start }: Expected) => `${symbol} ${window_start}`;
  expect(rows.sort((a, b) => (place(a) < place(b) ? -1 : 1))).toEqual(ledger.expected());
});
