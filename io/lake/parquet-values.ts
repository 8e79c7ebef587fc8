// The values of a Parquet file as they stand in a record's JSON: exact numbers as text, times in ISO 8601 in UTC, bytes in
// base64, as the sources of tables give them. What JSON has no form for is text: NaN, Infinity, -Infinity.
import type { SchemaElement } from "hyparquet" with { "resolution-mode": "import" };
import { formatDecimal } from "../../schema/decimal";

/** A value as hyparquet gives it when nothing is said of its meaning. */
type Stored = unknown;
export type JsonValue = string | number | boolean;

export interface ValueReader {
  readonly valueOf: (stored: Stored) => JsonValue | object;
  /** Its JSON. */
  readonly textOf: (stored: Stored) => string;
}

/** How the values of a column are read, by what the file says of it. */
export function valueReaderOf(element: SchemaElement): ValueReader {
  const valueOf = valueOfStored(element);
  if (!isJson(element)) {
    // Only a text can have characters that JSON writes in another way.
    const quoted = valueOf === textOfBytes ? JSON.stringify : (text: string) => `"${text}"`;
    const textOf = (stored: Stored): string => {
      const value = valueOf(stored);
      return typeof value === "string" ? quoted(value) : String(value);
    };
    return { valueOf, textOf };
  }
  // As it was written: a number in it may have more digits than JavaScript's.
  const textOf = (stored: Stored): string => {
    const text = textOfBytes(stored);
    return isJsonText(text) ? text : JSON.stringify(text);
  };
  return { valueOf: (stored) => JSON.parse(textOf(stored)) as object, textOf };
}

const isJson = ({ converted_type, logical_type }: SchemaElement): boolean =>
  converted_type === "JSON" || logical_type?.type === "JSON";

