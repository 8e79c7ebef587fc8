// A table as every sink understands it: named, typed columns taken from a zod model, and the key that makes a row itself.
import { z } from "zod";
import { canonicalDecimal, parseDecimal, type Decimal } from "./decimal";
import { type Raw } from "./record";

export type ColumnType =
  | { readonly kind: "text" }
  | { readonly kind: "integer" }
  | { readonly kind: "double" }
  | { readonly kind: "boolean" }
  | { readonly kind: "decimal"; readonly precision: number; readonly scale: number }
  | { readonly kind: "timestamp" }
  | { readonly kind: "date" }
  | { readonly kind: "bytes" }
  /** `of`: each value is a list of these. A store that has lists may keep it as one, for any other it is JSON. */
  | { readonly kind: "json"; readonly of?: ItemType };

/** What a list is a list of: values that are in JSON what they are in a row. */
export type ItemType = Extract<ColumnType, { kind: "text" | "integer" | "double" | "boolean" | "decimal" | "date" }>;

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  readonly nullable: boolean;
  readonly description: string;
}

export interface Table {
  readonly name: string;
  readonly columns: readonly Column[];
  readonly key: readonly string[];
  /** What a message is keyed by where rows go to a topic, and so which of them stay in order; the key, unless it is said. */
  readonly messageKey?: readonly string[];
  /** The column that is a message's time: a timestamp, or milliseconds. */
  readonly messageTime?: string;
  /** Columns that only say when a row was made: a row that is equal but for them is not written again. */
  readonly stamps?: readonly string[];
  /**
   * The timestamp or date of which a bounded run gives all rows that there are: those of the run's stretch of time that it
   * does not give are taken out.
   */
  readonly recomputedBy?: string;
  /**
   * upsert: a row replaces the row of its key. by-origin: all rows of an input range that is read again are replaced
   * by what that range gives now; such a table has the columns job, source, position and, for ranges of which only some
   * times are read, timestamp.
   */
  readonly mode: "upsert" | "by-origin";
}

/** One row, by column name. Timestamps are milliseconds, decimals text, bytes Uint8Array. */
export type Row = Readonly<Record<string, unknown>>;

/** An instant column: milliseconds in memory, ISO 8601 UTC as text, a timestamp type where the store has one. */
export const timestamp = () => z.int().meta({ column: { kind: "timestamp" } satisfies ColumnType });

/** A calendar day, as text: 2026-01-31. */
export const date = () => z.iso.date().meta({ column: { kind: "date" } satisfies ColumnType });

/** Bytes, or text that stands for its UTF-8 bytes. */
export const raw = (): z.ZodType<Raw, Raw> =>
  z.union([z.string(), z.instanceof(Uint8Array)]).meta({ column: { kind: "bytes" } satisfies ColumnType });

/** An exact decimal with at most `scale` digits after the point and `precision` in all. Read from text only. */
export const decimal = (precision = 38, scale = 8): z.ZodType<Decimal, Decimal> =>
  z
    .string()
    .refine((text) => fits(text, precision, scale), {
      message: `must be a plain decimal text with at most ${precision - scale} digits before and ${scale} after the point`,
    })
    .meta({ column: { kind: "decimal", precision, scale } satisfies ColumnType });

/** A decimal above zero. */
export const positiveDecimal = (precision = 38, scale = 8): z.ZodType<Decimal, Decimal> =>
  z
    .string()
    .refine((text) => fits(text, precision, scale) && isPositive(text), {
      message: `must be a plain decimal text above 0 with at most ${scale} digits after the point`,
    })
    .meta({ column: { kind: "decimal", precision, scale } satisfies ColumnType });

function fits(text: string, precision: number, scale: number): boolean {
  // The common case by length alone: short plain text needs no BigInt to be known to fit.
  const length = text.length;
  let digits = 0;
  let point = -1;
  for (let at = 0; at < length; at += 1) {
    const code = text.charCodeAt(at);
    if (code >= 48 && code <= 57) digits += 1;
    else if (code === 46 && point < 0 && at > 0 && at < length - 1) point = at;
    else if (!(code === 45 && at === 0)) return false;
  }
  if (digits === 0 || (point === 1 && text.charCodeAt(0) === 45)) return false;
  const fraction = point < 0 ? 0 : length - point - 1;
  if (fraction <= scale && digits - fraction <= precision - scale) return true;
  const units = parseDecimal(canonicalDecimal(text) ?? "", scale);
  if (units === null) return false;
  return (units < 0n ? -units : units) < 10n ** BigInt(precision);
}

function isPositive(text: string): boolean {
  if (text.charCodeAt(0) === 45) return false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code >= 49 && code <= 57) return true;
  }
  return false;
}

export function columnOf(table: Table, name: string): Column {
  const column = table.columns.find((one) => one.name === name);
  if (column === undefined) throw new Error(`Table ${table.name} has no column ${name}`);
  return column;
}

/** The table of a zod object: one column a field, in order. */
export function tableOf(
  name: string,
  model: z.ZodObject,
  options: Omit<Table, "name" | "columns" | "mode"> & { mode?: Table["mode"] },
): Table {
  const { key, messageKey = [], messageTime = [], stamps = [], recomputedBy = [] } = options;
  const columns = Object.entries(model.shape).map(([field, type]) => columnOfField(field, type as z.ZodType));
  for (const part of [key, messageKey, messageTime, stamps, recomputedBy].flat()) {
    if (!columns.some((column) => column.name === part)) {
      throw new Error(
        `Table ${name} has the key ${part}, but no such column: ${columns.map((c) => c.name).join(", ")}`,
      );
    }
  }
  return { mode: "upsert", ...options, name, columns };
}

function columnOfField(name: string, type: z.ZodType): Column {
  const description = metaOf(type).description ?? "";
  let inner = type;
  let nullable = false;
  for (;;) {
    const declared = metaOf(inner).column;
    if (declared !== undefined) return { name, type: declared, nullable, description };
    const { type: kind, innerType } = inner.def as { type: string; innerType?: z.ZodType };
    if (kind === "nullable" || kind === "optional") nullable = true;
    else if (kind !== "default" && kind !== "readonly")
      return { name, type: plainType(name, inner), nullable, description };
    if (innerType === undefined) throw new Error(`Column ${name}: ${kind} wraps nothing`);
    inner = innerType;
  }
}

function plainType(name: string, type: z.ZodType): ColumnType {
  switch (type.def.type as string) {
    case "string":
    case "enum":
    case "literal":
      return { kind: "text" };
    case "number":
      return { kind: (type as z.ZodNumber).format?.includes("int") ? "integer" : "double" };
    case "boolean":
      return { kind: "boolean" };
    case "array": {
      const of = itemType((type as z.ZodArray<z.ZodType>).element);
      return of === null ? { kind: "json" } : { kind: "json", of };
    }
    case "object":
    case "record":
      return { kind: "json" };
    default:
      throw new Error(`Column ${name}: a ${type.def.type} has no column type; say it with .meta({ column: … })`);
  }
}

/** Null when the items are no plain values: they may be null, or have values of their own. */
function itemType(type: z.ZodType): ItemType | null {
  const kind = type.def.type as string;
  const known =
    metaOf(type).column ?? (["string", "number", "boolean"].includes(kind) ? plainType("item", type) : null);
  if (known === null || known.kind === "json" || known.kind === "bytes" || known.kind === "timestamp") return null;
  return known;
}

function metaOf(type: z.ZodType): { column?: ColumnType; description?: string } {
  return type.meta() ?? {};
}
