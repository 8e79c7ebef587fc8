// How a table's columns are kept in an index: made when it is missing, compared when it is there.
import { UsageError } from "../../schema/errors";
import { type Column, type ColumnType, type Table } from "../../schema/table";

/** A field as the server shows it. */
export interface Field {
  readonly type?: string;
  readonly enabled?: boolean;
  readonly properties?: unknown;
  readonly fields?: Readonly<Record<string, Field>>;
}

/** A field as it is asked for: with parameters that are not compared. */
type NewField = Field & Readonly<Record<string, unknown>>;

export type Fields = Readonly<Record<string, Field>>;

/** The longest text that the index itself takes is 32,766 bytes; longer ones are kept, but not found by what they are. */
const INDEXED_CHARACTERS = 8_191;
const KEYWORD = { type: "keyword", ignore_above: INDEXED_CHARACTERS };

/** The field of a column. A decimal is text, which is exact, and has a number beside it for aggregations. */
function fieldOf({ name, type }: Column, fullText: readonly string[]): NewField {
  switch (type.kind) {
    case "text":
      return fullText.includes(name) ? { ...KEYWORD, fields: { text: { type: "text" } } } : KEYWORD;
    case "integer":
      return { type: "long" };
    case "double":
    case "boolean":
      return { type: type.kind };
    case "decimal":
      return { ...KEYWORD, fields: { number: { type: "double", ignore_malformed: true } as NewField } };
    case "timestamp":
      return { type: "date", format: "strict_date_optional_time||epoch_millis" };
    case "date":
      return { type: "date", format: "strict_date" };
    case "bytes":
      return { type: "binary" };
    case "json":
      return { type: "object", enabled: false };
  }
}

/** The type of a column's field, in words. */
export function fieldType(type: ColumnType): string {
  const { type: name = "", enabled } = fieldOf({ name: "", type, nullable: true, description: "" }, []);
  return type.kind === "decimal"
    ? `${name}, with a number beside it`
    : `${name}${enabled === false ? ", not searched" : ""}`;
}

export const mappingOf = (table: Table, fullText: readonly string[]) => ({
  dynamic: "strict",
  properties: Object.fromEntries(table.columns.map((column) => [column.name, fieldOf(column, fullText)])),
});

/** Whether a field that is there keeps every value of the type as it is. */
function keeps(found: Field, type: ColumnType, isOfKey: boolean): boolean {
  switch (type.kind) {
    case "text":
      return found.type === "keyword" || (!isOfKey && (found.type === "text" || found.type === "wildcard"));
    case "integer":
      return found.type === "long";
    case "decimal":
      return found.type === "keyword";
    case "timestamp":
      return found.type === "date" || found.type === "date_nanos";
    case "date":
      return found.type === "date";
    case "bytes":
      return found.type === "binary";
    case "json":
      return (
        (found.type === "object" && found.enabled === false) ||
        found.type === "flattened" ||
        found.type === "flat_object"
      );
    default:
      return found.type === type.kind;
  }
}

const shownField = ({ type, enabled }: Field): string =>
  type === undefined ? "an object" : enabled === false ? `${type} (enabled: false)` : type;

/** What makes a mapping unfit for a table. */
export function differencesOf(found: Fields, table: Table, fullText: readonly string[]): string[] {
  const differences: string[] = [];
  for (const column of table.columns) {
    const there = found[column.name];
    if (there === undefined) continue;
    const wanted = fieldOf(column, fullText);
    const isOfKey = table.key.includes(column.name);
    if (!keeps(there, column.type, isOfKey))
      differences.push(`field ${column.name} is ${shownField(there)}, not ${shownField(wanted)}`);
    for (const [name, part] of Object.entries(wanted.fields ?? {})) {
      const other = there.fields?.[name];
      if (other !== undefined && other.type !== part.type)
        differences.push(`field ${column.name}.${name} is ${shownField(other)}, not ${shownField(part)}`);
    }
  }
  return differences;
}

/** The columns that a mapping does not have yet, or of which it lacks a part. */
export function missingFrom(found: Fields, table: Table, fullText: readonly string[]): readonly Column[] {
  return table.columns.filter((column) => {
    const there = found[column.name];
    if (there === undefined) return true;
    const parts = Object.keys(fieldOf(column, fullText).fields ?? {});
    // A field of another type, which keeps the values all the same, stays as it is.
    return there.type === "keyword" && parts.some((part) => there.fields?.[part] === undefined);
  });
}

/** What a server takes for its own in a document. */
const RESERVED =
  /^_(id|index|source|routing|type|field_names|ignored|nested_path|seq_no|primary_term|version|size|doc_count|tier|meta)$/;

/** Refuses what an index could not hold faithfully, before anything is made. */
export function checkTable(table: Table, fullText: readonly string[]): void {
  for (const { name } of table.columns) {
    if (name.trim() === "" || name.includes("."))
      throw new UsageError(
        `The column ${JSON.stringify(name)} of ${table.name} cannot be a field, where a point means a field in another: choose another name`,
      );
    if (RESERVED.test(name))
      throw new UsageError(`The column name “${name}” of ${table.name} is reserved in an index: choose another`);
  }
  for (const name of fullText) {
    const column = table.columns.find((one) => one.name === name);
    if (column !== undefined && column.type.kind !== "text")
      throw new UsageError(`full-text=${name}: the column ${name} of ${table.name} is no text`);
  }
  if (table.key.length === 0)
    throw new UsageError(`The table ${table.name} has no key, and a document could not be told from one that is there`);
  for (const name of table.key) {
    if (table.columns.find((column) => column.name === name)?.nullable !== false)
      throw new UsageError(
        `The key column ${name} of ${table.name} may be null: a row without a key could not be found again`,
      );
  }
}
