// Connectors of buckets: what `gs://` and `s3://` have in common. Each brings its own Store.
import { messageOf } from "../../schema/errors";
import { type Table } from "../../schema/table";
import { type Address, type Connector, type Finding, type LetterNews, type Output } from "../connector";
import { newsOfLine } from "../letters";
import { LineSplitter } from "../lines";
import { bucketReadOptions, bucketSource } from "./bucket-source";
import { checkGoesOn, LakeTarget, type Lake } from "./lake-target";
import { checkTableName, lakeOptions, lakeOptionsOf } from "./options";
import { parquetType } from "./parquet-schema";
import { Partitioning } from "./partition";
import { blocksOf, placeOf, type Buckets, type BucketStore } from "./bucket-place";
import { type Store, type Stored } from "./store";

/** A letter holds a record of any length that a source may cut lines to, in base64 at worst. */
const MOST_LETTER_BYTES = 64 * 1024 * 1024;

export function bucketConnector(buckets: Buckets): Connector {
  const { scheme, about } = buckets;
  const lakeAt = (address: Address): Lake & { readonly store: BucketStore } => {
    const { bucket, path } = placeOf(address);
    const root = path === "" || path.endsWith("/") ? path : `${path}/`;
    return { store: buckets.open(bucket), root, shown: `${scheme}://${bucket}/${root}` };
  };
  return {
    name: scheme,
    about: {
      ...about,
      typeOf: parquetType,
      examples: [`${scheme}://bucket/lake/`, `${scheme}://bucket/lake/?partition=day(window_start)`],
      readOptions: bucketReadOptions,
      writeOptions: lakeOptions("parquet"),
    },
    source: bucketSource(buckets),
    sink: {
      deliveryClass: "named file",
      isShared: true,
      gathers(address) {
        const options = lakeOptionsOf(address, "parquet");
        checkGoesOn(lakeAt(address).shown, options);
        return options.gathering;
      },
      delivery:
        "files named by their plan are created only where none is, and seen only when whole; a manifest follows when all are there; a batch that is run again finds or replaces its own",
      wants: "final",
      place: (address) => {
        const { bucket, path } = placeOf(address);
        return `${bucket}/${path.replace(/\/$/, "")}`;
      },
      async open(address, outputs, batch) {
        const options = lakeOptionsOf(address, "parquet");
        return LakeTarget.open(lakeAt(address), outputs, batch, options);
      },
      async check(address, outputs) {
        try {
          return await findingsOf(lakeAt(address), address, outputs);
        } catch (error) {
          return [{ state: "wrong", text: messageOf(error) }];
        }
      },
      async *letters(address, table, job) {
        lakeOptionsOf(address, "parquet");
        yield* lettersOf(lakeAt(address), table, job);
      },
    },
  };
}

async function findingsOf(
  lake: Lake & { readonly store: BucketStore },
  address: Address,
  outputs: readonly Output[],
): Promise<readonly Finding[]> {
  const { store, root, shown } = lake;
  const options = lakeOptionsOf(address, "parquet");
  const findings: Finding[] = [];
  const rights = await store.missingRights();
  if (rights.length > 0)
    return [{ state: "wrong", text: `${shown} may not be written: ask for the rights ${rights.join(", ")}` }];
  for (const { table } of outputs) {
    checkTableName(table.name, `a table of ${shown} needs a name that can be one`);
    if (table.mode !== "by-origin") Partitioning.of(options.partition, table, shown).inFiles();
    const isThere = await hasAny(store, `${root}${table.name}/`);
    findings.push(
      isThere
        ? { state: "fine", text: `${shown}${table.name}/ can be reached and has files` }
        : { state: "missing", text: `${shown} can be reached; the first run makes ${table.name}/` },
    );
  }
  return findings;
}

async function hasAny(store: Store, prefix: string): Promise<boolean> {
  for await (const _ of store.list(prefix)) return true;
  return false;
}

/** The dead letters of a job: each batch left a file, and what a later one says holds. */
async function* lettersOf({ store, root }: Lake, table: Table, job: string): AsyncGenerator<LetterNews[]> {
  const found: Stored[] = [];
  const folder = `${root}${table.name}/`;
  for await (const stored of store.list(folder)) {
    if (stored.name.endsWith(".ndjson") && !stored.name.slice(folder.length).includes("/")) found.push(stored);
  }
  for (const stored of found.sort((a, b) => a.time - b.time || (a.name < b.name ? -1 : 1))) {
    const source = store.shown(stored.name);
    const splitter = new LineSplitter({ source, exact: false, maxLineBytes: MOST_LETTER_BYTES });
    const newsOf = (lines: readonly { value: string | Uint8Array; position: number }[]): LetterNews[] =>
      lines.flatMap(
        ({ value, position }) => newsOfLine(table, String(value), job, `${source}, line ${position},`) ?? [],
      );
    for await (const block of blocksOf(store, stored)) for (const lines of splitter.push(block)) yield newsOf(lines);
    for (const lines of splitter.end()) yield newsOf(lines);
  }
}
