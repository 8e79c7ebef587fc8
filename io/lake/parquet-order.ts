// The order of rows and values in a Parquet file. Texts have that of their bytes in UTF-8, which is not JavaScript's.
import { parseDecimal } from "../../schema/decimal";
import { columnOf, type ColumnType, type Row, type Table } from "../../schema/table";

/** A text without halves of characters, which have no form in UTF-8: every store keeps U+FFFD in their place. */
export function wholeText(text: string): string {
  // Node 20 has it, the library of types that this is compiled with does not.
  return (text as string & { toWellFormed(): string }).toWellFormed();
}

/** By the bytes in UTF-8, of two whole texts. */
export function compareTexts(left: string, right: string): number {
  const length = Math.min(left.length, right.length);
  for (let at = 0; at < length; at += 1) {
    const one = left.charCodeAt(at);
    const other = right.charCodeAt(at);
    if (one !== other) return rank(one) - rank(other);
  }
  return left.length - right.length;
}

/** In UTF-16 characters above U+FFFF are written with units that lie below U+E000, in UTF-8 they come last. */
function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

type Compare = (left: unknown, right: unknown) => number;

/** The order of a table's key, what is null first. A value that does not fit its column has any place. */
export function orderByKey(table: Table): (left: Row, right: Row) => number {
  const parts = table.key.map((name) => ({ name, compare: orderOf(columnOf(table, name).type) }));
  return (left, right) => {
    for (const { name, compare } of parts) {
      const one = left[name] ?? null;
      const other = right[name] ?? null;
      if (one === other) continue;
      if (one === null) return -1;
      if (other === null) return 1;
      const order = compare(one, other);
      if (order !== 0) return order;
    }
    return 0;
  };
}

function orderOf(type: ColumnType): Compare {
  switch (type.kind) {
    case "decimal":
      return by((value) => parseDecimal(String(value), type.scale) ?? 0n);
    case "integer":
    case "double":
    case "timestamp":
    case "boolean":
      return by((value) => value as number);
    case "text":
    case "date":
      return (left, right) => compareTexts(wholeText(String(left)), wholeText(String(right)));
    case "bytes":
      return (left, right) => Buffer.compare(Buffer.from(left as Uint8Array), Buffer.from(right as Uint8Array));
    case "json":
      return (left, right) => compareTexts(JSON.stringify(left), JSON.stringify(right));
  }
}

function by(valueOf: (value: unknown) => number | bigint): Compare {
  return (left, right) => {
    const one = valueOf(left);
    const other = valueOf(right);
    return one < other ? -1 : one > other ? 1 : 0;
  };
}
