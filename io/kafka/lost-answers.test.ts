// Connections that break in the midst of an answer, or swallow one: what is asked for by the next one is answered.
import { setTimeout as sleep } from "node:timers/promises";
import { BrokerDouble, type Answering } from "../../test/broker-double";
import { KafkaClient } from "./client";
import { patiently } from "./patience";

/** More than comes in one piece, so that half an answer is waited for. */
const RECORDS = Buffer.alloc(100_000, 7);

// A request is given up after 0.6 s at the earliest; a busy machine takes longer for all of this.
jest.setTimeout(60_000);

const broker = new BrokerDouble("numbers", RECORDS);
let client: KafkaClient;

beforeAll(() => broker.start());
afterAll(() => broker.close());

beforeEach(async () => {
  client = new KafkaClient([broker.address], { ssl: null, sasl: null }, () => undefined, { requestTimeout: 300 });
  client.retain();
  await client.connect();
});
afterEach(() => client.release());

/** As a range is read: again after a pause. */
async function fetched(limitMs = 10_000): Promise<string> {
  const found = await patiently(() => client.fetch("numbers", 0, 0, 1_000_000), { limitMs });
  return found?.records.equals(RECORDS) === true ? "all records" : "something else";
}

/** Half of an answer, and the rest of it later. */
const inTwo =
  (first: number, ms: number): Answering =>
  (bytes, connection) => {
    connection.write(bytes.subarray(0, first));
    void sleep(ms).then(() => connection.write(bytes.subarray(first)));
  };

it("half an answer on a connection that is lost is not the beginning of the next one's", async () => {
  broker.next.push((bytes, connection) => connection.end(bytes.subarray(0, bytes.length / 2)));
  expect([await fetched(), await fetched()]).toEqual(["all records", "all records"]);
});

it("half an answer of which no more comes is given up, with its connection", async () => {
  broker.next.push((bytes, connection) => connection.write(bytes.subarray(0, bytes.length / 2)));
  expect([await fetched(), await fetched()]).toEqual(["all records", "all records"]);
});

it("what comes on a connection that was given up goes to nobody", async () => {
  // While the old one goes on, the next one is in the midst of an answer.
  broker.next.push(inTwo(10, 1_000), ...Array.from({ length: 10 }, () => inTwo(50_000, 100)));
  for (let n = 0; n < 10; n += 1) expect(await fetched()).toBe("all records");
});

it("a connection that is silent is not used again, though others still wait for their answers on it", async () => {
  broker.next.push((_, connection) => connection.pause());
  // There is no moment in which nobody waits, for as long as any of them has patience.
  const waiting = Array.from({ length: 40 }, async (_, n) => sleep(n * 100).then(() => fetched(4_000)));
  expect(new Set(await Promise.all(waiting))).toEqual(new Set(["all records"]));
});

it("connects once for all that is asked for at the same moment", async () => {
  const patient = new KafkaClient([broker.address], { ssl: null, sasl: null }, () => undefined);
  patient.retain();
  await patient.connect();
  expect(await patient.partitions("numbers")).toEqual([0]);
  const { taken } = broker;
  await Promise.all(Array.from({ length: 5 }, () => patient.fetch("numbers", 0, 0, 1_000_000)));
  expect(broker.taken - taken).toBe(1);
  patient.release();
});
