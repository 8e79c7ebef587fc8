// Where a table has stamps: a row that is equal to what is there but for them is not written again.
import { isDeepStrictEqual } from "node:util";
import { type Table } from "../../schema/table";
import { type Cluster } from "./cluster";
import { type Document } from "./document";

/** Asked for together. */
const TOGETHER = 500;

type Source = Readonly<Record<string, unknown>>;

/** Those of the documents that differ from what is there. */
export async function changedOf(
  cluster: Cluster,
  { columns, key, stamps = [] }: Table,
  documents: readonly Document[],
): Promise<readonly Document[]> {
  if (stamps.length === 0) return documents;
  const compared = columns.map(({ name }) => name).filter((name) => !key.includes(name) && !stamps.includes(name));
  const isEqual = (one: Source, other: Source) =>
    compared.every((name) => isSure(one[name]) && isDeepStrictEqual(one[name] ?? null, other[name] ?? null));
  const changed: Document[] = [];
  for (let at = 0; at < documents.length; at += TOGETHER) {
    const some = documents.slice(at, at + TOGETHER);
    const { body } = await cluster.act<{ readonly docs: readonly { readonly _source?: Source }[] }>({
      method: "POST",
      path: "/_mget",
      body: { docs: some.map(({ index, id }) => ({ _index: index, _id: id })) },
    });
    for (const [place, document] of some.entries()) {
      const there = body.docs[place]?._source;
      if (there === undefined || !isEqual(sourceOf(document), there)) changed.push(document);
    }
  }
  return changed;
}

const sourceOf = ({ lines }: Document): Source => JSON.parse(lines.slice(lines.indexOf("\n") + 1)) as Source;

/** Above 2^53 two whole numbers may look alike when they are read. */
const isSure = (value: unknown): boolean => typeof value !== "number" || Math.abs(value) <= Number.MAX_SAFE_INTEGER;
