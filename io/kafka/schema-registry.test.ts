// Messages with schemas, against a test double of a registry.
import { z } from "zod";
import { UnavailableError, UsageError } from "../../schema/errors";
import { type Raw, type SourceRecord } from "../../schema/record";
import { date, decimal, raw, tableOf, timestamp, type Row, type Table } from "../../schema/table";
import { parseAddress } from "../address";
import { ndjsonOf } from "../row-text";
import { RegistryDouble } from "../../test/registry-double";
import { bytesOf } from "./avro-values";
import { formatOf, valuesOf, type FormatChoice } from "./message-format";
import { RegisteredRecords } from "./schema-registry-read";
import { readPlaceOf } from "./topic-range";

const Model = z.object({
  symbol: z.string(),
  window_start: timestamp().describe("when it begins"),
  day: date(),
  trades: z.int(),
  mean: z.number(),
  volume: decimal(20, 4),
  is_final: z.boolean(),
  note: z.string().nullable(),
  bytes: raw(),
  tags: z.array(z.string()),
});
const table = tableOf("candles", Model, { key: ["symbol", "window_start"] });
const row: Row = {
  symbol: "BTC ü",
  window_start: 1_700_000_000_123,
  day: "2026-01-31",
  trades: 42,
  mean: 1.5,
  volume: "-12345.0601",
  is_final: true,
  note: null,
  bytes: new Uint8Array([0xff, 0x01]),
  tags: ["a", "b"],
};
const patience = { limitMs: 5_000 };

let double: RegistryDouble;
let url: string;

beforeEach(async () => {
  double = new RegistryDouble();
  url = await double.start();
});
afterEach(() => double.stop());

const choice = (format: "avro" | "json-schema"): FormatChoice => ({ format, registry: url });
const record = (value: Raw, position = 0): SourceRecord => ({
  value,
  source: "t/0",
  position,
  key: null,
  timestamp: 1,
  headers: null,
  fields: null,
});
const bytesIn = async (format: "avro" | "json-schema", of: Table, value: Row): Promise<Buffer> =>
  Buffer.from((await valuesOf(choice(format), "topic", of))(value));

it.each(["avro", "json-schema"] as const)(
  "%s: what is written is read again as the JSON of the row",
  async (format) => {
    const make = await valuesOf(choice(format), "topic", table);
    const other = { ...row, note: "with a note", volume: "0", trades: -1 };
    const sent = [make(row), make(other)].map((value) => new Uint8Array(Buffer.from(value)));
    expect([...sent[0]!.slice(0, 5)]).toEqual([0, 0, 0, 0, 1]);
    expect([...double.subjects]).toEqual([["topic-value", [1]]]);
    const read = await new RegisteredRecords(url, patience).decoded(sent.map((value, at) => record(value, at)));
    const expected = [row, other].map((one) => JSON.parse(ndjsonOf(table).lineOf(one)) as Record<string, unknown>);
    // In Avro, JSON is text: it has no type for anything.
    if (format === "avro") for (const one of expected) one["tags"] = JSON.stringify(one["tags"]);
    expect(read.map(({ value }) => JSON.parse(value as string) as unknown)).toEqual(expected);
    expect(read.map(({ position }) => position)).toEqual([0, 1]);
  },
);

it("what cannot be decoded stays as it came: an unknown schema, another kind, damage, no head", async () => {
  const good = await bytesIn("avro", table, row);
  double.schemas.push({ schema: 'syntax = "proto3";', schemaType: "PROTOBUF" }, { schema: "{}", schemaType: "JSON" });
  const records = [
    Buffer.concat([Buffer.from([0, 0, 0, 0, 99]), Buffer.from("unknown")]),
    Buffer.from([0, 0, 0, 0, 2, 1, 2, 3]),
    Buffer.from([0, 0, 0, 0, 3, 0xff]),
    good.subarray(0, 12),
    Buffer.from('{"plain":1}'),
    Buffer.alloc(0),
  ].map((value, at) => record(value.length === 0 ? "" : new Uint8Array(value), at));
  const registered = new RegisteredRecords(url, patience);
  expect(await registered.decoded(records)).toEqual(records);
  // Bytes that are valid UTF-8 arrive as text, and are decoded all the same.
  const asText = record(Buffer.from([0, 0, 0, 0, 3, ...Buffer.from('{"a":"ü"}')]).toString("utf8"));
  expect((await registered.decoded([asText]))[0]?.value).toBe('{"a":"ü"}');
  const asked = double.requests;
  await registered.decoded([...records, asText]);
  expect(double.requests).toBe(asked);
});

