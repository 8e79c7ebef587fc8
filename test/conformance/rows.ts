// The rows of the conformance suite: plain events by their number, and values of every type that a column can have.
import fc from "fast-check";
import { z } from "zod";
import { type Batch, type Output } from "../../io/connector";
import { cellOf } from "../../io/cell";
import { date, decimal, raw, tableOf, timestamp, type Row, type Table } from "../../schema/table";

/**
 * A row as it is compared: whole numbers, decimals, times (ISO 8601 with milliseconds, UTC) and days as text, bytes in
 * hexadecimal, doubles as numbers, JSON as its value.
 */
export type Normal = Readonly<Record<string, unknown>>;

const Event = z.object({ id: z.string(), at: timestamp(), count: z.int(), amount: decimal() });
export const events: Output = { name: "events", table: tableOf("events", Event, { key: ["id"] }) };

/** The event of a number; the same in every process. */
export const eventOf = (number: number, count = number): Row => ({
  id: `event ${String(number).padStart(7, "0")}`,
  at: Date.UTC(2026, 0, 1) + number * 1000,
  count,
  amount: `${number}.25`,
});

/** A batch of a job that goes on. */
export const batchOf = (number: number, epoch = 1): Batch => ({
  ...{
    job: "conformance",
    pipeline: "events",
    id: `conformance-${number}`,
    plan: `conformance-${number}`,
    ranges: [],
    replays: [],
  },
  plan: `conformance-${number}`,
  turn: { number, epoch },
});

const Kinds = z.object({
  id: z.string(),
  words: z.string().nullable(),
  whole: z.int().nullable(),
  share: z.number().nullable(),
  yes: z.boolean().nullable(),
  huge: decimal(38, 9).nullable(),
  price: decimal(18, 8).nullable(),
  at: timestamp().nullable(),
  day: date().nullable(),
  body: raw().nullable(),
  tree: z.record(z.string(), z.unknown()).nullable(),
});
const output: Output = { name: "kinds", table: tableOf("kinds", Kinds, { key: ["id"] }) };

const FIRST = Date.parse("0001-01-01T00:00:00.000Z");
const LAST = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
const units = (digits: number, scale: number) =>
  fc
    .bigInt({ min: -(10n ** BigInt(digits)) + 1n, max: 10n ** BigInt(digits) - 1n })
    .map((value) => decimalText(value, scale));
/** Text that every store can hold: without the character 0 and without halves of a pair. */
const words = fc.string({ unit: "grapheme", maxLength: 40 }).map((text) => text.replaceAll("\u0000", ""));
const leaf = fc.oneof(words, fc.boolean(), fc.integer(), fc.constant(null));

const rows = fc.record({
  id: fc.uuid(),
  words: fc.option(words),
  whole: fc.option(fc.maxSafeInteger()),
  share: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => (value === 0 ? 0 : value))),
  yes: fc.option(fc.boolean()),
  huge: fc.option(units(38, 9)),
  price: fc.option(units(18, 8)),
  at: fc.option(fc.integer({ min: FIRST, max: LAST })),
  day: fc.option(fc.integer({ min: FIRST, max: LAST }).map((time) => new Date(time).toISOString().slice(0, 10))),
  body: fc.option(fc.uint8Array({ maxLength: 40 })),
  tree: fc.option(fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.oneof(leaf, fc.array(leaf, { maxLength: 4 })))),
});
export const kinds = { output, rows };

const empty = {
  ...{ words: null, whole: null, share: null, yes: null, huge: null, price: null },
  ...{ at: null, day: null, body: null, tree: null },
};

/** The rows, and before them those that a store gets wrong first. */
export function someKinds(sampled: readonly Row[]): Row[] {
  const hard: Record<string, unknown>[] = [
    {
      words: "",
      whole: 0,
      share: 0,
      yes: false,
      huge: "0",
      price: "0",
      at: 0,
      day: "1970-01-01",
      body: new Uint8Array(),
      tree: {},
    },
    {},
    { words: "null", whole: Number.MAX_SAFE_INTEGER, share: Number.MAX_VALUE, huge: `${"9".repeat(29)}.999999999` },
    { words: "\\N", whole: Number.MIN_SAFE_INTEGER, share: Number.MIN_VALUE, huge: `-${"9".repeat(29)}.999999999` },
    { words: `"quoted", it's\ttabbed\r\nand ; -- more`, price: "0.00000001", at: FIRST, day: "0001-01-01" },
    {
      words: "héllo wörld 😀 العربية 日本語 \u2028 \uFEFF",
      price: "-9999999999.99999999",
      at: LAST,
      day: "9999-12-31",
    },
    { words: " ", share: 0.1, at: -1, day: "1969-12-31", body: Uint8Array.of(0, 255, 128, 10) },
    {
      words: "x".repeat(20_000),
      share: -1e-300,
      at: Date.UTC(2024, 1, 29),
      day: "2024-02-29",
      tree: { a: [1, null, "x"] },
    },
  ];
  return [...hard.map((values, at) => ({ id: `hard ${at}`, ...empty, ...values })), ...sampled];
}

function decimalText(value: bigint, scale: number): string {
  const sign = value < 0n ? "-" : "";
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, "0");
  const fraction = digits.slice(digits.length - scale).replace(/0+$/, "");
  const whole = digits.slice(0, digits.length - scale);
  return value === 0n ? "0" : `${sign}${whole}${fraction === "" ? "" : `.${fraction}`}`;
}

/** What a row of the pipeline is when it is read back. */
export function normalOf(table: Table, row: Row): Normal {
  const normal: Record<string, unknown> = {};
  for (const column of table.columns) {
    const cell = cellOf(table, column, row);
    if (cell === null) normal[column.name] = null;
    else if (column.type.kind === "integer") normal[column.name] = String(cell);
    else if (column.type.kind === "bytes")
      normal[column.name] = Buffer.from(cell as string | Uint8Array).toString("hex");
    else if (column.type.kind === "json") normal[column.name] = JSON.parse(String(cell));
    else normal[column.name] = cell;
  }
  return normal;
}

/** The same of a row that was written as JSON. */
export function normalOfJson(table: Table, found: Readonly<Record<string, unknown>>): Normal {
  const normal: Record<string, unknown> = {};
  for (const { name, type } of table.columns) {
    const value = found[name];
    if (value === null || value === undefined) normal[name] = value;
    else if (type.kind === "integer") normal[name] = `${value as number}`;
    else if (type.kind === "bytes") normal[name] = bytesOf(value as string).toString("hex");
    else normal[name] = value;
  }
  return normal;
}

const bytesOf = (text: string): Buffer =>
  text.startsWith("base64:") ? Buffer.from(text.slice("base64:".length), "base64") : Buffer.from(text);

/** A decimal as it is compared, of a client that writes all digits behind the point. */
export const withoutZeros = (text: string): string =>
  text.includes(".") ? text.replace(/0+$/, "").replace(/\.$/, "") : text;
