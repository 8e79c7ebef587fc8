// Reads dead letters back from their table, page by page.
import { type Column, type Table } from "../../schema/table";
import { type LetterNews } from "../connector";
import { LETTERS_TOGETHER, rawOfBytes, rowOf, type CellForms } from "../letters";
import { quoteName, quoteTable } from "./names";
import { Session, type SqlParameter } from "./session";
import { shownServer, type PostgresSettings } from "./settings";
import { compareTables } from "./shape";

export async function* readLetters(
  settings: PostgresSettings,
  table: Table,
  job: string,
): AsyncGenerator<LetterNews[]> {
  const sql =
    `SELECT ${table.columns.map(cellExpression).join(", ")} FROM ${quoteTable(settings.schema, table.name)} WHERE "job" = $1 ` +
    `AND ("source", "position", "step") > ($2, $3, $4) ORDER BY "source", "position", "step" LIMIT ${LETTERS_TOGETHER}`;
  let after: SqlParameter[] = ["", "-1", ""];
  for (;;) {
    const rows = await inTransaction(settings, async (session) => {
      const there = await compareTables(session, settings.schema, [table], shownServer(settings));
      return there.has(table.name) ? session.query(sql, [job, ...after]) : [];
    });
    const last = rows[rows.length - 1];
    if (last === undefined) return;
    after = [last["source"] ?? "", last["position"] ?? "", last["step"] ?? ""];
    yield rows.map((cells) => ({ kind: "letter", row: rowOf(table, cells, forms) }));
  }
}

async function inTransaction<T>(settings: PostgresSettings, body: (session: Session) => Promise<T>): Promise<T> {
  const session = await Session.begin(settings, "READ ONLY");
  try {
    const result = await body(session);
    await session.commit();
    return result;
  } finally {
    await session.rollback();
  }
}

/** In forms that no setting of the server changes. */
function cellExpression({ name, type }: Column): string {
  const column = quoteName(name);
  if (type.kind === "bytes") return `pg_catalog.encode(${column}, 'hex') AS ${column}`;
  if (type.kind === "timestamp") return `pg_catalog.floor(EXTRACT(EPOCH FROM ${column}) * 1000)::bigint AS ${column}`;
  return column;
}

const forms: CellForms = {
  rawOf: (cell) => rawOfBytes(Buffer.from(String(cell), "hex")),
  timeOf: Number,
};
