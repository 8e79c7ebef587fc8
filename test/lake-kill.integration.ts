// Runs and jobs that write files, killed at each point and at random moments: every trade counts exactly once, by
// manifests and by folders.
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { Storage } from "@google-cloud/storage";
import { freePort } from "../infra/services/ports";
import { startServices, stopServices } from "../infra/services/services";
import { parseAddress } from "../io/address";
import { EVERYTHING } from "../io/connector";
import { sourceOf } from "../io/registry";
import { POINTS } from "../runners/direct/points";
import { lines, trades } from "./command-scene";
import { runDyingBatch } from "./dying-run";
import { Ledger, type Expected } from "./ledger";
import { runDying } from "./run-dying";
import { scratchDirectory } from "./scratch";

const at = scratchDirectory();
const directory = mkdtempSync(path.join(os.tmpdir(), "beamline-lake-kill-"));
const BUCKET = "lake-test";
let environment: Record<string, string>;

beforeAll(async () => {
  const ports = { gcs: await freePort(), s3: await freePort() };
  const { gcs, s3 } = await startServices(["gcs", "s3"], { directory, ports });
  environment = { ...gcs.environment, ...s3.environment };
  Object.assign(process.env, environment);
  const storage = new Storage({ apiEndpoint: gcs.environment["STORAGE_EMULATOR_HOST"] ?? "", projectId: "test" });
  storage.baseUrl = `${gcs.environment["STORAGE_EMULATOR_HOST"]}/storage/v1`;
  await storage.createBucket(BUCKET);
  await new S3Client({ forcePathStyle: true }).send(new CreateBucketCommand({ Bucket: BUCKET }));
});

afterAll(async () => {
  await stopServices(["gcs", "s3"], { directory, data: true });
  for (const name of Object.keys(environment)) delete process.env[name];
  rmSync(directory, { recursive: true, force: true });
});

const placeOf = (kind: string, name: string): string =>
  kind === "file" ? `file:${at("lake", name)}/` : `${kind}://${BUCKET}/${name}/`;

async function candlesAt(uri: string): Promise<Expected[]> {
  const address = parseAddress(uri);
  const source = sourceOf(address);
  const found: Expected[] = [];
  for (const range of await source.plan(address, EVERYTHING)) {
    for await (const records of source.read(range))
      for (const { value } of records) {
        const { symbol, window_start, trade_count, volume } = JSON.parse(String(value)) as Expected;
        found.push({ symbol, window_start: new Date(window_start).toISOString(), trade_count, volume });
      }
  }
  return found.sort((a, b) => (`${a.symbol} ${a.window_start}` < `${b.symbol} ${b.window_start}` ? -1 : 1));
}

describe.each(["file", "gs", "s3"])("%s", (kind) => {
  test("a run that is killed, and run again", async () => {
    for (const point of POINTS) {
      const place = placeOf(kind, `run ${point}`.replace(/ /g, "-"));
      const run = async (die: { point: (typeof POINTS)[number]; nth: number } | null) => {
        const to = [`${place}?format=parquet&partition=symbol&rows=2`];
        return runDyingBatch(at(), { from: `file:${at("in")}/*`, to, flags: {}, die });
      };
      mkdirSync(at("in"), { recursive: true });
      writeFileSync(at("in/1.ndjson"), lines(...trades(0, 400)));
      const { ending } = await run({ point, nth: 1 });
      expect({ point, ending }).toEqual({ point, ending: "killed" });
      expect((await run(null)).ending).toBe("done");
      for (const rest of ["trades_1min_agg/", "trades_1min_agg/**/*.parquet"]) {
        const counted = (await candlesAt(place + rest)).reduce((sum, { trade_count }) => sum + trade_count, 0);
        expect({ point, rest, counted }).toEqual({ point, rest, counted: 400 });
      }
    }
  });

  test("a job that is killed again and again", async () => {
    const place = placeOf(kind, "job");
    const file = at("trades.ndjson");
    writeFileSync(file, "");
    const ledger = new Ledger(11);
    const send = (count: number): void => appendFileSync(file, lines(...ledger.take(count).map(({ value }) => value)));
    const run = (job: Parameters<typeof runDying>[1]["flags"], more: object = {}, killAfter?: number) =>
      runDying(
        at(),
        {
          from: `file:${file}`,
          to: [`${place}?format=parquet&partition=day(window_start),symbol`, `dead_letters=file:${at("dead")}/`],
          flags: { "state-dir": at("state"), "max-batch": "300", once: "true", "batch-interval": "20ms", ...job },
          ...more,
        },
        killAfter,
      );
    for (const point of POINTS) {
      send(2_000);
      expect(await run({}, { die: { point, nth: 2 } })).toBe("killed");
    }
    for (let killed = 0; killed < 6; killed += 1) {
      send(700);
      expect(["killed", "done"]).toContain(await run({ once: "false" }, {}, 900 + killed * 150));
    }
    send(1_000);
    expect(await run({ once: "false", flush: "true" })).toBe("done");
    expect(await candlesAt(`${place}trades_1min_agg/`)).toEqual(ledger.expected());
    expect(await candlesAt(`${place}trades_1min_agg/**/*.parquet`)).toEqual(ledger.expected());
  });
});
