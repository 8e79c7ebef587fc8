// CSV by RFC 4180: from lines to rows. A row that is not whole or not well formed becomes a record without fields, and
// reading goes on with the line after the one where it began; nothing stops the run, and no line is lost.
// It is taken apart here and not by a library because a parser of streams takes all that follows an open quote for one
// row: how much is lost, and how much memory it takes, would be up to the file.
import { RunError } from "../schema/errors";
import { type Raw, type SourceRecord } from "../schema/record";

/** A row over more lines or bytes than this has most likely an open quote. */
const MAX_ROW_LINES = 10_000;
const MAX_ROW_BYTES = 16 * 1024 * 1024;

const QUOTE = 34;

type Fields = Record<string, string>;

/** Objects whose names come from data: without a prototype, so that a column may be called `__proto__`, and still fast. */
const FieldsOf = function () {} as unknown as new () => Fields;
FieldsOf.prototype = Object.create(null) as object;

/** Turns the exact lines of a file into records, one a row. */
export class CsvRows {
  private columns: readonly string[] | null = null;
  private open: SourceRecord[] = [];
  private openBytes = 0;

  constructor(private readonly source: string) {}

  /** The rows that are complete with these lines. */
  push(lines: readonly SourceRecord[]): SourceRecord[] {
    const rows: SourceRecord[] = [];
    for (const line of lines) this.take(line, rows);
    return rows;
  }

  /** What is left when no more lines come: rows whose quote was never closed. */
  end(): SourceRecord[] {
    const rows: SourceRecord[] = [];
    while (this.open.length > 0) this.giveUp(rows);
    return rows;
  }

  private take(line: SourceRecord, rows: SourceRecord[]): void {
    if (line.headers !== null) {
      // A line that was cut: what its quotes would have said is not known.
      while (this.open.length > 0) this.giveUp(rows);
      this.row(line, line.value, line.headers, rows);
      return;
    }
    const oddQuotes = hasOddQuotes(line.value);
    if (this.open.length === 0 && !oddQuotes) {
      this.row(line, line.value, null, rows);
      return;
    }
    this.open.push(line);
    this.openBytes += line.value.length;
    if (this.open.length === 1) return;
    if (oddQuotes) {
      const first = this.open[0] ?? line;
      const value = joined(this.open.map((part) => part.value));
      // Bytes that are no text can still be one row: its quotes are ASCII whatever the rest is.
      if (fieldsOfRow(typeof value === "string" ? value : Buffer.from(value).toString("latin1")) === null) {
        this.giveUp(rows);
        return;
      }
      this.open = [];
      this.openBytes = 0;
      this.row(first, value, null, rows);
    } else if (this.open.length > MAX_ROW_LINES || this.openBytes > MAX_ROW_BYTES) {
      this.giveUp(rows);
    }
  }

  /** The first of the open lines is a record by itself; the others are looked at again. */
  private giveUp(rows: SourceRecord[]): void {
    const [first, ...others] = this.open;
    this.open = [];
    this.openBytes = 0;
    if (first === undefined) return;
    if (this.columns === null)
      throw new RunError(`${this.source} has a header with an open quote in line ${first.position}`);
    rows.push(record(first, withoutReturn(first.value), first.headers, null));
    for (const other of others) this.take(other, rows);
  }

  private row(start: SourceRecord, exact: Raw, headers: SourceRecord["headers"], rows: SourceRecord[]): void {
    const value = withoutReturn(exact);
    if (value.length === 0) return;
    const fields = headers === null ? fieldsOfRow(value) : null;
    if (this.columns === null) {
      this.columns = this.header(fields);
      return;
    }
    rows.push(record(start, value, headers, this.byName(fields)));
  }

  private header(fields: string[] | null): readonly string[] {
    if (fields === null)
      throw new RunError(`${this.source} has a first line that is no CSV header: it is not well-formed`);
    const seen = new Set<string>();
    for (const name of fields) {
      if (name !== "" && seen.has(name)) {
        throw new RunError(`${this.source} has the column “${name}” twice in its header: rename one of them`);
      }
      seen.add(name);
    }
    return fields;
  }

  private byName(fields: string[] | null): Fields | null {
    const columns = this.columns ?? [];
    if (fields === null || fields.length !== columns.length) return null;
    const byName = new FieldsOf();
    for (let at = 0; at < columns.length; at += 1) {
      const name = columns[at] ?? "";
      // Spreadsheets leave columns without a name behind the last one.
      if (name !== "") byName[name] = fields[at] ?? "";
    }
    return byName;
  }
}

function record(
  start: SourceRecord,
  value: Raw,
  headers: SourceRecord["headers"],
  fields: Fields | null,
): SourceRecord {
  return { value, source: start.source, position: start.position, key: null, timestamp: null, headers, fields };
}

/** The fields of one row; null when it is not well formed or not text. */
function fieldsOfRow(exact: Raw): string[] | null {
  if (typeof exact !== "string") return null;
  const row = exact.endsWith("\r") ? exact.slice(0, -1) : exact;
  if (!row.includes('"')) return row.split(",");
  const fields: string[] = [];
  for (let at = 0; ; at += 1) {
    let end: number;
    if (row.charCodeAt(at) === QUOTE) {
      let close = row.indexOf('"', at + 1);
      // Two quotes in a row are one quote of the text.
      while (close >= 0 && row.charCodeAt(close + 1) === QUOTE) close = row.indexOf('"', close + 2);
      if (close < 0) return null;
      const inner = row.slice(at + 1, close);
      fields.push(inner.includes('"') ? inner.replaceAll('""', '"') : inner);
      end = close + 1;
      if (end < row.length && row[end] !== ",") return null;
    } else {
      const comma = row.indexOf(",", at);
      end = comma < 0 ? row.length : comma;
      const field = row.slice(at, end);
      if (field.includes('"')) return null;
      fields.push(field);
    }
    if (end >= row.length) return fields;
    at = end;
  }
}

/** Whether a quoted field begins in this line and does not end, or the other way round. */
function hasOddQuotes(value: Raw): boolean {
  let odd = false;
  if (typeof value === "string") {
    for (let at = value.indexOf('"'); at >= 0; at = value.indexOf('"', at + 1)) odd = !odd;
  } else {
    for (let at = value.indexOf(QUOTE); at >= 0; at = value.indexOf(QUOTE, at + 1)) odd = !odd;
  }
  return odd;
}

function withoutReturn(value: Raw): Raw {
  if (typeof value === "string") return value.endsWith("\r") ? value.slice(0, -1) : value;
  return value[value.length - 1] === 13 ? value.subarray(0, -1) : value;
}

/** Lines as the one row they are, with the line feeds between them. */
function joined(lines: readonly Raw[]): Raw {
  if (lines.every((line) => typeof line === "string")) return lines.join("\n");
  const feed = Buffer.from("\n");
  return new Uint8Array(
    Buffer.concat(lines.flatMap((line, at) => [...(at > 0 ? [feed] : []), Buffer.from(line as string)])),
  );
}
