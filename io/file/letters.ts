// Reads dead letters back from a directory: each batch of the job left a file, and what a later one says holds.
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { UsageError } from "../../schema/errors";
import { type Table } from "../../schema/table";
import { type Address, type LetterNews } from "../connector";
import { lakeOptionsOf } from "../lake/options";
import { newsOfLine } from "../letters";
import { LineSplitter } from "../lines";
import { localPath, shownPath } from "../local-path";
import { chunksOf } from "./chunks";

/** A letter holds a record of any length that a source may cut lines to, in base64 at worst. */
const MOST_LETTER_BYTES = 64 * 1024 * 1024;

export async function* readLetters(address: Address, table: Table, job: string): AsyncGenerator<LetterNews[]> {
  const directory = localPath(address.path);
  if (lakeOptionsOf(address, null).format === "csv")
    throw new UsageError(`Dead letters in ${shownPath(directory)} are CSV, and only NDJSON ones can be replayed`);
  for (const file of await filesOf(directory, table)) {
    const splitter = new LineSplitter({ source: shownPath(file), exact: false, maxLineBytes: MOST_LETTER_BYTES });
    for await (const chunk of chunksOf(file, shownPath(file))) {
      for (const lines of splitter.push(chunk)) yield newsOf(lines);
    }
    for (const lines of splitter.end()) yield newsOf(lines);
  }
  function newsOf(lines: readonly { value: string | Uint8Array; source: string; position: number }[]): LetterNews[] {
    return lines.flatMap(
      ({ value, source, position }) => newsOfLine(table, String(value), job, `${source}, line ${position},`) ?? [],
    );
  }
}

/** In the order in which they were written. Those of a job on a cluster lie in a folder of their own. */
async function filesOf(directory: string, table: Table): Promise<string[]> {
  const folder = path.join(directory, table.name);
  const beside = (await namesIn(directory)).filter((name) => name.startsWith(`${table.name}.`));
  const files = [
    ...beside.map((name) => path.join(directory, name)),
    ...(await namesIn(folder)).map((name) => path.join(folder, name)),
  ];
  const found: { file: string; time: number }[] = [];
  for (const file of files) found.push({ file, time: (await stat(file)).mtimeMs });
  return found.sort((a, b) => a.time - b.time || (a.file < b.file ? -1 : 1)).map(({ file }) => file);
}

const namesIn = async (directory: string): Promise<string[]> =>
  (await readdir(directory).catch(() => [])).filter((name) => /\.ndjson(\.gz)?$/.test(name));
