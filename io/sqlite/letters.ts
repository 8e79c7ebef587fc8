// Reads dead letters back from their table, page by page: the database is not locked in between.
import { existsSync } from "node:fs";
import { type Table } from "../../schema/table";
import { type LetterNews } from "../connector";
import { LETTERS_TOGETHER, rawOfBytes, rowOf, timeOfText, type CellForms } from "../letters";
import { shownPath } from "../local-path";
import { openDatabase, type SqlValue } from "./database";
import { explain } from "./failures";
import { compareTable, quoteName } from "./shape";

export async function* readLetters(file: string, table: Table, job: string): AsyncGenerator<LetterNews[]> {
  if (!existsSync(file)) return;
  const database = openDatabase(file);
  try {
    database.exec("PRAGMA busy_timeout = 5000; PRAGMA query_only = 1");
    if (!compareTable(database, table, shownPath(file))) return;
    const names = table.columns.map(({ name }) => quoteName(name)).join(", ");
    const page = database.prepare(
      `SELECT ${names} FROM ${quoteName(table.name)} WHERE "job" = ? AND ("source", "position", "step") > (?, ?, ?) ` +
        `ORDER BY "source", "position", "step" LIMIT ${LETTERS_TOGETHER}`,
    );
    let after: SqlValue[] = ["", -1, ""];
    for (;;) {
      const rows = page.all([job, ...after]);
      const last = rows[rows.length - 1];
      if (last === undefined) return;
      after = [last["source"], last["position"], last["step"]] as SqlValue[];
      yield rows.map((cells) => ({ kind: "letter", row: rowOf(table, cells, forms) }));
    }
  } catch (error) {
    throw explain(error, shownPath(file));
  } finally {
    database.close();
  }
}

const forms: CellForms = {
  rawOf: (cell) => (cell instanceof Uint8Array ? rawOfBytes(cell) : String(cell)),
  timeOf: timeOfText,
};
