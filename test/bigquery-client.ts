// An independent client of a BigQuery emulator, for tests: plain requests, and rows as they come.
interface Answer {
  readonly status?: { readonly errorResult?: { readonly message?: string } };
  readonly rows?: readonly { readonly f: readonly { readonly v: unknown }[] }[];
  readonly [more: string]: unknown;
}

export class BigQueryTestClient {
  private count = 0;

  /** `url` is that of its REST interface. */
  constructor(
    private readonly url: string,
    private readonly project: string,
  ) {}

  async ask(method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await fetch(`${this.url}/bigquery/v2/projects/${this.project}${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === "" ? {} : (JSON.parse(text) as Answer);
  }

  async makeDataset(name: string): Promise<void> {
    await this.ask("POST", "/datasets", { datasetReference: { projectId: this.project, datasetId: name } });
  }

  /** The cells of all rows; times are microseconds, bytes base64. */
  async query(sql: string): Promise<unknown[][]> {
    this.count += 1;
    const jobId = `test_${process.pid}_${Date.now()}_${this.count}`;
    const jobReference = { projectId: this.project, jobId };
    const { status } = await this.ask("POST", "/jobs", {
      jobReference,
      configuration: { query: { query: sql, useLegacySql: false } },
    });
    if (status?.errorResult !== undefined) throw new Error(status.errorResult.message);
    const answer = await this.ask("GET", `/queries/${jobId}?maxResults=100000&formatOptions.useInt64Timestamp=true`);
    return (answer.rows ?? []).map(({ f }) => f.map(({ v }) => v));
  }

  /** The names of all tables of a dataset. */
  async tables(dataset: string): Promise<string[]> {
    const { tables = [] } = (await this.ask("GET", `/datasets/${dataset}/tables?maxResults=1000`)) as {
      tables?: { tableReference: { tableId: string } }[];
    };
    return tables.map(({ tableReference }) => tableReference.tableId).sort();
  }
}
