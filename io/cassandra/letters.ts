// Reads dead letters back from their table, page by page.
import { type Table } from "../../schema/table";
import { type LetterNews } from "../connector";
import { rawOfBytes, rowOf, timeOfText, type CellForms } from "../letters";
import { plainOf } from "./cells";
import { type CassandraSettings } from "./options";
import { Session, type Cells } from "./session";
import { compareTable, quoteName, quoteTable } from "./shape";
import { isByPlace } from "./taken-out";

export async function* readLetters(
  settings: CassandraSettings,
  table: Table,
  job: string,
): AsyncGenerator<LetterNews[]> {
  const session = await Session.open(settings);
  try {
    const { isThere, missing } = await compareTable(session, table);
    if (!isThere) return;
    const there = table.columns.filter((column) => !missing.includes(column));
    const query =
      `SELECT ${there.map(({ name }) => quoteName(name)).join(", ")} FROM ${quoteTable(settings.keyspace, table.name)} ` +
      `WHERE "job" = ?${isByPlace(session, table) ? "" : " ALLOW FILTERING"}`;
    for await (const page of session.pages(query, [job]))
      yield page.map((cells) => ({ kind: "letter", row: rowOf(table, plainCells(cells), forms) }));
  } finally {
    session.release("run");
  }
}

const plainCells = (cells: Cells): Cells =>
  Object.fromEntries(Object.entries(cells).map(([name, value]) => [name, plainOf(value)]));

const forms: CellForms = {
  rawOf: (cell) => (cell instanceof Uint8Array ? rawOfBytes(cell) : String(cell)),
  timeOf: timeOfText,
};
