// A bucket of S3 as a store of files. Versions are ETags; what an object is made of is told by the checksum in its
// metadata.
import { createReadStream } from "node:fs";
import type * as S3 from "@aws-sdk/client-s3";
import type * as LibStorage from "@aws-sdk/lib-storage";
import { RunError } from "../../schema/errors";
import { type BucketStore } from "../lake/bucket-place";
import { stagingDirectory } from "../lake/spool";
import { again, changedSincePlan, type Content, type Stored } from "../lake/store";
import { explain, nameOf, statusOf } from "./failures";

/** Larger files are sent in parts, two at a time. */
const ONE_REQUEST_BYTES = 64 * 1024 * 1024;
const PART_BYTES = 16 * 1024 * 1024;
const SETTINGS = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"];
const CREDENTIALS = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/** What it would print is told by errors, in sentences. */
const silent = { trace: () => {}, debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

type Sdk = typeof S3;
let client: { readonly settings: string; readonly s3: S3.S3Client } | null = null;

/** One client for the settings that there are: it holds connections and credentials. */
function clientFor(sdk: Sdk, environment: NodeJS.ProcessEnv): S3.S3Client {
  const settings = JSON.stringify([...SETTINGS, ...CREDENTIALS].map((name) => environment[name]));
  if (client?.settings === settings) return client.s3;
  // On Node 20 it tells every user, in nine lines, that a version to come will want a newer one.
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
  const endpoint = environment["AWS_ENDPOINT_URL_S3"] ?? environment["AWS_ENDPOINT_URL"];
  const region = environment["AWS_REGION"] ?? environment["AWS_DEFAULT_REGION"];
  const s3 = new sdk.S3Client({
    // What is tried again is decided in one place, for all stores.
    maxAttempts: 1,
    logger: silent,
    ...(region === undefined ? {} : { region }),
    // Servers that are not Amazon's have no name of its own for each bucket.
    ...(endpoint === undefined ? {} : { endpoint, forcePathStyle: true }),
  });
  client = { settings, s3 };
  return s3;
}

type Condition = { readonly IfNoneMatch: "*" } | { readonly IfMatch: string };

export class S3Store implements BucketStore {
  readonly staging = stagingDirectory();

  private constructor(
    private readonly bucket: string,
    private readonly sdk: Sdk,
    private readonly s3: S3.S3Client,
  ) {}

  static open(bucket: string, environment: NodeJS.ProcessEnv = process.env): S3Store {
    // A notice that a later version will need a newer Node: package.json says which version is used here.
    process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- loaded when the first bucket is used, and not before
    const sdk = require("@aws-sdk/client-s3") as Sdk;
    return new S3Store(bucket, sdk, clientFor(sdk, environment));
  }

  shown(name: string): string {
    return `s3://${this.bucket}/${name}`;
  }

  async create(name: string, content: Content): Promise<"created" | "exists"> {
    return (await this.upload(name, content, { IfNoneMatch: "*" })) ? "created" : "exists";
  }

  async replace(name: string, content: Content, version: string): Promise<"replaced" | "changed"> {
    return (await this.upload(name, content, { IfMatch: version })) ? "replaced" : "changed";
  }

  /** False when what is there is not as the condition says. */
  private upload(name: string, content: Content, condition: Condition): Promise<boolean> {
    return this.asked(name, async () => {
      const params = { Bucket: this.bucket, Key: name, Metadata: { sha256: content.sha256 }, ...condition };
      try {
        const Body = createReadStream(content.path, { highWaterMark: 256 * 1024 });
        if (content.bytes <= ONE_REQUEST_BYTES) {
          // What arrives is compared with the checksum before it is there.
          const ChecksumSHA256 = Buffer.from(content.sha256, "hex").toString("base64");
          const put = { ...params, Body, ContentLength: content.bytes, ChecksumSHA256 };
          await this.s3.send(new this.sdk.PutObjectCommand(put));
          return true;
        }
        // eslint-disable-next-line @typescript-eslint/no-require-imports -- as above
        const { Upload } = require("@aws-sdk/lib-storage") as typeof LibStorage;
        await new Upload({ client: this.s3, params: { ...params, Body }, partSize: PART_BYTES, queueSize: 2 }).done();
        return true;
      } catch (error) {
        const name_ = nameOf(error);
        if (statusOf(error) === 412 || name_ === "PreconditionFailed") return false;
        // Deleted since it was looked at.
        if ("IfMatch" in condition && statusOf(error) === 404 && name_ !== "NoSuchBucket") return false;
        throw error;
      }
    });
  }

  stat(name: string): Promise<Stored | null> {
    return this.asked(name, async () => (await this.head(name))?.stored ?? null);
  }

  sha256({ name, version }: Stored): Promise<string | null> {
    return this.asked(name, async () => {
      const head = await this.head(name);
      return head?.stored.version === version ? head.sha256 : null;
    });
  }

  private async head(name: string): Promise<{ stored: Stored; sha256: string | null } | null> {
    try {
      const found = await this.s3.send(new this.sdk.HeadObjectCommand({ Bucket: this.bucket, Key: name }));
      const { ContentLength = 0, ETag = "", LastModified, Metadata = {} } = found;
      const stored = { name, bytes: ContentLength, version: ETag, time: LastModified?.getTime() ?? 0 };
      return { stored, sha256: Metadata["sha256"] ?? null };
    } catch (error) {
      // Without a body it does not say whether it is the bucket that is missing; listing does.
      if (statusOf(error) === 404) return null;
      throw error;
    }
  }

  async *list(prefix: string): AsyncGenerator<Stored> {
    let ContinuationToken: string | undefined;
    do {
      const query = {
        Bucket: this.bucket,
        Prefix: prefix,
        ...(ContinuationToken === undefined ? {} : { ContinuationToken }),
      };
      const page = await this.asked(prefix, () => this.s3.send(new this.sdk.ListObjectsV2Command(query)));
      for (const { Key = "", Size = 0, ETag = "", LastModified } of page.Contents ?? [])
        yield { name: Key, bytes: Size, version: ETag, time: LastModified?.getTime() ?? 0 };
      ContinuationToken = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (ContinuationToken !== undefined);
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
        const query = { Bucket: this.bucket, Key: name, Range: `bytes=${from}-${to - 1}`, IfMatch: version };
        const options = signal === undefined ? {} : { abortSignal: signal };
        try {
          const { Body } = await this.s3.send(new this.sdk.GetObjectCommand(query), options);
          const bytes = (await Body?.transformToByteArray()) ?? new Uint8Array();
          if (bytes.length === to - from) return bytes;
          throw new RunError(`${this.shown(name)} gave ${bytes.length} bytes of the ${to - from} from ${from} on`);
        } catch (error) {
          signal?.throwIfAborted();
          if ([404, 412, 416].includes(statusOf(error) ?? 0)) throw changedSincePlan(this.shown(name));
          throw error;
        }
      },
      signal,
    );
  }

  async remove(name: string): Promise<void> {
    await this.asked(name, () => this.s3.send(new this.sdk.DeleteObjectCommand({ Bucket: this.bucket, Key: name })));
  }

  /** S3 tells what is allowed only to who tries it. */
  async missingRights(): Promise<readonly string[]> {
    return [];
  }

  private asked<T>(name: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return again(
      () =>
        work().catch((error: unknown) => {
          signal?.throwIfAborted();
          throw explain(error, this.bucket, this.shown(name));
        }),
      signal,
    );
  }
}
