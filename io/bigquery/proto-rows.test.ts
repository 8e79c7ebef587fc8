// What is encoded by hand is decoded by the library, by the descriptor that BigQuery gets.
import fc from "fast-check";
import { type Column, type Row, type Table } from "../../schema/table";
import { descriptorOf, encodeRow } from "./proto-rows";
import { Field, Type } from "protobufjs";

const column = (
  name: string,
  kind: "text" | "integer" | "double" | "boolean" | "timestamp" | "date" | "bytes",
): Column => ({
  ...{ name, type: { kind }, nullable: true, description: "" },
});
const table: Table = {
  name: "t",
  columns: [
    column("n", "integer"),
    column("text", "text"),
    column("whole", "integer"),
    column("share", "double"),
    column("yes", "boolean"),
    column("at", "timestamp"),
    column("day", "date"),
    column("body", "bytes"),
  ],
  key: ["n"],
  mode: "upsert",
};

const NAMES: Readonly<Record<number, string>> = {
  1: "double",
  3: "int64",
  5: "int32",
  8: "bool",
  9: "string",
  12: "bytes",
};
const message = new Type("row");
for (const { name, number, type } of descriptorOf(table).field)
  message.add(new Field(name, number, NAMES[type] ?? "", "optional"));

const LEAST = Date.parse("0001-01-01T00:00:00.000Z");
const MOST = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

test("every value comes back as it was", () => {
  fc.assert(
    fc.property(
      fc.record({
        n: fc.nat(),
        text: fc.option(fc.string({ unit: "grapheme" })),
        whole: fc.option(fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.maxSafeInteger())),
        share: fc.option(fc.double({ noNaN: true })),
        yes: fc.option(fc.boolean()),
        at: fc.option(fc.integer({ min: LEAST, max: MOST })),
        day: fc.option(fc.integer({ min: LEAST, max: MOST }).map((time) => new Date(time).toISOString().slice(0, 10))),
        body: fc.option(fc.uint8Array()),
      }),
      (row: Row) => {
        const found = message.toObject(message.decode(encodeRow(table, row)), { longs: String });
        const expected: Record<string, unknown> = {};
        for (const [name, value] of Object.entries(row)) {
          if (value === null) continue;
          if (name === "n" || name === "whole") expected[name] = `${value as number | bigint}`;
          else if (name === "at") expected[name] = String(BigInt(value as number) * 1000n);
          else if (name === "day") expected[name] = Date.parse(value as string) / 86_400_000;
          else if (name === "body") expected[name] = Buffer.from(value as Uint8Array);
          else expected[name] = value;
        }
        expect({ ...found, ...("body" in found ? { body: Buffer.from(found["body"] as Uint8Array) } : {}) }).toEqual(
          expected,
        );
      },
    ),
  );
});
