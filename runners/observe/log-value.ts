// Any value as plain JSON for a log: whatever it is, it survives, shows no credentials and is not longer than a log line
// may be.
import { inspect } from "node:util";
import { codeOf, RunError, UsageError } from "../../schema/errors";
import { isSecretName, sentenceOf, shortened } from "./safe-text";

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

const LONGEST_TEXT = 2_000;
const LONGEST_STACK = 4_000;
const LONGEST_VALUE = 16_000;
const MOST_ITEMS = 50;
const DEEPEST = 5;

interface Walk {
  /** Characters that may still be written. */
  left: number;
  /** The objects around the value, to see circles. */
  readonly around: Set<object>;
}

/** The value as JSON; undefined for what JSON leaves out. */
export function jsonValue(value: unknown): Json | undefined {
  return visit(value, { left: LONGEST_VALUE, around: new Set() });
}

function visit(value: unknown, walk: Walk): Json | undefined {
  if (walk.left <= 0) return "…";
  walk.left -= 8;
  switch (typeof value) {
    case "string":
      return text(value, walk);
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "bigint":
      return Number.isSafeInteger(Number(value)) ? Number(value) : text(String(value), walk);
    case "boolean":
      return value;
    case "undefined":
      return undefined;
    case "symbol":
    case "function":
      return `[${typeof value}]`;
    case "object":
      return value === null ? null : visitObject(value, walk);
  }
}

function text(value: string, walk: Walk, longest = LONGEST_TEXT): string {
  const cut = shortened(value, Math.max(0, Math.min(longest, walk.left)));
  walk.left -= cut.length;
  return cut;
}

function visitObject(value: object, walk: Walk): Json {
  if (walk.around.has(value)) return "[circular]";
  if (walk.around.size >= DEEPEST) return "[deeper]";
  walk.around.add(value);
  try {
    if (value instanceof Error) return errorValue(value, walk);
    if (value instanceof Date) return Number.isNaN(value.getTime()) ? "[invalid date]" : value.toISOString();
    if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
    if (value instanceof Map) return members(value, value.size, walk);
    if (Array.isArray(value) || value instanceof Set) return items(value, walk);
    const entries = Object.entries(value);
    return members(entries, entries.length, walk);
  } catch {
    // A getter or a proxy that throws.
    return "[unreadable]";
  } finally {
    walk.around.delete(value);
  }
}

function items(values: readonly unknown[] | ReadonlySet<unknown>, walk: Walk): Json {
  const shown: Json[] = [];
  const size = Array.isArray(values) ? values.length : (values as ReadonlySet<unknown>).size;
  for (const value of values) {
    if (shown.length >= MOST_ITEMS || walk.left <= 0) {
      shown.push(`… ${size - shown.length} more`);
      break;
    }
    shown.push(visit(value, walk) ?? null);
  }
  return shown;
}

function members(entries: Iterable<readonly [unknown, unknown]>, size: number, walk: Walk): Json {
  const shown: [string, Json][] = [];
  for (const [key, value] of entries) {
    if (shown.length >= MOST_ITEMS || walk.left <= 0) {
      shown.push(["…", `${size - shown.length} more`]);
      break;
    }
    const name = text(typeof key === "string" ? key : inspect(key, { depth: 0 }), walk, 200);
    const plain = isSecretName(name) ? "***" : visit(value, walk);
    if (plain !== undefined) shown.push([name, plain]);
  }
  return Object.fromEntries(shown);
}

/** Where an error came from is told only of errors that nobody foresaw. */
function errorValue(error: Error, walk: Walk): Json {
  const foreseen = error instanceof RunError || error instanceof UsageError;
  const code = codeOf(error);
  return {
    name: text(error.name, walk, 200),
    message: text(sentenceOf(error), walk),
    ...(code === undefined ? {} : { code: text(code, walk, 200) }),
    ...(foreseen || typeof error.stack !== "string" ? {} : { stack: text(error.stack, walk, LONGEST_STACK) }),
  };
}

/** One line of JSON in which nothing is left that a terminal might obey; it reads back to the same value. */
export function jsonLine(value: Json): string {
  return JSON.stringify(value).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) =>
    [...Array(character.length).keys()]
      .map((at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, "0")}`)
      .join(""),
  );
}
