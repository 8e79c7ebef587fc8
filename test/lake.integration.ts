// Files in buckets, against servers that stand in for them: fake-gcs-server for Google Cloud Storage, moto for S3.
// What they do otherwise than the real ones: infra/services/gcs/gcs.ts, infra/services/s3/s3.ts.
import { spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { type AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { Storage } from "@google-cloud/storage";
import { z } from "zod";
import { freePort } from "../infra/services/ports";
import { startServices, stopServices } from "../infra/services/services";
import { parseAddress } from "../io/address";
import { EVERYTHING, type Batch, type Finding, type OpenTarget, type Output } from "../io/connector";
import { GcsStore } from "../io/gs/gcs-store";
import { type BucketStore } from "../io/lake/bucket-place";
import { Spool } from "../io/lake/spool";
import { eachOf, type Content, type Stored } from "../io/lake/store";
import { sinkOf, sourceOf } from "../io/registry";
import { S3Store } from "../io/s3/s3-store";
import { RunError, UnavailableError, UsageError } from "../schema/errors";
import { type Range, type SourceRecord } from "../schema/record";
import { tableOf, timestamp, type Row } from "../schema/table";
import { startFaultProxy, whileCutting, type FaultProxy } from "./fault-proxy";

const directory = mkdtempSync(path.join(os.tmpdir(), "beamline-lake-"));
const BUCKET = "lake-test";
const schemes = ["gs", "s3"] as const;
type Scheme = (typeof schemes)[number];

let environment: Record<string, string>;
let options: Parameters<typeof startServices>[1];
const before = { ...process.env };

beforeAll(async () => {
  options = { directory };
  const ports = { gcs: await freePort(), s3: await freePort() };
  const { gcs, s3 } = await startServices(["gcs", "s3"], { ...options, ports });
  environment = { ...gcs.environment, ...s3.environment };
  Object.assign(process.env, environment);
  const storage = new Storage({ apiEndpoint: environment["STORAGE_EMULATOR_HOST"] ?? "", projectId: "test" });
  storage.baseUrl = `${environment["STORAGE_EMULATOR_HOST"]}/storage/v1`;
  await storage.createBucket(BUCKET);
  await new S3Client({ forcePathStyle: true }).send(new CreateBucketCommand({ Bucket: BUCKET }));
});

afterAll(async () => {
  await stopServices(["gcs", "s3"], { ...options, data: true });
  for (const name of Object.keys(environment)) delete process.env[name];
  Object.assign(process.env, before);
  rmSync(directory, { recursive: true, force: true });
});

const storeOf = (scheme: Scheme, bucket = BUCKET): BucketStore =>
  scheme === "gs" ? GcsStore.open(bucket) : S3Store.open(bucket);

const candleModel = z.object({
  symbol: z.string().nullable(),
  at: timestamp(),
  n: z.int(),
  text: z.string().nullable(),
});
const candles: Output = { name: "candles", table: tableOf("candles", candleModel, { key: ["symbol", "at"] }) };
const DAY = 24 * 3_600_000;
const candle = (day: number, n: number, symbol: string | null = "BTC", text: string | null = null): Row => ({
  ...{ symbol, n, text },
  at: Date.UTC(2026, 0, 1) + day * DAY + n * 60_000,
});
const batchOf = (plan: string, more: Partial<Batch> = {}): Batch => ({
  ...{ job: "j", pipeline: "p", id: `${plan}-id`, plan, ranges: [], replays: [], turn: null },
  ...more,
});

const open = (uri: string, batch: Batch, outputs: readonly Output[] = [candles]): Promise<OpenTarget> => {
  const address = parseAddress(uri);
  return sinkOf(address).open(address, outputs, batch);
};

async function write(uri: string, batch: Batch, rows: readonly Row[], output = candles): Promise<void> {
  const target = await open(uri, batch, [output]);
  try {
    for (let at = 0; at < rows.length; at += 2000) await target.write(output.name, rows.slice(at, at + 2000));
    await target.commit();
  } catch (error) {
    await target.abort();
    throw error;
  }
}

const check = async (uri: string): Promise<readonly Finding[]> => {
  const address = parseAddress(uri);
  return (await sinkOf(address).check?.(address, [candles])) ?? [];
};

async function objects(scheme: Scheme, prefix: string): Promise<Stored[]> {
  const found: Stored[] = [];
  for await (const one of storeOf(scheme).list(prefix)) found.push(one);
  return found;
}
const names = async (scheme: Scheme, prefix: string): Promise<string[]> =>
  (await objects(scheme, prefix)).map(({ name }) => name.slice(prefix.length)).sort();
const dataNames = async (scheme: Scheme, prefix: string): Promise<string[]> =>
  (await names(scheme, prefix)).filter((name) => !name.includes("_manifests/"));

describe.each(schemes)("a bucket of %s as a store", (scheme) => {
  let spool: Spool;
  beforeAll(async () => {
    spool = await Spool.make(directory);
  });
  afterAll(() => spool.remove());

  const content = (text: string): Promise<Content> => spool.text(text);
  /** More than goes in one request. */
  async function large(first: string): Promise<Content & { bytesOf: Buffer }> {
    const bytesOf = Buffer.concat([Buffer.from(first), randomBytes(20 * 1024 * 1024)]);
    const { path: file } = await content(first);
    writeFileSync(file, bytesOf);
    return { path: file, bytes: bytesOf.length, sha256: createHash("sha256").update(bytesOf).digest("hex"), bytesOf };
  }

  it.each(["small", "large"])("makes a %s file once, and replaces just the one that is meant", async (size) => {
    const store = storeOf(scheme);
    const name = `store/${size} ü=%2F+.bin`;
    const [one, two, three] = await Promise.all(
      ["one", "two", "three"].map((text) => (size === "small" ? content(text) : large(text))),
    );
    if (one === undefined || two === undefined || three === undefined) throw new Error("three files");
    expect(await store.stat(name)).toBeNull();
    expect(await store.create(name, one)).toBe("created");
    expect(await store.create(name, two)).toBe("exists");
    const first = await store.stat(name);
    expect(first).toMatchObject({ name, bytes: one.bytes });
    expect(await store.sha256(first as Stored)).toBe(one.sha256);
    expect(await store.replace(name, two, first?.version ?? "")).toBe("replaced");
    expect(await store.replace(name, three, first?.version ?? "")).toBe("changed");
    const second = (await store.stat(name)) as Stored;
    expect(await store.sha256(second)).toBe(two.sha256);
    expect(Buffer.from(await store.read(second, 0, 3)).toString()).toBe("two");
    expect(Buffer.from(await store.read(second, 1, 2)).toString()).toBe("w");
    expect((await store.read(second, 5, 5)).length).toBe(0);
    await expect(store.read(first as Stored, 0, 3)).rejects.toThrow(/was changed or deleted since the run was planned/);
    expect(await objects(scheme, "store/sm")).toEqual(size === "small" ? [second] : expect.anything());
    await store.remove(name);
    await store.remove(name);
    expect(await store.stat(name)).toBeNull();
    expect(await store.replace(name, three, second.version)).toBe("changed");
    await expect(store.read(second, 0, 3)).rejects.toThrow(/changed or deleted/);
  });

  it("lists more than a page", async () => {
    const store = storeOf(scheme);
    const one = await content("x");
    const numbers = Array.from({ length: 1005 }, (_, n) => n);
    await eachOf(numbers, 16, async (n) => void (await store.create(`many/${n}`, one)));
    expect(await objects(scheme, "many/")).toHaveLength(1005);
    expect(await objects(scheme, "many/100")).toHaveLength(6);
  });
});

it("S3 takes a file in parts, and only where none is", async () => {
  const spool = await Spool.make(directory);
  const store = storeOf("s3");
  const parts = (first: string) => {
    const bytes = Buffer.concat([Buffer.from(first), Buffer.alloc(70 * 1024 * 1024, 7)]);
    const file = spool.file();
    writeFileSync(file, bytes);
    return { path: file, bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
  };
  const one = parts("one");
  expect(await store.create("parts", one)).toBe("created");
  expect(await store.create("parts", parts("two"))).toBe("exists");
  const stored = (await store.stat("parts")) as Stored;
  expect([stored.bytes, await store.sha256(stored)]).toEqual([one.bytes, one.sha256]);
  await store.remove("parts");
  await spool.remove();
});

describe.each(schemes)("batches in a bucket of %s", (scheme) => {
  const at = (name: string, query = ""): string => `${scheme}://${BUCKET}/${name}/${query}`;

  it("are Parquet files and a manifest, and come back as they were", async () => {
    const rows = Array.from({ length: 3_000 }, (_, n) =>
      candle(n % 3, n % 60, `S${n % 7}`, n % 2 === 0 ? `ü ${n}` : null),
    );
    await write(at("round", "?partition=day(at)&rows=600"), batchOf("p1"), rows);
    expect(await names(scheme, "round/")).toEqual([
      "candles/_manifests/p1.json",
      ...["2026-01-01", "2026-01-02", "2026-01-03"].flatMap((day) =>
        [0, 1].map((n) => `candles/day=${day}/p1-0000${n}.parquet`),
      ),
    ]);
    const expected = rows.map((row) => JSON.stringify(rowRead(row))).sort();
    // By manifests, by a pattern, and a file by its name.
    for (const uri of [at("round/candles"), `${at("round/candles")}day=*/*.parquet`, `${at("round")}**`])
      expect((await valuesAt(uri)).sort()).toEqual(expected);
    expect(await valuesAt(`${at("round/candles")}day=2026-01-01/p1-00001.parquet`)).toHaveLength(400);
  });

  it("count by their manifests where a folder is read: what is not complete is not there", async () => {
    await write(at("whole", "?partition=day(at)"), batchOf("p1"), [candle(0, 1), candle(1, 1)]);
    const store = storeOf(scheme);
    const spool = await Spool.make(directory);
    await store.create("whole/candles/day=2026-01-01/p2-00000.parquet", await spool.text("half a batch"));
    await spool.remove();
    expect(await valuesAt(at("whole/candles"))).toHaveLength(2);
    await expect(valuesAt(`${at("whole/candles")}**`)).rejects.toThrow(/p2-00000\.parquet/);
    await store.remove("whole/candles/day=2026-01-02/p1-00000.parquet");
    await expect(valuesAt(at("whole/candles"))).rejects.toThrow(/is not there, but a manifest .* names it/);
  });

  it("are read as lines where they are lines, plain and gzip", async () => {
    const rows = Array.from({ length: 1000 }, (_, n) => candle(0, n, "ü", "x".repeat(n)));
    for (const [folder, query] of [
      ["lines", "?format=ndjson&compression=gzip&rows=300"],
      ["lines", "?format=ndjson&rows=300"],
      ["csv", "?format=csv&rows=300"],
    ] as const)
      await write(at(folder, query), batchOf(query.length % 2 === 0 ? "even" : "odd"), rows);
    const lines = await valuesAt(at("lines/candles"));
    expect(lines).toHaveLength(2000);
    expect(new Set(lines)).toEqual(
      new Set(rows.map((row) => JSON.stringify({ ...row, at: timeOf(row) }, ["symbol", "at", "n", "text"]))),
    );
    const [first] = await readAll(await planOf(`${at("csv/candles")}*.csv`));
    expect(first).toMatchObject({ position: 2, fields: { symbol: "ü", n: "0" } });
  });

  it("are noticed when a file was changed since it was planned", async () => {
    await write(at("changed"), batchOf("p1"), [candle(0, 1)]);
    const ranges = await planOf(`${at("changed/candles")}*.parquet`);
    const store = storeOf(scheme);
    const there = (await store.stat("changed/candles/p1-00000.parquet")) as Stored;
    const spool = await Spool.make(directory);
    await store.replace(
      there.name,
      await spool.text("something else, and longer than a footer needs to be"),
      there.version,
    );
    await spool.remove();
    await expect(readAll(ranges)).rejects.toThrow(/p1-00000\.parquet was changed or deleted since the run was planned/);
  });

  it("are not found where there are none", async () => {
    for (const [name, says] of [
      ["nothing/", /has no files$/],
      ["nothing/*.parquet", /^No file matches/],
      ["nothing/x.parquet", /does not exist$/],
      ["swap", /is a folder: write .*swap\/ for all/],
    ] as const) {
      const uri = `${scheme}://${BUCKET}/${name}`;
      if (name !== "swap") await expect(planOf(uri)).rejects.toThrow(says);
      const address = parseAddress(uri);
      const found = await sourceOf(address).check?.(address);
      if (name !== "swap") expect(found).toEqual([{ state: "wrong", text: expect.stringMatching(says) as string }]);
    }
  });

  it("written again are left as they are; a job's is skipped; other rows are refused, or replaced before the commit", async () => {
    const uri = at("again", "?partition=day(at)");
    await write(uri, batchOf("p1"), [candle(0, 1), candle(1, 1)]);
    const made = await objects(scheme, "again/candles/day");
    await write(uri, batchOf("p1"), [candle(0, 1), candle(1, 1)]);
    await write(uri, batchOf("p1", { turn: { number: 1, epoch: 1 } }), [candle(0, 5)]);
    expect(await objects(scheme, "again/candles/day")).toEqual(made);
    await expect(write(uri, batchOf("p1"), [candle(0, 2)])).rejects.toThrow(
      /has the batch p1 already, and with other rows/,
    );
    // As if the process had been killed before its manifest.
    const store = storeOf(scheme);
    await store.remove("again/candles/_manifests/p1.json");
    const spool = await Spool.make(directory);
    const announced = JSON.stringify({ files: ["day=2026-01-01/p1-00000.parquet", "day=2026-01-02/p1-00000.parquet"] });
    await store.create("again/candles/_manifests/p1.writing", await spool.text(announced));
    await spool.remove();
    await write(uri, batchOf("p1"), [candle(0, 2)]);
    expect(await names(scheme, "again/")).toEqual([
      "candles/_manifests/p1.json",
      "candles/day=2026-01-01/p1-00000.parquet",
    ]);
    expect((await objects(scheme, "again/candles/day"))[0]?.version).not.toBe(made[0]?.version);
  });

  it("are whole after kills at any moment, and there once", async () => {
    const uri = at("killed", "?partition=symbol&rows=200");
    let killed = 0;
    for (const after of [0, 15, 40, 80, 150, 300, 600]) {
      const plan = `k${after}`;
      if (await dies(uri, plan, after)) killed += 1;
      await write(uri, batchOf(plan), manyCandles());
      const files = (await dataNames(scheme, "killed/")).filter((name) => name.includes(`/${plan}-`));
      expect(files).toHaveLength(20);
    }
    expect(killed).toBeGreaterThan(2);
    expect((await names(scheme, "killed/")).filter((name) => name.endsWith(".writing"))).toEqual([]);
  });

  it("go into one folder each, whatever a value says", async () => {
    const hostile = ["../../up", "/abs", "a=b", "a?b#c%d", "\n", "ü 日本", "__HIVE_DEFAULT_PARTITION__", null];
    await write(
      at("hostile", "?partition=symbol"),
      batchOf("p1"),
      hostile.map((symbol, n) => candle(0, n, symbol)),
    );
    const found = await dataNames(scheme, "hostile/");
    expect(found).toHaveLength(hostile.length);
    for (const name of found) expect(name.split("/")).toHaveLength(3);
    expect(await objects(scheme, "up")).toEqual([]);
  });

  it("may have a thousand partitions, with a file each", async () => {
    const rows = Array.from({ length: 100_000 }, (_, n) => candle(0, Math.floor(n / 1000), `S${(n * 7) % 1000}`));
    await write(at("thousand", "?partition=symbol"), batchOf("p1"), rows);
    expect(await dataNames(scheme, "thousand/")).toHaveLength(1000);
  });

  it("replace the folders that they write with ?replace=true", async () => {
    await write(at("swap", "?partition=day(at)"), batchOf("p1"), [candle(0, 1), candle(1, 1)]);
    await write(at("swap", "?partition=day(at)&replace=true&success=true"), batchOf("p2"), [candle(0, 2)]);
    expect(await dataNames(scheme, "swap/")).toEqual([
      "candles/_SUCCESS",
      "candles/day=2026-01-01/p2-00000.parquet",
      "candles/day=2026-01-02/p1-00000.parquet",
    ]);
  });

  it("have dead letters as lines, which are replaced and read back", async () => {
    const model = z.object({
      job: z.string(),
      step: z.string(),
      source: z.string(),
      position: z.int(),
      reason: z.string(),
    });
    const key = ["job", "step", "source", "position"];
    const letters: Output = { name: "letters", table: tableOf("dead_letters", model, { key, mode: "by-origin" }) };
    const letter = (position: number, reason = "bad") => ({
      ...{ job: "j", step: "s", source: "f" },
      position,
      reason,
    });
    const uri = at("letters", "?partition=day(at)");
    await write(uri, batchOf("p1"), [letter(1), letter(2)], letters);
    await write(uri, { ...batchOf("p2"), id: "p1-id" }, [letter(1, "worse")], letters);
    const gone = { source: "f", position: 1, step: "s" };
    await write(uri, batchOf("p3", { replays: [gone], turn: { number: 1, epoch: 1 } }), [], letters);
    const address = parseAddress(uri);
    const found = [];
    for await (const news of sinkOf(address).letters?.(address, letters.table, "j") ?? []) found.push(...news);
    expect(found).toEqual([
      { kind: "letter", row: letter(1, "worse") },
      { kind: "gone", id: gone },
    ]);
  });
});

it("a thousand partitions that come mixed take bounded memory", async () => {
  // 120 MB of texts alone, with room for half of it.
  const uri = `file:${path.join(directory, "mixed")}/?format=parquet&partition=symbol`;
  const rounds = `for (let round = 0; round < 200; round += 1)
      await target.write("candles", Array.from({ length: 2000 }, (_, n) =>
        ({ symbol: "S" + (n * 7) % 1000, at: round * 60000, n, text: String(n % 10).repeat(300) + round })));`;
  const { code, said } = await inAnotherProcess(uri, batchOf("p1"), rounds, "--max-old-space-size=128");
  expect([code, said]).toEqual([0, ""]);
  expect(JSON.parse(readFileSync(path.join(directory, "mixed/candles/_manifests/p1.json"), "utf8"))).toMatchObject({
    rows: 400_000,
    files: { length: 1000 },
  });
});

describe("what is wrong is said", () => {
  const withEnvironment = async (
    change: Record<string, string | undefined>,
    body: () => Promise<void>,
  ): Promise<void> => {
    const kept = Object.fromEntries(Object.keys(change).map((name) => [name, process.env[name]]));
    const set = (values: Record<string, string | undefined>) => {
      for (const [name, value] of Object.entries(values)) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    };
    set(change);
    try {
      await body();
    } finally {
      set(kept);
    }
  };
  const isSaid = async (uri: string, kind: typeof UsageError | typeof RunError, says: RegExp): Promise<void> => {
    const refused = open(uri, batchOf("p1"));
    await expect(refused).rejects.toThrow(kind);
    await expect(refused).rejects.toThrow(says);
    expect(await check(uri)).toEqual([{ state: "wrong", text: expect.stringMatching(says) as string }]);
  };

  it.each(schemes)("no such bucket of %s", async (scheme) => {
    await isSaid(`${scheme}://no-such-bucket/x/`, UsageError, /^There is no bucket no-such-bucket in .*: make it, or/);
    await isSaid(`${scheme}://UPPER/x/`, UsageError, /names no bucket: write/);
  });

  it("a secret that S3 does not take, and none at all", async () => {
    const uri = `s3://${BUCKET}/x/`;
    await withEnvironment({ AWS_SECRET_ACCESS_KEY: "wrong" }, () =>
      isSaid(uri, UsageError, /^S3 does not take the credentials for .*SignatureDoesNotMatch.*check AWS_ACCESS_KEY_ID/),
    );
    await withEnvironment({ AWS_ACCESS_KEY_ID: "wrong" }, () =>
      isSaid(uri, UsageError, /^S3 does not take the credentials for .*InvalidAccessKeyId/),
    );
    const none = { AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined, AWS_EC2_METADATA_DISABLED: "true" };
    await withEnvironment({ ...none, HOME: directory }, () =>
      isSaid(uri, UsageError, /^There are no credentials for S3 .*: set AWS_ACCESS_KEY_ID/),
    );
  });

  it("a file with Google's credentials that is not there, and one that has none", async () => {
    const uri = `gs://${BUCKET}/x/`;
    const file = path.join(directory, "key.json");
    writeFileSync(file, "{}");
    const google = (key: string | undefined) => ({
      ...{ STORAGE_EMULATOR_HOST: undefined, GOOGLE_APPLICATION_CREDENTIALS: key, HOME: directory },
      ...{ METADATA_SERVER_DETECTION: "none", CLOUDSDK_CONFIG: directory },
    });
    const says = /(credentials for Google Cloud|GOOGLE_APPLICATION_CREDENTIALS names a file that is not there)/;
    for (const key of [path.join(directory, "nothing.json"), file])
      await withEnvironment(google(key), () => isSaid(uri, UsageError, says));
  });

  it("rights and quotas, by a server that refuses", async () => {
    // The emulators let everybody do everything; this one nobody.
    let answer: { status: number; reason: string; code: string } = {
      status: 403,
      reason: "forbidden",
      code: "AccessDenied",
    };
    const server = http.createServer((request, response) => {
      request.resume();
      const isGoogle = request.url?.startsWith("/storage/") === true;
      const body = isGoogle
        ? JSON.stringify({
            error: {
              code: answer.status,
              message: answer.reason,
              errors: [{ reason: answer.reason, message: answer.reason }],
            },
          })
        : `<?xml version="1.0"?><Error><Code>${answer.code}</Code><Message>${answer.reason}</Message></Error>`;
      response
        .writeHead(answer.status, { "content-type": isGoogle ? "application/json" : "application/xml" })
        .end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      await withEnvironment({ STORAGE_EMULATOR_HOST: url, AWS_ENDPOINT_URL_S3: url }, async () => {
        await isSaid("gs://b-test/x/", RunError, /is not allowed for this user \(forbidden\): ask for the role/);
        await isSaid(
          "s3://b-test/x/",
          RunError,
          /is not allowed for this user \(AccessDenied\): ask for s3:ListBucket/,
        );
        answer = { status: 301, reason: "the bucket is in eu-west-1", code: "PermanentRedirect" };
        await isSaid("s3://b-test/x/", UsageError, /lies in another region .*: set AWS_REGION/);
        answer = { status: 507, reason: "no room", code: "QuotaExceeded" };
        await isSaid("s3://b-test/x/", RunError, /is beyond the room or quota/);
        answer = { status: 401, reason: "unauthorized", code: "x" };
        await isSaid("gs://b-test/x/", UsageError, /does not take the credentials/);
        answer = { status: 401, reason: "Anonymous caller does not have storage.objects.list access", code: "x" };
        await isSaid("gs://b-test/x/", UsageError, /^There are no credentials for Google Cloud .*Anonymous caller/);
      });
    } finally {
      server.close();
    }
  });
});

describe.each(schemes)("a connection to %s that breaks", (scheme) => {
  let proxy: FaultProxy;
  const variable = scheme === "gs" ? "STORAGE_EMULATOR_HOST" : "AWS_ENDPOINT_URL_S3";
  let direct: string;
  beforeAll(async () => {
    direct = process.env[variable] ?? "";
    proxy = await startFaultProxy({ port: Number(new URL(direct).port) });
    process.env[variable] = `http://127.0.0.1:${proxy.port}`;
  });
  afterAll(async () => {
    process.env[variable] = direct;
    await proxy.close();
  });

  it("is made again, and nothing is there twice", async () => {
    const uri = `${scheme}://${BUCKET}/broken/?partition=symbol`;
    const rows = Array.from({ length: 200 }, (_, n) => candle(0, n, `S${n % 40}`));
    await whileCutting(proxy, () => write(uri, batchOf("p1"), rows));
    expect(proxy.connections.interrupted).toBeGreaterThan(0);
    process.env[variable] = direct;
    expect(await dataNames(scheme, "broken/")).toHaveLength(40);
    process.env[variable] = `http://127.0.0.1:${proxy.port}`;
  });

  it("is given up as something that may pass", async () => {
    const port = await freePort();
    process.env[variable] = `http://127.0.0.1:${port}`;
    await expect(open(`${scheme}://${BUCKET}/away/`, batchOf("p1"))).rejects.toThrow(UnavailableError);
    process.env[variable] = `http://127.0.0.1:${proxy.port}`;
  });
});

const planOf = (uri: string): Promise<Range[]> => {
  const address = parseAddress(uri);
  return sourceOf(address).plan(address, EVERYTHING);
};

async function readAll(ranges: readonly Range[]): Promise<SourceRecord[]> {
  const records: SourceRecord[] = [];
  for (const range of ranges) {
    const source = sourceOf({ scheme: range.connector, path: "", options: {} });
    for await (const some of source.read(range)) records.push(...some);
  }
  return records;
}

const valuesAt = async (uri: string): Promise<string[]> =>
  (await readAll(await planOf(uri))).map(({ value }) => String(value));

const timeOf = (row: Row): string => new Date(Number(row["at"])).toISOString();

/** A row as it is read of Parquet files in folders of days. */
const rowRead = (row: Row): unknown => ({
  ...{ symbol: row["symbol"], at: timeOf(row), n: row["n"], text: row["text"] },
  day: timeOf(row).slice(0, 10),
});

function manyCandles(): Row[] {
  return Array.from({ length: 4_000 }, (_, n) => candle(0, n, `S${n % 20}`));
}

/** Writes them in a process of its own, which is killed so many milliseconds into its commit; false when it was done before. */
async function dies(uri: string, plan: string, after: number): Promise<boolean> {
  const rows = JSON.stringify(manyCandles());
  const write = `await target.write("candles", ${rows});
      setTimeout(() => process.kill(process.pid, "SIGKILL"), ${after});`;
  const { code, signal, said } = await inAnotherProcess(uri, batchOf(plan), write);
  if (code === 1) throw new Error(said);
  return signal === "SIGKILL";
}

/** Opens candles, does what a script says with the `target`, and commits, in a process of its own. */
async function inAnotherProcess(uri: string, batch: Batch, script: string, ...flags: string[]) {
  const file = path.join(directory, "writer.ts");
  const required = (name: string) => `require(${JSON.stringify(path.resolve(name))})`;
  writeFileSync(
    file,
    `const { sinkOf } = ${required("io/registry.ts")};
    const { parseAddress } = ${required("io/address.ts")};
    void (async () => {
      const address = parseAddress(${JSON.stringify(uri)});
      const batch = ${JSON.stringify(batch)};
      const target = await sinkOf(address).open(address, [${JSON.stringify(candles)}], batch);
      ${script}
      await target.commit();
      process.exit(0);
    })();`,
  );
  const args = [...flags, "--import", "tsx", file];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "pipe"], env: { ...process.env } });
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => (said += chunk.toString()));
  const [code, signal] = (await once(child, "exit")) as [number | null, string | null];
  return { code, signal, said };
}
