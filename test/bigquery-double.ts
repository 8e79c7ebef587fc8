// A stand-in for what BigQuery does and its emulator does not: a job's name is given once, jobs take their time, answers get
// lost, quotas end, permissions are missing. It runs no SQL. Of a commit it understands the record of batches, and of a load
// job that its table has the rows now.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo } from "node:net";

/** What it answers instead of doing what is asked. */
export interface Refusal {
  readonly status: number;
  readonly reason: string;
  readonly message: string;
}

/** The jobs that a fault is about: loads, commits of batches, and all other statements. */
export type JobKind = "load" | "commit" | "statement";

export interface Fault {
  /** By method and path, such as `POST /jobs`. */
  readonly on: RegExp;
  /** Only requests that begin a job of this kind. */
  readonly kind?: JobKind;
  /** How often; else for ever. */
  readonly times?: number;
  readonly does:
    | { readonly refuse: Refusal }
    /** Takes the request, does it, and is not heard of. */
    | { readonly loseAnswer: true }
    /** The job is begun and fails. */
    | { readonly failJob: { readonly reason: string; readonly message: string } };
}

interface DoubleJob {
  readonly id: string;
  readonly kind: JobKind;
  readonly sql: string;
  state: "RUNNING" | "DONE";
  error: { readonly reason: string; readonly message: string } | null;
  rows: readonly (readonly (string | null)[])[];
}

interface DoubleTable {
  readonly creationTime: string;
  readonly schema: unknown;
  /** How many load jobs, or streams, filled it. */
  loads: number;
}

export interface DoubleRecord {
  batch: string;
  epoch: number | null;
}

export class BigQueryDouble {
  readonly jobs = new Map<string, DoubleJob>();
  readonly tables = new Map<string, DoubleTable>();
  /** By job and output. */
  readonly records = new Map<string, DoubleRecord>();
  readonly requests: string[] = [];
  /** Commits that were really done: scripts that changed something. */
  commits = 0;
  hasDataset = true;
  /** Jobs of this kind go on until they are let go. */
  holds: JobKind | null = null;
  private readonly uploads: string[] = [];
  private faults: { readonly fault: Fault; left: number }[] = [];
  private clock = 1_000;

  private constructor(private readonly server: Server) {}

