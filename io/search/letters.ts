// Reads dead letters back from their index, page by page.
import { type Row, type Table } from "../../schema/table";
import { type LetterNews } from "../connector";
import { LETTERS_TOGETHER, rawOfBytes, rowOf, timeOfText, type CellForms } from "../letters";
import { Cluster, type Answer } from "./cluster";
import { indicesOf } from "./index-names";
import { compareIndex, refresh } from "./indices";
import { type SearchSettings } from "./options";

interface Page {
  readonly hits: {
    readonly hits: readonly {
      readonly _source: Readonly<Record<string, unknown>>;
      readonly sort: readonly unknown[];
    }[];
  };
}

export async function* readLetters(settings: SearchSettings, table: Table, job: string): AsyncGenerator<LetterNews[]> {
  const output = { name: table.name, table };
  const index = indicesOf(settings, [output]).get(table.name) ?? "";
  const cluster = new Cluster(settings);
  const { isThere } = await compareIndex(cluster, index, output);
  if (!isThere) return;
  // Where refresh=false left that to the server.
  await refresh(cluster, index);
  let after: readonly unknown[] | null = null;
  for (;;) {
    const answer: Answer<Page> = await cluster.look<Page>({
      method: "POST",
      path: `/${encodeURIComponent(index)}/_search`,
      body: {
        size: LETTERS_TOGETHER,
        query: { bool: { filter: [{ term: { job } }] } },
        sort: ["source", "position", "step"],
        ...(after === null ? {} : { search_after: after }),
      },
    });
    const { hits } = answer.body.hits;
    const last = hits[hits.length - 1];
    if (last === undefined) return;
    after = last.sort;
    yield hits.map(({ _source }) => ({ kind: "letter", row: letterOf(table, _source) }));
  }
}

const letterOf = (table: Table, source: Readonly<Record<string, unknown>>): Row => rowOf(table, source, forms);

const forms: CellForms = {
  rawOf: (cell) => rawOfBytes(Buffer.from(String(cell), "base64")),
  timeOf: (cell) => (typeof cell === "number" ? cell : timeOfText(cell)),
};
