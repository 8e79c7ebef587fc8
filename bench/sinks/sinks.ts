// The sinks that take part, the server each needs, and its addresses.
import { type ServiceName } from "../../infra/services/server-kind";
import { type RunningService } from "../../infra/services/services";

export const sinkNames = [
  "sqlite",
  "postgres",
  "kafka",
  "file",
  "parquet",
  "gs",
  "s3",
  "bigquery",
  "opensearch",
  "cassandra",
] as const;
export type SinkName = (typeof sinkNames)[number];

export interface BenchedSink {
  readonly services: readonly ServiceName[];
  /** A write costs too much for the usual number of rows. */
  readonly rows?: number;
  /** What each of the two writes to; `name` is new for each run, and so is the directory. */
  readonly addresses: (place: PlaceOfRun) => Promise<{ readonly beamline: string; readonly plain: string }>;
}

export interface PlaceOfRun {
  readonly name: string;
  readonly directory: string;
  readonly services: Partial<Record<ServiceName, RunningService>>;
}

async function bucketInGcs(name: string, { gcs }: PlaceOfRun["services"]): Promise<string> {
  Object.assign(process.env, gcs?.environment);
  const { Storage } = await import("@google-cloud/storage");
  const storage = new Storage({ apiEndpoint: gcs?.url ?? "", projectId: "bench" });
  storage.baseUrl = `${gcs?.url}/storage/v1`;
  const bucket = name.replaceAll("_", "-");
  await storage.createBucket(bucket);
  return bucket;
}

export const sinks: Record<SinkName, BenchedSink> = {
  sqlite: {
    services: [],
    addresses: async ({ directory }) => ({ beamline: `sqlite:${directory}/out.db`, plain: `${directory}/out.db` }),
  },
  postgres: {
    services: ["postgres"],
    async addresses({ name, services }) {
      const url = services.postgres?.url ?? "";
      const { Client } = await import("pg");
      const client = new Client({ connectionString: url });
      await client.connect();
      await client.query(`CREATE DATABASE ${name}`);
      await client.end();
      const made = new URL(url);
      made.pathname = `/${name}`;
      return { beamline: made.toString(), plain: made.toString() };
    },
  },
  kafka: {
    services: ["kafka"],
    addresses: async ({ name, services }) => ({
      beamline: `${services.kafka?.url}/${name}?create=true&partitions=4`,
      plain: `${services.kafka?.url}/${name}`,
    }),
  },
  parquet: {
    services: [],
    addresses: async ({ directory }) => ({
      beamline: `file:${directory}/out/?format=parquet`,
      plain: `${directory}/out`,
    }),
  },
  gs: {
    services: ["gcs"],
    async addresses({ name, services }) {
      const bucket = await bucketInGcs(name, services);
      return { beamline: `gs://${bucket}/`, plain: bucket };
    },
  },
  s3: {
    services: ["s3"],
    async addresses({ name, services }) {
      Object.assign(process.env, services.s3?.environment);
      const { CreateBucketCommand, S3Client } = await import("@aws-sdk/client-s3");
      const bucket = name.replaceAll("_", "-");
      await new S3Client({ forcePathStyle: true }).send(new CreateBucketCommand({ Bucket: bucket }));
      return { beamline: `s3://${bucket}/`, plain: bucket };
    },
  },
  bigquery: {
    // DuckDB, which stands for it, does nothing else at its speed: a tenth shows the same.
    services: ["gcs", "bigquery"],
    rows: 100_000,
    async addresses({ name, services }) {
      await bucketInGcs(name, services);
      Object.assign(process.env, services.bigquery?.environment);
      await fetch(`${process.env["BIGQUERY_EMULATOR_HOST"]}/bigquery/v2/projects/bench/datasets`, {
        ...{ method: "POST", headers: { "content-type": "application/json" } },
        body: JSON.stringify({ datasetReference: { projectId: "bench", datasetId: name } }),
      });
      const bucket = name.replaceAll("_", "-");
      return { beamline: `bigquery://bench/${name}?staging=gs://${bucket}/staging&via=load`, plain: name };
    },
  },
  opensearch: {
    services: ["opensearch"],
    rows: 100_000,
    async addresses({ services }) {
      const url = `http://127.0.0.1:${services.opensearch?.port}`;
      // Both write to an index of the same name, one after the other. What a cluster has for life may stay, but not the batch.
      await fetch(`${url}/candles`, { method: "DELETE" });
      await fetch(`${url}/beamline-batches/_delete_by_query?refresh=true&ignore_unavailable=true`, {
        ...{ method: "POST", headers: { "content-type": "application/json" }, body: '{"query":{"match_all":{}}}' },
      });
      return { beamline: `opensearch://127.0.0.1:${services.opensearch?.port}`, plain: url };
    },
  },
  cassandra: {
    services: ["cassandra"],
    rows: 100_000,
    addresses: async ({ name, services }) => ({
      beamline: `${services.cassandra?.url}/${name}`,
      plain: `${services.cassandra?.url}/${name}`,
    }),
  },
  file: {
    services: [],
    addresses: async ({ directory }) => ({ beamline: `file:${directory}/out/`, plain: `${directory}/out` }),
  },
};
