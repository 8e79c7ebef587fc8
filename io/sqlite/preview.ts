// The first rows of a table, to show after a run.
import { existsSync } from "node:fs";
import { RunError } from "../../schema/errors";
import { localPath, shownPath } from "../local-path";
import { openDatabase } from "./database";
import { explain } from "./failures";
import { quoteName } from "./shape";

/** At most `limit` rows of `table` in the database at `path`, in the table's own order: by key, or as they were written. */
export function firstRows(path: string, table: string, limit: number): Record<string, unknown>[] {
  const file = localPath(path);
  // Opening would make it.
  if (!existsSync(file)) throw new RunError(`${shownPath(file)} does not exist`);
  try {
    const database = openDatabase(file);
    try {
      return database
        .prepare(`SELECT * FROM ${quoteName(table)} LIMIT ?`)
        .all([limit])
        .map((row) => ({ ...row }));
    } finally {
      database.close();
    }
  } catch (error) {
    throw explain(error, shownPath(file));
  }
}
