// Dead letters as they are read back from where they lie: cells made into rows again.
import { isUtf8 } from "node:buffer";
import { RunError } from "../schema/errors";
import { type Raw } from "../schema/record";
import { type Row, type Table } from "../schema/table";
import { type LetterId, type LetterNews } from "./connector";

/** Letters that are read together. */
export const LETTERS_TOGETHER = 1000;

/** How a store gives what has no one form. */
export interface CellForms {
  readonly rawOf: (cell: unknown) => Raw;
  readonly timeOf: (cell: unknown) => number;
}

/** The row whose cells a store gives. */
export function rowOf(table: Table, cells: Readonly<Record<string, unknown>>, { rawOf, timeOf }: CellForms): Row {
  const row: Record<string, unknown> = {};
  for (const { name, type } of table.columns) {
    const cell = cells[name] ?? null;
    if (cell === null) row[name] = null;
    else if (type.kind === "integer") row[name] = Number(cell);
    else if (type.kind === "timestamp") row[name] = timeOf(cell);
    else if (type.kind === "bytes") row[name] = rawOf(cell);
    else row[name] = cell;
  }
  return row;
}

/** Bytes as records have them: text where they are text. */
export function rawOfBytes(bytes: Uint8Array): Raw {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return isUtf8(buffer) ? buffer.toString() : new Uint8Array(buffer);
}

/** What stands before bytes that are no text, wherever rows are JSON. */
const BASE64 = "base64:";

/** A letter as a line of NDJSON or a message. */
export function letterOfJson(table: Table, text: string, where: string): Row {
  let cells: unknown;
  try {
    cells = JSON.parse(text);
  } catch {
    cells = null;
  }
  if (typeof cells !== "object" || cells === null)
    throw new RunError(`${where} has something else than a dead letter in it: ${text.slice(0, 80)}`);
  return rowOf(table, cells as Record<string, unknown>, jsonForms);
}

/** ISO 8601, as most stores have times. */
export const timeOfText = (cell: unknown): number => Date.parse(String(cell));

const jsonForms: CellForms = {
  rawOf: (cell) => {
    const said = String(cell);
    return said.startsWith(BASE64) ? rawOfBytes(Buffer.from(said.slice(BASE64.length), "base64")) : said;
  },
  timeOf: timeOfText,
};

/** Of the letters that a batch tries again, those that it does not give anew: for a place that cannot take rows out. */
export class LettersDone {
  private readonly left: Map<string, LetterId>;

  constructor(replays: readonly LetterId[]) {
    this.left = new Map(replays.map((id) => [nameOf(id), id]));
  }

  wrote(rows: readonly Row[]): void {
    if (this.left.size === 0) return;
    for (const row of rows) this.left.delete(nameOf(idOf(row)));
  }

  gone(): readonly LetterId[] {
    return [...this.left.values()];
  }
}

const nameOf = ({ source, position, step }: LetterId): string => JSON.stringify([source, position, step]);

export const idOf = (row: Row): LetterId => ({
  source: String(row["source"]),
  position: Number(row["position"]),
  step: String(row["step"]),
});

/** What a log of letters, which only grows, says of one that is done with. */
export const goneLine = (job: string, { source, position, step }: LetterId): string =>
  `${JSON.stringify({ job, source, position, step, gone: true })}\n`;

/** What a line of such a log says; null when it is about another job. */
export function newsOfLine(table: Table, line: string, job: string, where: string): LetterNews | null {
  const row = letterOfJson(table, line, where);
  if (row["job"] !== job) return null;
  // A letter always has a reason, and the word that it is gone has none.
  return row["reason"] === null ? { kind: "gone", id: idOf(row) } : { kind: "letter", row };
}
