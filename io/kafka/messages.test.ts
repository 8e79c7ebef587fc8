import { z } from "zod";
import { raw, tableOf, timestamp } from "../../schema/table";
import { parseAddress } from "../address";
import { type Batch } from "../connector";
import { kafkaSink } from "./sink";
import { messagesOf } from "./messages";

const batch: Batch = { job: "job", pipeline: "p", id: "b1", plan: "p1", ranges: [], replays: [], turn: null };
const Model = z.object({
  symbol: z.string(),
  window_start: timestamp(),
  seen: timestamp().nullable(),
  n: z.int(),
  raw: raw(),
});
const row = { symbol: "A", window_start: 60_000, seen: 5, n: 1, raw: new Uint8Array([255]) };
const maker = (key: string[], time: string | null = null, output = "out", which = batch) =>
  messagesOf(tableOf("t", Model, { key }), output, which, time)(() => "value");

it("one key column is its text, several are a JSON list, none is no key", () => {
  expect(maker(["symbol"])(row).key).toBe("A");
  expect(maker(["n"])(row).key).toBe("1");
  expect(maker(["raw"])(row).key).toBe("base64:/w==");
  expect(maker(["symbol", "n", "window_start"])(row).key).toBe('["A",1,"1970-01-01T00:01:00.000Z"]');
  expect(maker([])(row).key).toBeNull();
});

it("another key for messages than for rows: the id is by the row's", () => {
  const table = tableOf("t", Model, { key: ["symbol", "n"], messageKey: ["symbol"] });
  const make = messagesOf(table, "out", batch, null)(() => "value");
  expect(make(row).key).toBe("A");
  expect(make({ ...row, n: 2 }).key).toBe("A");
  expect(make({ ...row, n: 2 }).headers).not.toEqual(make(row).headers);
});

it("the time is the window's, or that of the column that is asked for, or that of the writing", () => {
  expect(maker(["n"])(row).timestamp).toBe("60000");
  expect(maker(["n"], "seen")(row).timestamp).toBe("5");
  expect(maker(["n"], "seen")({ ...row, seen: null })).not.toHaveProperty("timestamp");
  expect(() => maker(["n"], "sen")).toThrow("“?time=sen” is no column of a time in t: did you mean “seen”?");
  expect(() => maker(["n"], "symbol")).toThrow("is no column of a time");
});

it("the id is the same for the same row of the same batch, and else another one", () => {
  const id = (make: ReturnType<typeof maker>, of = row) => make(of).headers["beamline-id"];
  const first = id(maker(["symbol"]));
  expect(first).toMatch(/^[0-9a-f]{20}$/);
  expect(id(maker(["symbol"]), { ...row, n: 2 })).toBe(first);
  const others = [
    id(maker(["symbol"]), { ...row, symbol: "B" }),
    id(maker(["symbol"], null, "other")),
    id(maker(["symbol"], null, "out", { ...batch, id: "b2" })),
    id(maker(["symbol"], null, "out", { ...batch, job: "other" })),
    id(maker(["n"])),
  ];
  expect(new Set([first, ...others]).size).toBe(6);
});

it("what cannot be written is refused before anything is connected", async () => {
  const table = tableOf("t", Model, { key: ["n"] });
  const [one, two] = [
    { name: "one", table },
    { name: "two", table },
  ];
  const open = (uri: string, outputs = [one]) => kafkaSink.open(parseAddress(uri), outputs, batch);
  await expect(open("kafka://h/t", [one, two])).rejects.toThrow(
    "The outputs one, two all go to the topic t: give each its own, such as --to two=kafka://h:9092/t",
  );
  await expect(open("kafka://h/t?create=yes")).rejects.toThrow("must be true or false");
  await expect(open("kafka://h/t?partitions=3")).rejects.toThrow("they need “create=true”");
  await expect(open("kafka://h/t?create=true&partitions=0")).rejects.toThrow("must be a whole number from 1");
  await expect(open("kafka://h/t?time=nothing")).rejects.toThrow("“?time=nothing” is no column");
});
