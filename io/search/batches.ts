// The record of batches: which batch the rows of a job's outputs stand at, and which process writes for them. There is no
// transaction with the rows: it is written behind them, and only when nobody has changed it since it was read.
import { createHash } from "node:crypto";
import { RunError, UnavailableError } from "../../schema/errors";
import { isWritten } from "../batch-record";
import { type Batch } from "../connector";
import { type Cluster } from "./cluster";
import { saidIn } from "./failures";
import { BATCHES } from "./index-names";

interface Document {
  readonly job: string;
  readonly output: string;
  readonly index: string;
  /** The last batch of which all rows are there; empty when there is none yet. */
  readonly batch: string;
  readonly number: number | null;
  readonly epoch: number | null;
  readonly rows: number;
}

/** A document, and what it takes to change just this version of it. */
interface Versioned {
  readonly document: Document;
  readonly version: { readonly if_seq_no: string; readonly if_primary_term: string };
}

/** Two processes that change it in turns without end do not exist. */
const ATTEMPTS = 20;

const TEXT = { type: "keyword" };
const NUMBER = { type: "long" };
const MAPPINGS = {
  dynamic: "strict",
  properties: { job: TEXT, output: TEXT, index: TEXT, batch: TEXT, number: NUMBER, epoch: NUMBER, rows: NUMBER },
};

/** What is on record for one output of a batch. */
export class BatchRecord {
  private readonly id: string;
  private last: Versioned | null = null;

  constructor(
    private readonly cluster: Cluster,
    private readonly batch: Batch,
    private readonly output: string,
    private readonly index: string,
  ) {
    this.id = createHash("sha256")
      .update(JSON.stringify([batch.job, output, index]))
      .digest("hex");
  }

  /** Whether the batch is there already; a RunError when a younger process has taken the job over. */
  async isWritten(): Promise<boolean> {
    if (this.batch.turn === null) return false;
    this.last = await this.read("look");
    return isWritten(this.batch, this.recorded());
  }

  /** A RunError when a younger process has taken the job over since: its rows must not be overwritten. */
  async confirm(): Promise<void> {
    if (this.batch.turn === null) return;
    this.last = await this.read("act");
    isWritten(this.batch, this.recorded());
  }

  /** Takes the output over for this process: an older one can put no batch on record any more. */
  async claim(): Promise<void> {
    const { turn } = this.batch;
    if (turn === null) return;
    await this.change((there) => {
      if (there?.epoch === turn.epoch) return null;
      return { ...this.fresh(), ...there, epoch: turn.epoch };
    });
  }

  /** Puts the batch on record. No clock in it: the same run leaves the same record. */
  async finish(rows: number): Promise<void> {
    const { id, turn } = this.batch;
    // A run on its own takes no job over: what keeps older processes out stays.
    await this.change((there) => ({
      ...this.fresh(),
      ...{ batch: id, rows, number: turn?.number ?? null, epoch: turn?.epoch ?? there?.epoch ?? null },
    }));
  }

  private fresh(): Document {
    const { job } = this.batch;
    return { job, output: this.output, index: this.index, batch: "", number: null, epoch: null, rows: 0 };
  }

  private recorded() {
    return this.last === null ? undefined : this.last.document;
  }

  /** Writes what `next` makes of what is there; null: nothing is to be written. */
  private async change(next: (there: Document | undefined) => Document | null): Promise<void> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      this.last = await this.read("act");
      isWritten(this.batch, this.recorded());
      const document = next(this.recorded());
      if (document === null || (await this.write(document))) return;
    }
    throw new UnavailableError(
      `${this.cluster.shown}: the record of ${this.batch.job} in ${BATCHES} is changed by others all the time; try again`,
    );
  }

  private async read(how: "look" | "act"): Promise<Versioned | null> {
    interface Got {
      readonly found?: boolean;
      readonly _source?: Document;
      readonly _seq_no?: number;
      readonly _primary_term?: number;
    }
    const { status, body } = await this.cluster[how]<Got>({
      method: "GET",
      path: `/${BATCHES}/_doc/${this.id}`,
      taken: [404],
    });
    if (status === 404 || body._source === undefined) return null;
    const version = { if_seq_no: String(body._seq_no), if_primary_term: String(body._primary_term) };
    return { document: body._source, version };
  }

  private async write(document: Document): Promise<boolean> {
    if (this.last === null) await ensureBatches(this.cluster);
    const { status } = await this.cluster.act({
      method: "PUT",
      path: this.last === null ? `/${BATCHES}/_create/${this.id}` : `/${BATCHES}/_doc/${this.id}`,
      ...(this.last === null ? {} : { query: this.last.version }),
      body: document,
      taken: [409],
    });
    return status !== 409;
  }
}

async function ensureBatches(cluster: Cluster): Promise<void> {
  const there = await cluster.act({ method: "HEAD", path: `/${BATCHES}` });
  if (there.status === 200) return;
  const { status, body } = await cluster.act<unknown>({
    method: "PUT",
    path: `/${BATCHES}`,
    body: { settings: { number_of_shards: 1, auto_expand_replicas: "0-1" }, mappings: MAPPINGS },
    taken: [400],
  });
  const { type, reason } = saidIn(body);
  if (status === 400 && type !== "resource_already_exists_exception")
    throw new RunError(`${cluster.shown} does not make the index ${BATCHES}: ${reason}`);
}
