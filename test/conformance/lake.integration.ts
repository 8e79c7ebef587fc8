// Parquet on disk, in Google Cloud Storage and in S3: the same files everywhere, read back by DuckDB.
import { existsSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { CreateBucketCommand, GetObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { Storage } from "@google-cloud/storage";
import { freePort } from "../../infra/services/ports";
import { restartService, startServices, stopServices } from "../../infra/services/services";
import { type Table } from "../../schema/table";
import { startFaultProxy, type FaultProxy } from "../fault-proxy";
import { startBucketFront, type BucketFront } from "./bucket-front";
import { endLittleRooms, littleRoom } from "./little-room";
import { parquetRows } from "./parquet-reader";
import { conforms, type Place } from "./suite";

const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-conformance-"));
const environment = { ...process.env };
let count = 0;
/** Where objects are put for DuckDB. */
const copies = (): string => path.join(directory, `read-${(count += 1)}`);
const isOf = (table: Table) => (name: string) => name.includes(`/${table.name}/`) && name.endsWith(".parquet");

const onDisk = (address: string, table: Table): string[] => {
  const root = /^file:(.*?)\/?\?/.exec(address)?.[1] ?? "";
  if (!existsSync(root)) return [];
  return readdirSync(root, { recursive: true, encoding: "utf8" })
    .map((name) => path.join(root, name))
    .filter(isOf(table))
    .sort();
};

conforms({
  sink: "file format=parquet",
  against: "Parquet on disk",
  records: false,
  without: { server: "there is none" },
  async stop() {
    await endLittleRooms();
  },
  start: async () => ({
    address: async (name) => `file:${path.join(directory, name)}/?format=parquet`,
    rows: async (address, table) => parquetRows(onDisk(address, table), table),
    wrong: [
      {
        what: "path",
        async address(name) {
          writeFileSync(path.join(directory, name), "a file");
          return `file:${path.join(directory, name)}/below/?format=parquet`;
        },
        says: /not a directory|is a file/,
      },
      {
        what: "format",
        address: async (name) => `file:${path.join(directory, name)}/?format=avro`,
        says: /avro/,
      },
    ],
    refuses: null,
    async full() {
      const room = await littleRoom(100);
      return { address: `file:${room.directory}/?format=parquet`, says: /disk is full/, free: room.free };
    },
  }),
});

const bucketOf = (name: string): string => `test-${name.replaceAll("_", "-")}`;
const prefixOf = (address: string): { bucket: string; prefix: string } => {
  const [, bucket = "", prefix = ""] = /^\w+:\/\/([^/]+)\/(.*)$/.exec(address) ?? [];
  return { bucket, prefix };
};

{
  let proxy: FaultProxy | undefined;
  let front: BucketFront | undefined;
  const error = { code: 403, message: "The bucket is full", errors: [{ reason: "quotaExceeded", message: "full" }] };
  const noRoom = { status: 403, type: "application/json", body: JSON.stringify({ error }) };
  conforms({
    sink: "gs",
    against: "fake-gcs-server",
    records: false,
    async stop() {
      process.env = { ...environment };
      await proxy?.close();
      await front?.close();
      await stopServices(["gcs"], { directory, data: true });
    },
    async start(): Promise<Place> {
      const { gcs } = await startServices(["gcs"], { directory, ports: { gcs: await freePort() } });
      const before = await startBucketFront(gcs.port, noRoom);
      const between = await startFaultProxy({ port: before.port });
      [front, proxy] = [before, between];
      // No address names the server: the connector's way is through the proxy, the test's own is not.
      process.env["STORAGE_EMULATOR_HOST"] = `http://127.0.0.1:${between.port}`;
      const storage = new Storage({ apiEndpoint: gcs.url, projectId: "test" });
      storage.baseUrl = `${gcs.url}/storage/v1`;
      const address = async (name: string): Promise<string> => {
        await storage.createBucket(bucketOf(name));
        return `gs://${bucketOf(name)}/below/`;
      };
      return {
        address,
        async rows(address, table) {
          const { bucket, prefix } = prefixOf(address);
          const [files] = await storage.bucket(bucket).getFiles({ prefix });
          const to = copies();
          await mkdir(to);
          const names: string[] = [];
          for (const file of files
            .filter(({ name }) => isOf(table)(`/${name}`))
            .sort((a, b) => (a.name < b.name ? -1 : 1))) {
            names.push(path.join(to, `${names.length}.parquet`));
            await file.download({ destination: names.at(-1) ?? "" });
          }
          return parquetRows(names, table);
        },
        server: {
          proxy: between,
          through: (address) => address,
          async restart() {
            await restartService("gcs", { directory });
          },
        },
        wrong: [
          { what: "bucket", address: async () => "gs://no-such-bucket-test/below/", says: /no-such-bucket-test/ },
          {
            what: "credentials",
            address: async () => "gs://any/below/",
            environment: { STORAGE_EMULATOR_HOST: undefined, GOOGLE_APPLICATION_CREDENTIALS: "/no/such/key.json" },
            says: /GOOGLE_APPLICATION_CREDENTIALS|\/no\/such\/key\.json/,
          },
        ],
        refuses: null,
        async full() {
          const set = (hasRoom: boolean) => async () => void (before.hasRoom = hasRoom);
          return { address: await address("full"), says: /quota/, fill: set(false), free: set(true) };
        },
      };
    },
  });
}

{
  let proxy: FaultProxy | undefined;
  let front: BucketFront | undefined;
  const body = `<?xml version="1.0"?><Error><Code>QuotaExceeded</Code><Message>The bucket is full</Message></Error>`;
  const noRoom = { status: 507, type: "application/xml", body };
  conforms({
    sink: "s3",
    against: "moto",
    records: false,
    without: { restart: "moto keeps everything in memory" },
    async stop() {
      process.env = { ...environment };
      await proxy?.close();
      await front?.close();
      await stopServices(["s3"], { directory, data: true });
      rmSync(directory, { recursive: true, force: true });
    },
    async start(): Promise<Place> {
      const { s3 } = await startServices(["s3"], { directory, ports: { s3: await freePort() } });
      const before = await startBucketFront(s3.port, noRoom);
      const between = await startFaultProxy({ port: before.port });
      [front, proxy] = [before, between];
      Object.assign(process.env, s3.environment);
      const { AWS_ACCESS_KEY_ID: accessKeyId = "", AWS_SECRET_ACCESS_KEY: secretAccessKey = "" } = s3.environment;
      const credentials = { accessKeyId, secretAccessKey };
      const client = new S3Client({ endpoint: s3.url, forcePathStyle: true, region: "us-east-1", credentials });
      process.env["AWS_ENDPOINT_URL_S3"] = `http://127.0.0.1:${between.port}`;
      const address = async (name: string): Promise<string> => {
        await client.send(new CreateBucketCommand({ Bucket: bucketOf(name) }));
        return `s3://${bucketOf(name)}/below/`;
      };
      return {
        address,
        async rows(address, table) {
          const { bucket: Bucket, prefix: Prefix } = prefixOf(address);
          const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, Prefix }));
          const keys = Contents.map(({ Key = "" }) => Key)
            .filter((key) => isOf(table)(`/${key}`))
            .sort();
          const to = copies();
          await mkdir(to);
          const names: string[] = [];
          for (const Key of keys) {
            const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
            names.push(path.join(to, `${names.length}.parquet`));
            await writeFile(names.at(-1) ?? "", (await Body?.transformToByteArray()) ?? "");
          }
          return parquetRows(names, table);
        },
        server: { proxy: between, through: (address) => address, restart: async () => undefined },
        wrong: [
          { what: "bucket", address: async () => "s3://no-such-bucket-test/below/", says: /no-such-bucket-test/ },
          {
            what: "credentials",
            address,
            environment: { AWS_SECRET_ACCESS_KEY: "wrong" },
            says: /credentials|signature|refused/i,
          },
        ],
        refuses: null,
        async full() {
          const set = (hasRoom: boolean) => async () => void (before.hasRoom = hasRoom);
          return { address: await address("full"), says: /quota/, fill: set(false), free: set(true) };
        },
      };
    },
  });
}
