// Reads dead letters back from their table: the answer of one query, which does not change while it is read.
import { type Column, type Table } from "../../schema/table";
import { type LetterNews } from "../connector";
import { LETTERS_TOGETHER, rawOfBytes, rowOf, type CellForms } from "../letters";
import { explain } from "./failures";
import { Jobs } from "./jobs";
import { quoteName, quoteTable } from "./names";
import { Rest } from "./rest";
import { type SinkSettings } from "./settings";
import { compareTable, findLocation } from "./shape";

export async function* readLetters(settings: SinkSettings, table: Table, job: string): AsyncGenerator<LetterNews[]> {
  const rest = new Rest(settings);
  try {
    const location = await findLocation(rest, settings);
    if (location === null) return;
    const { found, added } = await compareTable(rest, settings, table);
    if (found === null) return;
    const jobs = new Jobs(rest, location);
    const isThere = ({ name }: Column) => !added.some(({ column }) => column.name === name);
    const columns = table.columns.filter(isThere);
    const sql =
      `SELECT ${columns.map(({ name }) => quoteName(name)).join(", ")} FROM ${quoteTable(settings, table.name)} ` +
      `WHERE \`job\` = @job ORDER BY \`source\`, \`position\`, \`step\``;
    const rows = await jobs.query(sql, [{ name: "job", type: "STRING", value: job }]);
    for (let from = 0; from < rows.total;) {
      const some = await jobs.some(rows, from, LETTERS_TOGETHER);
      from += some.length;
      yield some.map(({ f }) => {
        const cells = Object.fromEntries(columns.map(({ name }, at) => [name, f[at]?.v ?? null]));
        return { kind: "letter", row: rowOf(table, cells, forms) };
      });
    }
  } catch (error) {
    throw explain(error, settings);
  }
}

const forms: CellForms = {
  rawOf: (cell) => rawOfBytes(Buffer.from(String(cell), "base64")),
  // Microseconds.
  timeOf: (cell) => Math.floor(Number(cell) / 1000),
};
