// One batch into one cluster. There is no transaction: rows are visible as they are written, the last ones with the commit,
// and a batch that is run again writes the same documents again.
import { RunError } from "../../schema/errors";
import { type Row } from "../../schema/table";
import { type Batch, type OpenTarget, type Output, type Rejected, type WriteResult } from "../connector";
import { BatchRecord } from "./batches";
import { sendBulk } from "./bulk";
import { Cluster } from "./cluster";
import { documentsOf, type Document } from "./document";
import { sendGrown } from "./grown";
import { indicesOf } from "./index-names";
import { checkOutputs, compareIndex, prepareIndex, refresh, type Found } from "./indices";
import { Lanes } from "./lanes";
import { checkLifecycle } from "./lifecycle";
import { type SearchSettings } from "./options";
import { GivenIds } from "./taken-out";
import { changedOf } from "./unchanged";

/** Rows of a request; where they are large, it is several. */
const PART = 2_500;

/** An output while its batch is open. */
interface OpenOutput {
  readonly output: Output;
  readonly index: string;
  readonly found: Found;
  readonly record: BatchRecord;
  /** Its rows of this batch are there already. */
  isWritten: boolean;
  readonly documentOf: (row: Row) => Document;
  /** Null: nothing is taken out. */
  readonly given: GivenIds | null;
  begun: Promise<void> | null;
  rows: number;
}

export class SearchTarget implements OpenTarget {
  readonly rowsTogether = 10_000;
  private isOpen = true;
  /** What failed: a batch of which a part is missing must not be committed. */
  private failure: Error | null = null;
  private readonly underWay = new Set<Promise<unknown>>();

  private constructor(
    private readonly cluster: Cluster,
    private readonly stop: AbortController,
    private readonly outputs: ReadonlyMap<string, OpenOutput>,
    private readonly batch: Batch,
  ) {}

  /** Looks at what is there and changes nothing. */
  static async open(settings: SearchSettings, outputs: readonly Output[], batch: Batch): Promise<SearchTarget> {
    checkOutputs(settings, outputs);
    const indices = indicesOf(settings, outputs);
    const stop = new AbortController();
    const cluster = new Cluster(settings, stop.signal);
    await checkLifecycle(cluster);
    const opened = new Map<string, OpenOutput>();
    for (const output of outputs) {
      const index = indices.get(output.name) ?? "";
      const record = new BatchRecord(cluster, batch, output.name, index);
      opened.set(output.name, {
        output,
        index,
        record,
        found: await compareIndex(cluster, index, output),
        isWritten: await record.isWritten(),
        documentOf: documentsOf(output.table, index, settings),
        given: GivenIds.isNeeded(output.table, batch) ? new GivenIds(output.table, batch) : null,
        begun: null,
        rows: 0,
      });
    }
    return new SearchTarget(cluster, stop, opened, batch);
  }

  async write(name: string, rows: readonly Row[]): Promise<WriteResult> {
    const open = this.outputs.get(name);
    if (open === undefined) throw new Error(`output ${name} was not opened`);
    return this.watched(async () => {
      if (open.isWritten) return { written: rows.length };
      const rejected = await this.send(open, rows);
      const written = rows.length - rejected.length;
      open.rows += written;
      return rejected.length === 0 ? { written } : { written, rejected };
    });
  }

  /** Sends rows, part after part: the next one is made while others are on their way. */
  private async send(open: OpenOutput, rows: readonly Row[]): Promise<Rejected[]> {
    const { cluster } = this;
    const lanes = new Lanes<readonly Rejected[]>(cluster.settings.concurrency);
    const sent = new Set<string>();
    try {
      for (let at = 0; at < rows.length; at += PART) {
        // Of two rows with one key the last counts, and the order among requests does not matter any more.
        const byId = new Map<string, Document>();
        for (const row of rows.slice(at, at + PART)) {
          const document = open.documentOf(row);
          byId.set(document.id, document);
          open.given?.add(document.id);
        }
        if (at === 0) await this.ready(open);
        // Nor may it matter among parts.
        if ([...byId.keys()].some((id) => sent.has(id))) await lanes.empty();
        for (const id of byId.keys()) sent.add(id);
        await lanes.free();
        lanes.start(() => this.sendPart(open.output, [...byId.values()]));
      }
    } catch (error) {
      // A row that cannot be a document: what is on its way must not go on behind this.
      await lanes.empty().catch(() => undefined);
      throw error;
    }
    return (await lanes.empty()).flat();
  }

  private async sendPart({ table, growsBy }: Output, documents: readonly Document[]): Promise<readonly Rejected[]> {
    const changed = await changedOf(this.cluster, table, documents);
    return growsBy === undefined ? sendBulk(this.cluster, changed) : sendGrown(this.cluster, growsBy, changed);
  }

  async commit(): Promise<void> {
    await this.watched(async () => {
      for (const open of this.outputs.values()) if (!open.isWritten) await this.finish(open);
    });
    this.isOpen = false;
  }

  async abort(): Promise<void> {
    this.isOpen = false;
    this.stop.abort();
    // A request that is still on its way must not meet those of the next batch.
    await Promise.allSettled(this.underWay);
  }

  private async finish(open: OpenOutput): Promise<void> {
    const { cluster } = this;
    await this.begin(open);
    // Parts come many in a second: the server makes them findable in its own time.
    if (this.batch.isPart === true) return;
    if (open.given !== null) {
      await refresh(cluster, open.index);
      await open.given.takeOutOthers(cluster, open.index);
    }
    if (cluster.settings.refresh) await refresh(cluster, open.index);
    await open.record.finish(open.rows);
  }

  /** Behind the first rows that can be written: for those that cannot be, nothing is made. */
  private async ready(open: OpenOutput): Promise<void> {
    // Looked at before each write: without a transaction an older process is kept out no better.
    if (open.begun !== null) await open.record.confirm();
    await this.begin(open);
  }

  private begin(open: OpenOutput): Promise<void> {
    const { cluster } = this;
    return (open.begun ??= (async () => {
      await open.record.claim();
      await prepareIndex(cluster, open.index, open.output, open.found);
    })());
  }

  private async watched<T>(action: () => Promise<T>): Promise<T> {
    if (this.failure !== null) throw this.failure;
    if (!this.isOpen) throw new RunError(`${this.cluster.shown}: the batch is over`);
    const work = action();
    this.underWay.add(work);
    try {
      return await work;
    } catch (error) {
      this.failure ??= error as Error;
      throw error;
    } finally {
      this.underWay.delete(work);
    }
  }
}
