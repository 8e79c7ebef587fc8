// What a client does with each of the servers that are started by name: it makes a place, puts numbers there, and reads them.
import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { adapt, managedwriter } from "@google-cloud/bigquery-storage";
import { Storage } from "@google-cloud/storage";
import { credentials } from "@grpc/grpc-js";
import { Client as SearchClient } from "@opensearch-project/opensearch";
import { Client as CassandraClient, type types } from "cassandra-driver";
import { type RunningService } from "../infra/services/services";

export interface Use {
  readonly create: (service: RunningService) => Promise<void>;
  readonly add: (service: RunningService, number: number) => Promise<void>;
  /** All numbers, in order. */
  readonly read: (service: RunningService) => Promise<number[]>;
  /** Whether what was answered is there after a kill. */
  readonly keeps: boolean;
}

const inOrder = (numbers: readonly number[]): number[] => [...numbers].sort((a, b) => a - b);
const lineOf = (number: number): string => `${JSON.stringify({ number })}\n`;
const numberIn = (line: string): number => (JSON.parse(line) as { number: number }).number;

const bucketIn = ({ environment }: RunningService) =>
  new Storage({ apiEndpoint: environment["STORAGE_EMULATOR_HOST"], projectId: "test" }).bucket("lake");

const gcs: Use = {
  create: async (service) => {
    await bucketIn(service).create();
  },
  add: (service, number) =>
    bucketIn(service).file(`in/a=${number}/n.ndjson`).save(lineOf(number), { resumable: false }),
  read: async (service) => {
    const [files] = await bucketIn(service).getFiles({ prefix: "in/" });
    const texts = await Promise.all(files.map(async (file) => String(await file.download())));
    return inOrder(texts.map(numberIn));
  },
  keeps: true,
};

/** A client that is told what the environment says, but for the secret of one that is not let in. */
export const s3Client = (
  { environment }: RunningService,
  secretAccessKey = environment["AWS_SECRET_ACCESS_KEY"] ?? "",
): S3Client =>
  new S3Client({
    endpoint: environment["AWS_ENDPOINT_URL_S3"],
    region: environment["AWS_REGION"],
    credentials: { accessKeyId: environment["AWS_ACCESS_KEY_ID"] ?? "", secretAccessKey },
  });

/** A number as an object that is not written over. */
export const putNumber = (number: number): PutObjectCommand =>
  new PutObjectCommand({ Bucket: "lake", Key: `in/a=${number}/n.ndjson`, Body: lineOf(number), IfNoneMatch: "*" });

const s3: Use = {
  create: async (service) => {
    await s3Client(service).send(new CreateBucketCommand({ Bucket: "lake" }));
  },
  add: async (service, number) => {
    await s3Client(service).send(putNumber(number));
  },
  read: async (service) => {
    const client = s3Client(service);
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: "lake", Prefix: "in/" }));
    const objects = Contents.map(({ Key }) => client.send(new GetObjectCommand({ Bucket: "lake", Key })));
    const texts = (await Promise.all(objects)).map(async ({ Body }) => (await Body?.transformToString()) ?? "");
    return inOrder((await Promise.all(texts)).map(numberIn));
  },
  keeps: false,
};

interface BigQueryAnswer {
  readonly rows?: readonly { readonly f: readonly { readonly v: unknown }[] }[];
  readonly status?: { readonly state?: string; readonly errorResult?: unknown };
}

/** BigQuery's own REST interface: a POST and its answer. */
async function bigQuery({ environment }: RunningService, path: string, body: object): Promise<BigQueryAnswer> {
  const url = `${environment["BIGQUERY_EMULATOR_HOST"]}/bigquery/v2/projects/test/${path}`;
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  const answer = (await response.json()) as BigQueryAnswer;
  if (!response.ok) throw new Error(JSON.stringify(answer));
  return answer;
}

/** The rows of a query's answer, as lists of what BigQuery writes for each value. */
export async function askBigQuery(service: RunningService, query: string): Promise<unknown[][]> {
  const { rows = [] } = await bigQuery(service, "queries", { query, useLegacySql: false });
  return rows.map(({ f }) => f.map(({ v }) => v));
}