  static async start(): Promise<BigQueryDouble> {
    const server = createServer();
    const double = new BigQueryDouble(server);
    server.on("request", (request, response) => void double.answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return double;
  }

  /** Rows came into a table by the other interface. */
  fill(name: string): void {
    const table = this.tables.get(name);
    if (table !== undefined) table.loads += 1;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  fault(fault: Fault): void {
    this.faults.push({ fault, left: fault.times ?? Number.POSITIVE_INFINITY });
  }

  /** Lets jobs that were held back be done. */
  release(): void {
    this.holds = null;
    for (const job of this.jobs.values()) if (job.state === "RUNNING") this.finish(job);
  }

  jobsOf(kind: JobKind): readonly DoubleJob[] {
    return [...this.jobs.values()].filter((job) => job.kind === kind);
  }

  /** Staging tables that nobody has taken away. */
  stagings(): string[] {
    return [...this.tables.keys()].filter((name) => name.startsWith("beamline_staging_"));
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const text = Buffer.concat(chunks).toString("latin1");
    const url = new URL(request.url ?? "/", this.url);
    const path = url.pathname.replace(/^(\/upload)?\/bigquery\/v2\/projects\/[^/]+/, "");
    // A file is announced by the job that takes it, which begins when the file is there.
    if (url.searchParams.has("uploadType")) {
      this.uploads.push(text);
      const location = `${this.url}/upload/bigquery/v2/projects/p/jobs?upload=${this.uploads.length - 1}`;
      response.writeHead(200, { location }).end();
      return;
    }
    const upload = url.searchParams.get("upload");
    const asked = upload === null ? `${request.method} ${path}` : "POST /jobs";
    this.requests.push(asked);
    const body = bodyOf(upload === null ? text : (this.uploads[Number(upload)] ?? ""));
    const kind = asked === "POST /jobs" ? kindOf(body) : null;
    const fault = this.faultFor(asked, kind);
    if (fault !== null && "refuse" in fault) return refuse(response, fault.refuse);
    const [status, answer] = this.act(asked, url.searchParams, body, fault);
    if (fault !== null && "loseAnswer" in fault) {
      request.socket.destroy();
      return;
    }
    if (status >= 400) return refuse(response, answer as Refusal);
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(answer));
  }

  private faultFor(asked: string, kind: JobKind | null): Fault["does"] | null {
    const found = this.faults.find(
      ({ fault, left }) => left > 0 && fault.on.test(asked) && (fault.kind === undefined || fault.kind === kind),
    );
    if (found === undefined) return null;
    found.left -= 1;
    return found.fault.does;
  }

  private act(asked: string, query: URLSearchParams, body: Body, fault: Fault["does"] | null): [number, unknown] {
    const [, table = ""] = /^\w+ \/datasets\/\w+\/tables\/([^/]+)$/.exec(asked) ?? [];
    const [, jobId = ""] = /^GET \/(?:jobs|queries)\/([\w-]+)$/.exec(asked) ?? [];
    const job = this.jobs.get(jobId);
    if (asked === "POST /jobs") return this.begin(body, fault);
    if (asked.startsWith("GET /jobs/")) return job === undefined ? notFound(`job ${jobId}`) : [200, shown(job)];
    if (asked.startsWith("GET /queries/")) {
      if (job === undefined) return notFound(`job ${jobId}`);
      const from = Number(query.get("startIndex") ?? 0);
      const rows = job.rows.slice(from, from + Number(query.get("maxResults") ?? 1000));
      return [200, { totalRows: String(job.rows.length), rows: rows.map((row) => ({ f: row.map((v) => ({ v })) })) }];
    }
    if (/^GET \/datasets\/\w+$/.test(asked))
      return this.hasDataset ? [200, { location: "EU" }] : notFound("Dataset p:d");
    if (asked === "POST /datasets") {
      if (this.hasDataset) return [409, { status: 409, reason: "duplicate", message: "Already Exists: Dataset p:d" }];
      this.hasDataset = true;
      return [200, {}];
    }
    if (/^POST \/datasets\/\w+\/tables$/.test(asked)) {
      const name = body.tableReference?.tableId ?? "";
      if (this.tables.has(name))
        return [409, { status: 409, reason: "duplicate", message: `Already Exists: Table p:d.${name}` }];
      this.clock += 1;
      const made = { creationTime: String(this.clock), schema: body.schema, loads: 0 };
      this.tables.set(name, made);
      return [200, { type: "TABLE", ...made }];
    }
    if (asked.startsWith("GET ") && table !== "") {
      const found = this.tables.get(table);
      return found === undefined ? notFound(`Table p:d.${table}`) : [200, { type: "TABLE", ...found }];
    }
    if (asked.startsWith("DELETE ") && table !== "")
      return this.tables.delete(table) ? [204, {}] : notFound(`Table p:d.${table}`);
    throw new Error(`The double does not know ${asked}`);
  }

  private begin(body: Body, fault: Fault["does"] | null): [number, unknown] {
    const id = body.jobReference?.jobId ?? `unnamed_${this.jobs.size}`;
    const sql = body.configuration?.query?.query ?? "";
    if (body.configuration?.dryRun === true) return [200, { jobReference: {}, status: { state: "DONE" } }];
    if (this.jobs.has(id))
      return [409, { status: 409, reason: "duplicate", message: `Already Exists: Job p:EU.${id}` }];
    const kind = kindOf(body);
    const job: DoubleJob = { id, kind, sql, state: "RUNNING", error: null, rows: [] };
    this.jobs.set(id, job);
    this.loaded.set(id, body.configuration?.load?.destinationTable?.tableId ?? "");
    if (fault !== null && "failJob" in fault) job.error = fault.failJob;
    if (this.holds !== kind) this.finish(job);
    return [200, shown(job)];
  }

  private readonly loaded = new Map<string, string>();

  private finish(job: DoubleJob): void {
    job.state = "DONE";
    if (job.error !== null) return;
    if (job.kind === "load") {
      const table = this.tables.get(this.loaded.get(job.id) ?? "");
      if (table === undefined) job.error = { reason: "notFound", message: "Not found: Table" };
      else table.loads += 1;
    } else if (job.kind === "commit") this.commit(job);
    else if (job.sql.startsWith("SELECT `output`"))
      job.rows = [...this.records].map(([name, { batch, epoch }]) => [name, batch, epoch === null ? null : `${epoch}`]);
    else for (const [, output = ""] of job.sql.matchAll(/'([^']*)' AS o/g)) this.first(output);
  }

  private first(output: string): DoubleRecord {
    const record = this.records.get(output) ?? { batch: "", epoch: null };
    this.records.set(output, record);
    return record;
  }

  /** Does what the statement on the record of batches says, where it holds; a staging table must be there and filled. */
  private commit(job: DoubleJob): void {
    for (const [, name = ""] of job.sql.matchAll(/\.(beamline_staging_\w+)`/g)) {
      if ((this.tables.get(name)?.loads ?? 0) === 0) {
        job.error = { reason: "notFound", message: `Not found: Table p:d.${name}` };
        return;
      }
    }
    let changed = false;
    for (const line of job.sql.split("\n").filter((one) => one.startsWith("UPDATE "))) {
      const [, batch = ""] = /SET `batch` = '([^']*)'/.exec(line) ?? [];
      const [, epoch] = /`epoch` = (\d+)/.exec(line) ?? [];
      const [, output = ""] = /AND `output` = '([^']*)'/.exec(line) ?? [];
      const record = this.first(output);
      const isDue = epoch === undefined || (record.batch !== batch && (record.epoch ?? 0) <= Number(epoch));
      if (!isDue) continue;
      record.batch = batch;
      if (epoch !== undefined) record.epoch = Number(epoch);
      changed = true;
    }
    if (changed) this.commits += 1;
  }
}

interface Body {
  readonly jobReference?: { readonly jobId?: string };
  readonly tableReference?: { readonly tableId?: string };
  readonly schema?: unknown;
  readonly configuration?: {
    readonly dryRun?: boolean;
    readonly query?: { readonly query?: string };
    readonly load?: { readonly destinationTable?: { readonly tableId?: string } };
  };
}

const bodyOf = (text: string): Body => (text === "" ? {} : (JSON.parse(text) as Body));

function kindOf({ configuration }: Body): JobKind {
  if (configuration?.load !== undefined) return "load";
  return configuration?.query?.query?.startsWith("BEGIN TRANSACTION") === true ? "commit" : "statement";
}

const notFound = (what: string): [number, Refusal] => [
  404,
  { status: 404, reason: "notFound", message: `Not found: ${what}` },
];

function shown({ id, state, error }: DoubleJob): unknown {
  const failed = state === "DONE" && error !== null ? { errorResult: error } : {};
  return { jobReference: { jobId: id, location: "EU" }, status: { state, ...failed } };
}

function refuse(response: ServerResponse, { status, reason, message }: Refusal): void {
  const error = { code: status, message, errors: [{ domain: "global", reason, message }] };
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify({ error }));
}
