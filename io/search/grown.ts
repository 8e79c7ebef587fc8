// Rows of which each takes the place only of one that has no more in a column that grows. What is there is looked at, and
// replaced only in the version that was seen: whoever was faster is looked at again.
import { UnavailableError } from "../../schema/errors";
import { type Rejected } from "../connector";
import { sendBulk } from "./bulk";
import { type Cluster } from "./cluster";
import { type Document, type Operation } from "./document";

/** Asked for together. */
const TOGETHER = 500;

interface Seen {
  readonly found?: boolean;
  readonly _source?: Readonly<Record<string, unknown>>;
  readonly _seq_no?: number;
  readonly _primary_term?: number;
}

/** As sendBulk(); a row that has less than the one that is there is done with. */
export async function sendGrown(
  cluster: Cluster,
  growsBy: string,
  documents: readonly Document[],
): Promise<readonly Rejected[]> {
  const rejected: Rejected[] = [];
  for (let at = 0; at < documents.length; at += TOGETHER)
    rejected.push(...(await sendSome(cluster, growsBy, documents.slice(at, at + TOGETHER))));
  return rejected;
}

async function sendSome(cluster: Cluster, growsBy: string, documents: readonly Document[]): Promise<Rejected[]> {
  const patience = cluster.patience();
  const rejected: Rejected[] = [];
  let left = documents;
  for (;;) {
    const seen = await look(cluster, growsBy, left);
    const operations = left.flatMap((document, at) => conditional(document, growsBy, seen[at] ?? {}));
    const outdated = new Set<Operation>();
    rejected.push(...(await sendBulk(cluster, operations, outdated)));
    left = operations.flatMap((operation) => (outdated.has(operation) ? [operation.document] : []));
    if (left.length === 0) return rejected;
    await patience(
      new UnavailableError(`${cluster.shown}: ${left.length} rows are changed by others all the time; try again`),
    );
  }
}

async function look(cluster: Cluster, growsBy: string, documents: readonly Document[]): Promise<readonly Seen[]> {
  const { body } = await cluster.act<{ readonly docs: readonly Seen[] }>({
    method: "POST",
    path: "/_mget",
    query: { _source: growsBy },
    body: { docs: documents.map(({ index, id }) => ({ _index: index, _id: id })) },
  });
  return body.docs;
}

interface Conditional extends Operation {
  readonly document: Document;
}

/** Nothing where there is one that has more. */
function conditional(document: Document, growsBy: string, seen: Seen): Conditional[] {
  const { index, id, row, lines } = document;
  const source = lines.slice(lines.indexOf("\n"));
  const place = { _index: index, _id: id };
  if (seen.found !== true) return [{ document, row, lines: JSON.stringify({ create: place }) + source }];
  if (Number(seen._source?.[growsBy] ?? Number.NEGATIVE_INFINITY) > Number(row[growsBy])) return [];
  const version = { if_seq_no: seen._seq_no, if_primary_term: seen._primary_term };
  return [{ document, row, lines: JSON.stringify({ index: { ...place, ...version } }) + source }];
}