const numberSchema = { fields: [{ name: "number", type: "INT64" }] };
const tableOf = (tableId: string) => ({ projectId: "test", datasetId: "numbers", tableId });

/** Has BigQuery load files of lines into a table, which is made. */
export async function loadIntoBigQuery(service: RunningService, uri: string, table: string): Promise<void> {
  const load = { sourceUris: [uri], sourceFormat: "NEWLINE_DELIMITED_JSON", destinationTable: tableOf(table) };
  const job = { configuration: { load: { ...load, schema: numberSchema } } };
  const { status } = await bigQuery(service, "jobs", job);
  if (status?.state !== "DONE" || status.errorResult !== undefined) throw new Error(JSON.stringify(status));
}

/** Appends by the Storage Write API. */
export async function appendToBigQuery(service: RunningService, table: string, number: number): Promise<void> {
  const [apiEndpoint = "", port] = service.environment["BIGQUERY_STORAGE_EMULATOR_HOST"]?.split(":") ?? [];
  const sslCreds = credentials.createInsecure();
  const client = new managedwriter.WriterClient({ projectId: "test", apiEndpoint, port: Number(port), sslCreds });
  const connection = await client.createStreamConnection({
    streamId: managedwriter.DefaultStream,
    destinationTable: `projects/test/datasets/numbers/tables/${table}`,
  });
  const schema = adapt.convertBigQuerySchemaToStorageTableSchema(numberSchema);
  const protoDescriptor = adapt.convertStorageSchemaToProto2Descriptor(schema, "row");
  const writer = new managedwriter.JSONWriter({ connection, protoDescriptor });
  try {
    await writer.appendRows([{ number }]).getResult();
  } finally {
    writer.close();
    client.close();
  }
}

const bigquery: Use = {
  create: async (service) => {
    await bigQuery(service, "datasets", { datasetReference: { datasetId: "numbers" } });
    await bigQuery(service, "datasets/numbers/tables", { tableReference: tableOf("small"), schema: numberSchema });
  },
  add: async (service, number) => {
    await askBigQuery(service, `insert into numbers.small (number) values (${number})`);
  },
  read: async (service) => inOrder((await askBigQuery(service, "select number from numbers.small")).map(Number)),
  keeps: true,
};

async function cql(service: RunningService, query: string): Promise<types.ResultSet> {
  const contactPoints = [new URL(service.url).host];
  const client = new CassandraClient({ contactPoints, localDataCenter: "datacenter1" });
  try {
    return await client.execute(query);
  } finally {
    await client.shutdown();
  }
}

const cassandra: Use = {
  create: async (service) => {
    const alone = "{'class': 'SimpleStrategy', 'replication_factor': 1}";
    await cql(service, `create keyspace numbers with replication = ${alone}`);
    await cql(service, "create table numbers.small (number int primary key)");
  },
  add: async (service, number) => {
    await cql(service, `insert into numbers.small (number) values (${number})`);
  },
  read: async (service) => {
    const { rows } = await cql(service, "select number from numbers.small");
    return inOrder(rows.map((row) => Number(row.get("number"))));
  },
  keeps: true,
};

const searchClient = ({ url }: RunningService): SearchClient =>
  new SearchClient({ node: `http://${new URL(url).host}` });

const search: Use = {
  create: async (service) => {
    await searchClient(service).indices.create({ index: "numbers" });
  },
  add: async (service, number) => {
    const operations = [{ index: { _index: "numbers", _id: String(number) } }, { number }];
    const { body } = await searchClient(service).bulk({ refresh: true, body: operations });
    if (body.errors) throw new Error(JSON.stringify(body.items));
  },
  read: async (service) => {
    const { body } = await searchClient(service).search({ index: "numbers" });
    return inOrder(body.hits.hits.map(({ _source }) => (_source as { number: number }).number));
  },
  keeps: true,
};

export const uses = { gcs, s3, bigquery, cassandra, opensearch: search, elasticsearch: search };