it("a registry that fails for a while is waited for; one that is away stops the reading", async () => {
  const good = record(new Uint8Array(await bytesIn("avro", table, row)));
  double.failing = 2;
  const [read] = await new RegisteredRecords(url, patience).decoded([good]);
  expect(read?.value).toContain('"symbol":"BTC ü"');
  const away = new RegisteredRecords("http://127.0.0.1:1", { limitMs: 0 });
  await expect(away.decoded([good])).rejects.toThrow(UnavailableError);
});

it("a schema may grow; a change that breaks readers is refused with what it is", async () => {
  await bytesIn("avro", table, row);
  const grown = tableOf("candles", Model.extend({ venue: z.string().nullable() }), { key: ["symbol"] });
  await bytesIn("avro", grown, { ...row, venue: null });
  expect(double.subjects.get("topic-value")).toEqual([1, 2]);
  const broken = tableOf("candles", Model.omit({ note: true }).extend({ trades: z.string(), must: z.int() }), {
    key: [],
  });
  const refused = valuesOf(choice("avro"), "topic", broken);
  await expect(refused).rejects.toThrow(
    new UsageError(
      "The schema of this output would break readers of topic by the rules of the registry: trades was long and is string, " +
        "note is gone, venue is gone, must is new (long); write to another topic, or change the table back",
    ),
  );
  expect(double.schemas).toHaveLength(2);
});

it("logs in, and says when that is refused", async () => {
  double.login = `Basic ${Buffer.from("ann:s3cret").toString("base64")}`;
  await expect(valuesOf(choice("avro"), "topic", table)).rejects.toThrow("does not take the login");
  process.env["KAFKA_REGISTRY_USERNAME"] = "ann";
  process.env["KAFKA_REGISTRY_PASSWORD"] = "s3cret";
  try {
    await bytesIn("avro", table, row);
    expect(double.subjects.get("topic-value")).toEqual([1]);
  } finally {
    delete process.env["KAFKA_REGISTRY_USERNAME"];
    delete process.env["KAFKA_REGISTRY_PASSWORD"];
  }
});

it.each([
  ["?format=avro", "needs the schema registry"],
  ["?registry=http://h:1", "needs “format=json-schema” or “format=avro”"],
  ["?format=avr&registry=http://h:1", "did you mean “avro”?"],
  ["?format=avro&registry=h:1", "is not the address of a schema registry"],
  ["?format=avro&registry=http://ann:pw@h:1", /^(?!.*ann).*KAFKA_REGISTRY_PASSWORD_FILE/],
])("%s is refused", (options, message) => {
  expect(() => formatOf(parseAddress(`kafka://h/t${options}`))).toThrow(message);
});

it("is kept in the ranges of a topic that is read", () => {
  expect(readPlaceOf(parseAddress("kafka://h/t?registry=http://r:8081/"))).toMatchObject({ registry: "http://r:8081" });
  expect(readPlaceOf(parseAddress("kafka://h/t"))).toMatchObject({ registry: null });
});

it.each([0n, 1n, -1n, 127n, 128n, -128n, -129n, 255n, 256n, 10n ** 30n, -(10n ** 30n)])(
  "%s fits its bytes",
  (number) => {
    const bytes = bytesOf(number);
    expect(BigInt.asIntN(8 * bytes.length, BigInt(`0x${bytes.toString("hex")}`))).toBe(number);
  },
);