function isJsonText(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function valueOfStored(element: SchemaElement): (stored: Stored) => JsonValue {
  const { type, converted_type, logical_type } = element;
  const logical = logical_type?.type;
  if (logical === "DECIMAL" || converted_type === "DECIMAL") {
    const scale = (logical_type?.type === "DECIMAL" ? logical_type.scale : element.scale) ?? 0;
    return (stored) => decimalText(stored, scale);
  }
  switch (type) {
    case "BOOLEAN":
      return (stored) => stored === true;
    case "INT32":
    case "INT64":
      return wholeNumberReader(element);
    case "INT96":
      return (stored) => instantOf(stored as bigint, 1_000_000n);
    case "FLOAT":
      return (stored) => numberOf(shortest(stored as number));
    case "DOUBLE":
      return (stored) => numberOf(stored as number);
    case "BYTE_ARRAY": {
      const isText = ["UTF8", "ENUM"].includes(converted_type ?? "") || ["STRING", "ENUM"].includes(logical ?? "");
      return isText ? textOfBytes : base64Of;
    }
    case "FIXED_LEN_BYTE_ARRAY":
      if (logical === "UUID") return uuidOf;
      if (logical === "FLOAT16") return (stored) => numberOf(halfOf(stored));
      if (converted_type === "INTERVAL") return durationOf;
      return base64Of;
    case undefined:
      throw new Error(`the column ${element.name} has no type`);
  }
}

type Unit = "MILLIS" | "MICROS" | "NANOS";
const PER_MILLISECOND = { MILLIS: 1n, MICROS: 1000n, NANOS: 1_000_000n } as const satisfies Record<Unit, bigint>;

function wholeNumberReader({ converted_type, logical_type }: SchemaElement): (stored: Stored) => JsonValue {
  if (logical_type?.type === "DATE" || converted_type === "DATE")
    return (stored) => timeText(Number(stored) * DAY)?.split("T")[0] ?? String(stored);
  if (logical_type?.type === "TIMESTAMP" || converted_type?.startsWith("TIMESTAMP_") === true) {
    const scale = PER_MILLISECOND[logical_type?.type === "TIMESTAMP" ? logical_type.unit : unitOf(converted_type)];
    return (stored) => instantOf(BigInt(stored as bigint), scale);
  }
  if (logical_type?.type === "TIME" || converted_type?.startsWith("TIME_") === true) {
    const scale = PER_MILLISECOND[logical_type?.type === "TIME" ? logical_type.unit : unitOf(converted_type)];
    // The time of a day: what an instant of 1970-01-01 has behind its date.
    return (stored) => instantOf(BigInt(stored as number), scale).slice("1970-01-01T".length, -1);
  }
  if (converted_type?.startsWith("UINT_") === true || (logical_type?.type === "INTEGER" && !logical_type.isSigned))
    return (stored) => (typeof stored === "bigint" ? integerOf(BigInt.asUintN(64, stored)) : Number(stored) >>> 0);
  return (stored) => (typeof stored === "bigint" ? integerOf(stored) : Number(stored));
}

const unitOf = (converted: string | undefined): Unit => (converted?.endsWith("_MILLIS") === true ? "MILLIS" : "MICROS");

/** A number, or text where no float holds it. */
function integerOf(value: bigint): number | string {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

/** The decimal of which so many units of the last digit are stored. */
function decimalText(stored: Stored, scale: number): string {
  if (!(stored instanceof Uint8Array)) return formatDecimal(BigInt(stored as number | bigint), scale);
  const few = fewUnitsOf(stored);
  if (few === null) {
    const units = stored.length === 0 ? 0n : BigInt(`0x${bufferOf(stored).toString("hex")}`);
    return formatDecimal(BigInt.asIntN(8 * stored.length, units), scale);
  }
  // As formatDecimal does it, without a BigInt.
  const digits = String(Math.abs(few)).padStart(scale + 1, "0");
  let end = digits.length;
  const point = end - scale;
  while (end > point && digits.charCodeAt(end - 1) === 48) end -= 1;
  const text = end === point ? digits.slice(0, point) : `${digits.slice(0, point)}.${digits.slice(point, end)}`;
  return few < 0 ? `-${text}` : text;
}

/** A whole number, the highest byte first, where it is one that a number holds exactly; else null. */
function fewUnitsOf(bytes: Uint8Array): number | null {
  const low = bytes.length - 7;
  if (low < 0) return null;
  const sign = (bytes[0] ?? 0) > 0x7f ? 0xff : 0;
  for (let at = 0; at < low; at += 1) if (bytes[at] !== sign) return null;
  // 53 bits: of the first of the seven bytes, 5; the others are as the sign is.
  const first = bytes[low] ?? 0;
  if (first >> 5 !== sign >> 5) return null;
  let units = sign === 0 ? first : first - 0x100;
  for (let at = low + 1; at < bytes.length; at += 1) units = units * 0x100 + (bytes[at] ?? 0);
  return units;
}

const DAY = 24 * 3_600_000;

/** ISO 8601; null beyond the years that Date has. */
function timeText(milliseconds: number): string | null {
  const time = new Date(milliseconds);
  return Number.isNaN(time.getTime()) ? null : time.toISOString();
}

/** Milliseconds, and finer where there is more; the count itself when it lies beyond the years that Date has. */
function instantOf(count: bigint, perMillisecond: bigint): string {
  const rest = Number(count % perMillisecond);
  const before = rest < 0 ? rest + Number(perMillisecond) : rest;
  const text = timeText(Number((count - BigInt(before)) / perMillisecond));
  if (text === null || before === 0) return text ?? String(count);
  const digits = String(before + Number(perMillisecond)).slice(1);
  // Nanoseconds that are whole microseconds are written as those.
  return `${text.slice(0, -1)}${digits.length === 6 && digits.endsWith("000") ? digits.slice(0, 3) : digits}Z`;
}

function numberOf(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}

/** The shortest number that is this one in 4 bytes: 0.1, not 0.10000000149011612. */
function shortest(value: number): number {
  for (let digits = 6; digits < 9; digits += 1) {
    const shorter = Number(value.toPrecision(digits));
    if (Math.fround(shorter) === value) return shorter;
  }
  return value;
}

/** A number of 2 bytes: 1 bit for the sign, 5 for the exponent, 10 for the fraction. */
function halfOf(stored: Stored): number {
  const bits = bufferOf(stored).readUInt16LE();
  const sign = bits >> 15 === 1 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = (bits & 0x3ff) / 1024;
  if (exponent === 0) return sign * 2 ** -14 * fraction;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * 2 ** (exponent - 15) * (1 + fraction);
}

function bufferOf(stored: Stored): Buffer {
  const { buffer, byteOffset, byteLength } = stored as Uint8Array;
  return Buffer.from(buffer, byteOffset, byteLength);
}

const textOfBytes = (stored: Stored): string => bufferOf(stored).toString();

const base64Of = (stored: Stored): string => bufferOf(stored).toString("base64");

const uuidOf = (stored: Stored): string =>
  bufferOf(stored)
    .toString("hex")
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");

/** Months, days and milliseconds, which cannot be turned into each other; as ISO 8601 writes a duration. */
function durationOf(stored: Stored): string {
  const bytes = bufferOf(stored);
  return `P${bytes.readUInt32LE(0)}M${bytes.readUInt32LE(4)}DT${bytes.readUInt32LE(8) / 1000}S`;
}
