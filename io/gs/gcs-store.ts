// A bucket of Google Cloud Storage as a store of files. Versions are generations; what an object is made of is told by
// the checksum in its metadata.
import type * as GoogleStorage from "@google-cloud/storage";
import { RunError } from "../../schema/errors";
import { type BucketStore } from "../lake/bucket-place";
import { again, changedSincePlan, type Content, type Stored } from "../lake/store";
import { stagingDirectory } from "../lake/spool";
import { explain, statusOf } from "./failures";

const PAGE = 1000;
const RIGHTS = ["storage.objects.create", "storage.objects.delete", "storage.objects.get", "storage.objects.list"];

let client: { readonly settings: string; readonly storage: GoogleStorage.Storage } | null = null;

/** One client for the settings that there are: it holds a token. */
function clientFor(environment: NodeJS.ProcessEnv): GoogleStorage.Storage {
  const emulator = environment["STORAGE_EMULATOR_HOST"] ?? "";
  const settings = JSON.stringify([emulator, environment["GOOGLE_APPLICATION_CREDENTIALS"]]);
  if (client?.settings === settings) return client.storage;
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- loaded when the first bucket is used, and not before
  const { Storage } = require("@google-cloud/storage") as typeof GoogleStorage;
  const apiEndpoint = emulator === "" || /^https?:/.test(emulator) ? emulator : `http://${emulator}`;
  const storage = new Storage({
    // What is tried again is decided in one place, for all stores.
    retryOptions: { autoRetry: false },
    ...(apiEndpoint === "" ? {} : { apiEndpoint, projectId: "emulated" }),
  });
  // The client itself takes STORAGE_EMULATOR_HOST for the whole address, path and all.
  if (apiEndpoint !== "") storage.baseUrl = `${apiEndpoint.replace(/\/$/, "")}/storage/v1`;
  client = { settings, storage };
  return storage;
}

export class GcsStore implements BucketStore {
  readonly staging = stagingDirectory();

  private constructor(
    private readonly name: string,
    private readonly bucket: GoogleStorage.Bucket,
    private readonly isEmulated: boolean,
  ) {}

  static open(bucket: string, environment: NodeJS.ProcessEnv = process.env): GcsStore {
    const storage = clientFor(environment);
    return new GcsStore(bucket, storage.bucket(bucket), (environment["STORAGE_EMULATOR_HOST"] ?? "") !== "");
  }

  shown(name: string): string {
    return `gs://${this.name}/${name}`;
  }

  async create(name: string, content: Content): Promise<"created" | "exists"> {
    return (await this.upload(name, content, 0)) ? "created" : "exists";
  }

  async replace(name: string, content: Content, version: string): Promise<"replaced" | "changed"> {
    return (await this.upload(name, content, version)) ? "replaced" : "changed";
  }

  /** False when the object is of another generation; 0 means that there must be none. */
  private upload(name: string, content: Content, ifGenerationMatch: string | 0): Promise<boolean> {
    return this.asked(name, async () => {
      try {
        await this.bucket.upload(content.path, {
          destination: name,
          // In one request: what breaks is sent again as a whole, with the same condition.
          resumable: false,
          validation: "crc32c",
          preconditionOpts: { ifGenerationMatch },
          metadata: { contentType: typeOf(name), metadata: { sha256: content.sha256 } },
        });
        return true;
      } catch (error) {
        if (statusOf(error) === 412) return false;
        throw error;
      }
    });
  }

  stat(name: string): Promise<Stored | null> {
    return this.asked(name, async () => {
      try {
        const [metadata] = await this.bucket.file(name).getMetadata();
        return storedOf(name, metadata);
      } catch (error) {
        // It does not say whether it is the bucket that is missing; listing does.
        if (statusOf(error) === 404) return null;
        throw error;
      }
    });
  }

  sha256({ name, version }: Stored): Promise<string | null> {
    return this.asked(name, async () => {
      const [metadata] = await this.bucket.file(name).getMetadata();
      const said = metadata.metadata?.["sha256"];
      return String(metadata.generation) === version && typeof said === "string" ? said : null;
    });
  }

  async *list(prefix: string): AsyncGenerator<Stored> {
    let pageToken: string | undefined;
    do {
      const query = {
        prefix,
        autoPaginate: false,
        maxResults: PAGE,
        ...(pageToken === undefined ? {} : { pageToken }),
      };
      const [files, next] = await this.asked(prefix, () => this.bucket.getFiles(query));
      for (const { name, metadata } of files) yield storedOf(name, metadata);
      pageToken = (next as { pageToken?: string } | null)?.pageToken;
    } while (pageToken !== undefined);
  }

  async read(
    { name, version }: Pick<Stored, "name" | "version">,
    from: number,
    to: number,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    if (to <= from) return new Uint8Array();
    return this.asked(
      name,
      async () => {
        const options = { start: from, end: to - 1, decompress: false, validation: false } as const;
        // fake-gcs-server has only the newest generation, and does not look which one is asked for.
        const file = this.bucket.file(name, this.isEmulated ? {} : { generation: version });
        const [bytes] = await file.download(options).catch((error: unknown) => {
          // Gone, or shorter than it was.
          if ([404, 416].includes(statusOf(error) ?? 0)) throw changedSincePlan(this.shown(name));
          throw error;
        });
        if (this.isEmulated && (await this.stat(name))?.version !== version) throw changedSincePlan(this.shown(name));
        if (bytes.length !== to - from)
          throw new RunError(`${this.shown(name)} gave ${bytes.length} bytes of the ${to - from} from ${from} on`);
        return bytes;
      },
      signal,
    );
  }

  async remove(name: string): Promise<void> {
    await this.asked(name, () => this.bucket.file(name).delete({ ignoreNotFound: true }));
  }

  async missingRights(): Promise<readonly string[]> {
    // An emulator lets everybody do everything, and does not know the question.
    if (this.isEmulated) return [];
    const [rights] = await this.asked("", () => this.bucket.iam.testPermissions(RIGHTS));
    return RIGHTS.filter((right) => rights[right] !== true);
  }

  private asked<T>(name: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return again(
      () =>
        work().catch((error: unknown) => {
          throw explain(error, this.name, this.shown(name));
        }),
      signal,
    );
  }
}

function storedOf(name: string, { size, generation, updated }: GoogleStorage.FileMetadata): Stored {
  return { name, bytes: Number(size), version: String(generation), time: Date.parse(updated ?? "") || 0 };
}

function typeOf(name: string): string {
  if (name.endsWith(".json")) return "application/json";
  if (name.endsWith(".ndjson")) return "application/x-ndjson";
  if (name.endsWith(".csv")) return "text/csv; charset=utf-8";
  return "application/octet-stream";
}
