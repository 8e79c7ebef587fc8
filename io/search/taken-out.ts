// Takes out what a batch says is there no more: earlier letters of ranges that are read again, and rows of a stretch of time
// that is given whole. What the batch gave stays.
import { type Range } from "../../schema/record";
import { dayFrom } from "../../schema/time-text";
import { columnOf, type Table } from "../../schema/table";
import { type Batch, type Stretch } from "../connector";
import { sendBulk } from "./bulk";
import { type Cluster } from "./cluster";
import { deletion } from "./document";

/** Found together, and taken out together. */
const TOGETHER = 2_000;
/** Servers take about a thousand conditions in one query. */
const RANGES_TOGETHER = 100;
const KEEP = "2m";

type Query = Readonly<Record<string, unknown>>;

/** The ids that a batch gave to an output, where it takes out others. */
export class GivenIds {
  private readonly ids = new Set<string>();

  constructor(
    private readonly table: Table,
    private readonly batch: Batch,
  ) {}

  /** Whether this batch takes anything out of this table at all. */
  static isNeeded({ mode, recomputedBy }: Table, { ranges, covers }: Batch): boolean {
    return (mode === "by-origin" && ranges.length > 0) || (recomputedBy !== undefined && covers !== undefined);
  }

  add(id: string): void {
    this.ids.add(id);
  }

  /** Takes out what lies there and was not given. Everything must be findable. Answers how many it were. */
  async takeOutOthers(cluster: Cluster, index: string): Promise<number> {
    const { table, batch } = this;
    let count = 0;
    for (const query of queriesOf(table, batch)) {
      for await (const found of search(cluster, index, query)) {
        const others = found.filter(({ _id }) => !this.ids.has(_id));
        await sendBulk(
          cluster,
          others.map(({ _index, _id }) => deletion(_index, _id)),
        );
        count += others.length;
      }
    }
    return count;
  }
}

function queriesOf(table: Table, { job, ranges, covers }: Batch): Query[] {
  const queries: Query[] = [];
  if (table.mode === "by-origin") {
    for (let at = 0; at < ranges.length; at += RANGES_TOGETHER) {
      const should = ranges.slice(at, at + RANGES_TOGETHER).map((range) => ({ bool: { filter: ofRange(range) } }));
      queries.push({ bool: { filter: [{ term: { job } }, { bool: { should } }] } });
    }
  }
  if (table.recomputedBy !== undefined && covers !== undefined)
    queries.push({ bool: { filter: ofStretch(table, table.recomputedBy, covers) } });
  return queries;
}

function ofRange({ source, from, to, times }: Range): Query[] {
  return [
    { term: { source } },
    { range: { position: { gte: from, ...(to === null ? {} : { lt: to }) } } },
    ...(times === undefined ? [] : limits("timestamp", times, (time) => ({ format: "epoch_millis", time }))),
  ];
}

function ofStretch(table: Table, by: string, stretch: Stretch): Query[] {
  const isDate = columnOf(table, by).type.kind === "date";
  const found = limits(by, stretch, (time) =>
    isDate ? { format: "strict_date", time: dayFrom(time) } : { format: "epoch_millis", time },
  );
  return found.length > 0 ? found : [{ exists: { field: by } }];
}

function limits(
  field: string,
  { since, until }: Stretch,
  formOf: (time: number) => { readonly format: string; readonly time: number | string },
): Query[] {
  const limit = (sign: "gte" | "lt", at: number | null): Query[] => {
    if (at === null) return [];
    const { format, time } = formOf(at);
    return [{ range: { [field]: { [sign]: time, format } } }];
  };
  return [...limit("gte", since), ...limit("lt", until)];
}

interface Hit {
  readonly _index: string;
  readonly _id: string;
}

interface Page {
  readonly _scroll_id: string;
  readonly hits: { readonly hits: readonly Hit[] };
}

/** All documents that a query finds, some at a time, as they were when it was asked. */
async function* search(cluster: Cluster, index: string, query: Query): AsyncGenerator<readonly Hit[]> {
  const first = await cluster.act<Page>({
    method: "POST",
    path: `/${encodeURIComponent(index)}/_search`,
    query: { scroll: KEEP },
    body: { size: TOGETHER, _source: false, sort: ["_doc"], query },
    taken: [404],
  });
  // No index, no documents.
  if (first.status === 404) return;
  let page = first.body;
  try {
    while (page.hits.hits.length > 0) {
      yield page.hits.hits;
      const body = { scroll: KEEP, scroll_id: page._scroll_id };
      page = (await cluster.act<Page>({ method: "POST", path: "/_search/scroll", body })).body;
    }
  } finally {
    const body = { scroll_id: [page._scroll_id] };
    // The server forgets it by itself, a little later.
    await cluster.act({ method: "DELETE", path: "/_search/scroll", body }).catch(() => undefined);
  }
}
