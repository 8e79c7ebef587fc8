// Rows staged by a load job: a Parquet file on this machine's disk, which is uploaded or goes through Cloud Storage.
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type * as CloudStorage from "@google-cloud/storage";
import { type Row } from "../../schema/table";
import { type Rejected } from "../connector";
import { openParquet } from "../lake/parquet";
import { type RowFile, type WrittenFile } from "../lake/row-file";
import { BigQueryFailure, failureOf, mayPass } from "./failures";
import { nameOfWork, type Job } from "./jobs";
import { type SinkSettings } from "./settings";
import { createStaging, dropStaging, sift, stagedFields, stagingName, type Ground, type Staging } from "./staging";
import { type StagedForm } from "./staged-row";

/** Whoever reads it is BigQuery alone: the rows stay in the order in which they came. */
const openFile = openParquet({ compression: "zstd", sorted: false });
/** Larger files are sent in pieces, each of which can be sent again. */
const RESUMABLE = 8 * 1024 * 1024;
const PRECONDITION_FAILED = 412;

export class StagedFile implements Staging {
  private directory: string | null = null;
  private file: RowFile | null = null;
  private written: WrittenFile | null = null;
  private table: string | null = null;

  constructor(
    private readonly ground: Ground,
    private readonly settings: SinkSettings,
    private readonly output: string,
    private readonly form: StagedForm,
    /** What makes the rows of this batch other ones than equal rows of another. */
    private readonly mark: readonly unknown[],
  ) {}

  get content(): string {
    return this.written?.sha256 ?? "";
  }

  async add(rows: readonly Row[]): Promise<readonly Rejected[]> {
    const { taken, rejected } = sift(this.form, rows);
    if (taken.length > 0) {
      this.directory ??= await mkdtemp(path.join(os.tmpdir(), "beamline-bigquery-"));
      this.file ??= await openFile(path.join(this.directory, "rows.parquet"), this.form.table);
      await this.file.write(taken.map(({ staged }) => staged));
    }
    return rejected;
  }

  async finish(): Promise<string | null> {
    if (this.file === null) return null;
    this.written ??= await this.file.finish();
    const { written } = this;
    const name = stagingName(this.output, nameOfWork("", [...this.mark, this.output, written.sha256]).slice(-24));
    const made = await createStaging(this.ground, name, this.form);
    this.table = name;
    // A table that was dropped and made again is empty: the load job of the first one did nothing for it.
    const work = nameOfWork("load", [this.settings.project, this.settings.dataset, name, made]);
    const object = await this.putAside(name, written);
    await this.ground.jobs.once(work, object === null ? this.uploading(name, written) : this.loading(name, object));
    await this.removeFile();
    return name;
  }

  async drop(): Promise<void> {
    await this.file?.abort();
    await this.removeFile();
    if (this.table === null) return;
    await dropStaging(this.ground, this.table);
    const { staging } = this.settings;
    if (staging !== null)
      await bucketOf(this.settings, staging.bucket)
        .file(objectOf(staging.prefix, this.table))
        .delete({ ignoreNotFound: true })
        .catch(() => undefined);
  }

  private async removeFile(): Promise<void> {
    if (this.directory !== null) await rm(this.directory, { recursive: true, force: true }).catch(() => undefined);
  }

  private uploading(table: string, { path: file, bytes }: WrittenFile): (jobId: string) => Promise<Job> {
    const { rest, jobs } = this.ground;
    return (jobId) => rest.upload<Job>(file, bytes, jobs.described(jobId, { load: this.load(table) }));
  }

  private loading(table: string, uri: string): (jobId: string) => Promise<Job> {
    return this.ground.jobs.begin({ load: { ...this.load(table), sourceUris: [uri] } });
  }

  private load(table: string): Readonly<Record<string, unknown>> {
    const { project, dataset } = this.settings;
    return {
      sourceFormat: "PARQUET",
      writeDisposition: "WRITE_TRUNCATE",
      createDisposition: "CREATE_NEVER",
      destinationTable: { projectId: project, datasetId: dataset, tableId: table },
      schema: { fields: stagedFields(this.form) },
    };
  }

  /** Puts the file into the bucket, where there is one. An object of that name is there only when it has the same rows. */
  private async putAside(table: string, { path: file, bytes }: WrittenFile): Promise<string | null> {
    const { staging } = this.settings;
    if (staging === null) return null;
    const destination = objectOf(staging.prefix, table);
    try {
      await bucketOf(this.settings, staging.bucket).upload(file, {
        destination,
        resumable: bytes > RESUMABLE,
        preconditionOpts: { ifGenerationMatch: 0 },
      });
    } catch (error) {
      const failure = failureOf(error);
      if (failure.status !== PRECONDITION_FAILED) throw ofBucket(failure, staging.bucket);
    }
    return `gs://${staging.bucket}/${destination}`;
  }
}

const objectOf = (prefix: string, table: string): string => `${prefix === "" ? "" : `${prefix}/`}${table}.parquet`;

const clients = new Map<string, CloudStorage.Storage>();

function bucketOf({ project, giveUp, bucketEmulator }: SinkSettings, bucket: string): CloudStorage.Bucket {
  const key = JSON.stringify([project, giveUp, bucketEmulator]);
  let client = clients.get(key);
  if (client === undefined) {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- a quarter of a second that only those pay who use it
    const { Storage } = require("@google-cloud/storage") as typeof CloudStorage;
    client = new Storage({
      projectId: project,
      retryOptions: { totalTimeout: Math.ceil(giveUp / 1000) },
      ...(bucketEmulator === null ? {} : { apiEndpoint: bucketEmulator }),
    });
    // The client itself takes STORAGE_EMULATOR_HOST for the whole address, path and all.
    if (bucketEmulator !== null) client.baseUrl = `${bucketEmulator}/storage/v1`;
    clients.set(key, client);
  }
  return client.bucket(bucket);
}

function ofBucket(failure: BigQueryFailure, bucket: string): Error {
  const { status, reason, message } = failure;
  return new BigQueryFailure(`gs://${bucket}: ${message}`, status, mayPass(failure) ? "backendError" : reason);
}
