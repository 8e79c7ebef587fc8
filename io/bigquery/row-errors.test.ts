// Rows that the Storage Write API refuses one by one, which the emulator never does: against doubles of both interfaces.
import { z } from "zod";
import { BigQueryDouble } from "../../test/bigquery-double";
import { WriteApiDouble } from "../../test/write-api-double";
import { tableOf, type Row } from "../../schema/table";
import { type Batch, type Output } from "../connector";
import { sinkSettingsOf } from "./settings";
import { BigQueryTarget } from "./target";

let rest: BigQueryDouble;
let api: WriteApiDouble;

beforeEach(async () => {
  [rest, api] = await Promise.all([BigQueryDouble.start(), WriteApiDouble.start()]);
  api.onCommit = (table) => rest.fill(table);
});

afterEach(async () => {
  await rest.close();
  api.close();
});

const out: Output = {
  name: "candles",
  table: tableOf("candles", z.object({ symbol: z.string(), count: z.int() }), { key: ["symbol"] }),
};
const rowsOf = (count: number): Row[] => Array.from({ length: count }, (_, n) => ({ symbol: `S${n}.`, count: n }));
const batch: Batch = {
  ...{ job: "j", pipeline: "p", id: "b", plan: "p", ranges: [], replays: [] },
  turn: { number: 1, epoch: 1 },
};

const open = () => {
  const environment = { BIGQUERY_EMULATOR_HOST: rest.url, BIGQUERY_STORAGE_EMULATOR_HOST: `127.0.0.1:${api.port}` };
  const options = { via: "write", "give-up": "5s" };
  return BigQueryTarget.open(sinkSettingsOf({ scheme: "bigquery", path: "//p/d", options }, environment), [out], batch);
};

/** Which rows have come, by the text in their bytes. */
const symbols = () => api.rows.map((row) => /S\d+\./.exec(Buffer.from(row).toString("latin1"))?.[0]);

const refuse =
  (...refused: readonly string[]) =>
  (row: Uint8Array) =>
    refused.find((symbol) => Buffer.from(row).includes(symbol)) === undefined ? undefined : "Field count: out of range";

test("they are given back with BigQuery's reason, and the others are written, each once and in order", async () => {
  api.refuses = refuse("S3.", "S7.");
  const target = await open();
  const rows = rowsOf(10);
  expect(await target.write("candles", rows)).toEqual({
    written: 8,
    rejected: [3, 7].map((at) => ({ row: rows[at], reason: "refused", error: "Field count: out of range" })),
  });
  await target.commit();
  expect(symbols()).toEqual(["S0.", "S1.", "S2.", "S4.", "S5.", "S6.", "S8.", "S9."]);
  expect(rest.commits).toBe(1);
});

test("the offsets of later rows fit, and an answer that was lost makes no row come twice", async () => {
  api.refuses = refuse("S0.");
  const target = await open();
  await target.write("candles", rowsOf(3));
  api.loses = 1;
  await target.write("candles", [{ symbol: "S8.", count: 8 }]);
  await target.write("candles", [{ symbol: "S9.", count: 9 }]);
  await target.commit();
  expect(symbols()).toEqual(["S1.", "S2.", "S8.", "S9."]);
});

test("when all are refused nothing is staged, and nothing fails", async () => {
  api.refuses = () => "Too much";
  const target = await open();
  expect((await target.write("candles", rowsOf(2))).rejected).toHaveLength(2);
  await target.commit();
  expect(api.rows).toEqual([]);
  expect(api.appends).toEqual([2]);
});
