// What a row becomes in a topic: its key, its id and its time. Only the row and its batch decide, so that a batch that is
// run again gives the same messages.
import { hash } from "node:crypto";
import { UsageError } from "../../schema/errors";
import { columnOf, type Column, type Row, type Table } from "../../schema/table";
import { suggestion } from "../address";
import { cellOf, type Cell } from "../cell";
import { type Batch, type LetterId } from "../connector";

/** The header by which a reader knows a message that was written twice. */
export const ID_HEADER = "beamline-id";

/** The column that is a message's time unless another one is named. */
const USUAL_TIME = "window_start";

/** 80 bits: enough that two messages of one topic never share it by chance. */
const ID_LENGTH = 20;

export interface Message {
  readonly key: string | null;
  /** Null: what the key stood for is gone. */
  readonly value: string | Buffer | null;
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds, as text; absent when the time of the writing will do. */
  readonly timestamp?: string;
}

/** Makes messages of one output's rows; `valueOf` gives their bodies. Refuses what cannot be before it is needed. */
export function messagesOf(
  table: Table,
  output: string,
  batch: Batch,
  time: string | null,
): (valueOf: (row: Row) => string | Buffer) => (row: Row) => Message {
  const keys = table.key.map((name) => columnOf(table, name));
  const messageKeys = (table.messageKey ?? table.key).map((name) => columnOf(table, name));
  const timeColumn = timeOf(table, time);
  const written = JSON.stringify([batch.job, output, batch.id]);
  return (valueOf) => (row) => {
    const cellsOf = (columns: readonly Column[]) => columns.map((column) => cellOf(table, column, row));
    const cells = cellsOf(keys);
    const list = canonicalListOf(cells);
    const id = hash("sha256", written + list, "hex").slice(0, ID_LENGTH);
    const at = timeColumn === null ? null : row[timeColumn.name];
    return {
      key: table.messageKey === undefined && cells.length > 1 ? list : keyTextOf(cellsOf(messageKeys)),
      value: valueOf(row),
      headers: { [ID_HEADER]: id },
      ...(typeof at === "number" && at >= 0 ? { timestamp: String(at) } : {}),
    };
  };
}

/** Says of dead letters that they are done with: a topic that is compacted forgets them. */
export function goneMessages(job: string, ids: readonly LetterId[]): Message[] {
  return ids.map(({ source, position, step }) => ({
    key: JSON.stringify([job, source, position, step]),
    value: null,
    headers: {},
  }));
}

/** The column of a message's time; null when there is none, and the time of the writing is taken. */
function timeOf(table: Table, asked: string | null): Column | null {
  const { messageTime } = table;
  const times = table.columns.filter(({ name, type }) => type.kind === "timestamp" || name === messageTime);
  if (asked === null) return times.find(({ name }) => name === (messageTime ?? USUAL_TIME)) ?? null;
  const column = times.find((one) => one.name === asked);
  if (column !== undefined) return column;
  const names = times.map((one) => one.name);
  throw new UsageError(
    names.length === 0
      ? `“?time=${asked}” names no column of a time: ${table.name} has none`
      : `“?time=${asked}” is no column of a time in ${table.name}: ${suggestion(asked, names)}`,
  );
}

/** One cell is its text, several are a JSON list, none is no key. */
function keyTextOf(cells: readonly Cell[]): string | null {
  const [first = null, second] = cells;
  if (cells.length === 0) return null;
  return second === undefined ? textOf(first) : canonicalListOf(cells);
}

const canonicalListOf = (cells: readonly Cell[]): string => `[${cells.map(canonicalOf).join(",")}]`;

function textOf(cell: Cell): string | null {
  if (cell === null || typeof cell === "string") return cell;
  return cell instanceof Uint8Array ? base64Of(cell) : String(cell);
}

/** JSON in which every cell has one form only. */
function canonicalOf(cell: Cell): string {
  if (typeof cell === "string") return JSON.stringify(cell);
  return cell instanceof Uint8Array ? JSON.stringify(base64Of(cell)) : String(cell);
}

function base64Of(bytes: Uint8Array): string {
  return `base64:${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64")}`;
}
