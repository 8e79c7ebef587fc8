// Files in folders, as the file sink writes them: what is true of these is true in a bucket, where the same code writes.
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { DuckDBInstance } from "@duckdb/node-api";
import { z } from "zod";
import { RunError, UsageError } from "../../schema/errors";
import { type Range, type SourceRecord } from "../../schema/record";
import { date, tableOf, timestamp, type Row } from "../../schema/table";
import { asOrdinaryUser, scratchDirectory } from "../../test/scratch";
import { parseAddress } from "../address";
import { EVERYTHING, type Batch, type OpenTarget, type Output } from "../connector";
import { SPOOLS } from "../lake/spool";
import { MOST_FOLDERS } from "../lake/staged-output";
import { fileSink } from "./sink";
import { fileSource } from "./source";

const scratch = scratchDirectory();
const candleModel = z.object({ symbol: z.string().nullable(), at: timestamp(), n: z.int() });
const candles: Output = { name: "candles", table: tableOf("candles", candleModel, { key: ["symbol", "at"] }) };
const letterModel = z.object({
  job: z.string(),
  step: z.string(),
  source: z.string(),
  position: z.int(),
  reason: z.string(),
});
const letters: Output = {
  name: "dead_letters",
  table: tableOf("dead_letters", letterModel, { key: ["job", "step", "source", "position"], mode: "by-origin" }),
};
const dailyModel = z.object({ day: date(), symbol: z.string(), n: z.int() });
const daily: Output = {
  name: "daily",
  table: tableOf("daily", dailyModel, { key: ["day", "symbol"], recomputedBy: "day" }),
};

const batchOf = (plan: string, more: Partial<Batch> = {}): Batch => ({
  ...{ job: "j", pipeline: "p", id: `${plan}-id`, plan, ranges: [], replays: [], turn: null },
  ...more,
});
const job = (number: number): Partial<Batch> => ({ turn: { number, epoch: 1 } });
const DAY = 24 * 3_600_000;
const at = (day: number, n = 0) => Date.UTC(2026, 0, 1) + day * DAY + n * 60_000;
const candle = (day: number, n: number, symbol: string | null = "BTC"): Row => ({ symbol, at: at(day, n), n });

const open = (options: string, batch: Batch, outputs: Output[] = [candles]): Promise<OpenTarget> =>
  fileSink.open(parseAddress(`file:${scratch("lake")}/?${options}`), outputs, batch);

async function write(
  options: string,
  batch: Batch,
  rows: readonly Row[],
  output = candles,
): Promise<ReturnType<OpenTarget["write"]>> {
  const target = await open(options, batch, [output]);
  try {
    const result = await target.write(output.name, rows);
    await target.commit();
    return result;
  } catch (error) {
    await target.abort();
    throw error;
  }
}

/** All files below a directory, by their paths. */
function filesIn(directory = scratch("lake")): string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(directory, path.join(entry.parentPath, entry.name)).replaceAll("\\", "/"))
    .sort();
}
const dataFiles = () => filesIn().filter((name) => !name.includes("_manifests/"));
const manifest = (name: string, table = "candles") =>
  JSON.parse(readFileSync(scratch("lake", table, "_manifests", `${name}.json`), "utf8")) as {
    files: { name: string; rows: number; sha256: string; bytes: number }[];
    replaces: string[];
  };

async function select(sql: string): Promise<unknown[][]> {
  const instance = await DuckDBInstance.create();
  const connection = await instance.connect();
  try {
    return (await connection.runAndReadAll(sql)).getRowsJson();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}
const parquet = (table = "candles") => `read_parquet('${scratch("lake", table)}/**/*.parquet', hive_partitioning=true)`;

describe("a batch in folders", () => {
  it("is Parquet files that say by their names where they come from, and a manifest", async () => {
    await write("format=parquet&partition=day(at)", batchOf("p1"), [candle(0, 1), candle(1, 1), candle(0, 2)]);
    expect(filesIn()).toEqual([
      "candles/_manifests/p1.json",
      "candles/day=2026-01-01/p1-00000.parquet",
      "candles/day=2026-01-02/p1-00000.parquet",
    ]);
    expect(await select(`SELECT symbol, n, day FROM ${parquet()} ORDER BY n, day`)).toEqual([
      ["BTC", "1", "2026-01-01"],
      ["BTC", "1", "2026-01-02"],
      ["BTC", "2", "2026-01-01"],
    ]);
    const { files, ...rest } = manifest("p1");
    expect(rest).toEqual({
      ...{ batch: "p1", job: "j", pipeline: "p", table: "candles", rows: 3, partition: "day(at)", ranges: [] },
      ...{ columns: candles.table.columns.map(({ name, type, nullable }) => ({ name, type, nullable })), replaces: [] },
    });
    expect(files.map(({ name, rows, bytes }) => [name, rows, bytes])).toEqual([
      ["day=2026-01-01/p1-00000.parquet", 2, statSync(scratch("lake/candles/day=2026-01-01/p1-00000.parquet")).size],
      ["day=2026-01-02/p1-00000.parquet", 1, statSync(scratch("lake/candles/day=2026-01-02/p1-00000.parquet")).size],
    ]);
  });

  it("has files of so many rows, in any format", async () => {
    const rows = Array.from({ length: 25 }, (_, n) => candle(0, n));
    await write("format=csv&rows=10&compression=gzip", batchOf("p1"), rows);
    expect(dataFiles()).toEqual([0, 1, 2].map((n) => `candles/p1-0000${n}.csv.gz`));
    const texts = dataFiles().map((name) => gunzipSync(readFileSync(scratch("lake", name))).toString());
    expect(texts.map((text) => text.split("\n").length - 2)).toEqual([10, 10, 5]);
    expect(texts[2]).toBe(
      `symbol,at,n\n${[20, 21, 22, 23, 24].map((n) => `BTC,${new Date(at(0, n)).toISOString()},${n}\n`).join("")}`,
    );
    await write("format=json&rows=10", batchOf("p2"), rows);
    expect(dataFiles().filter((name) => name.endsWith(".ndjson"))).toHaveLength(3);
  });

  it("has the same files however its rows come", async () => {
    const rows = Array.from({ length: 5_000 }, (_, n) => candle(n % 7, n % 60, `S${n % 5}`));
    const shas = [];
    for (const together of [5_000, 7]) {
      const target = await open("format=parquet&partition=day(at),symbol&rows=100", batchOf("p1"));
      for (let from = 0; from < rows.length; from += together)
        await target.write("candles", rows.slice(from, from + together));
      await target.commit();
      shas.push(manifest("p1").files.map(({ name, sha256 }) => [name, sha256]));
      rmSync(scratch("lake"), { recursive: true });
    }
    expect(shas[0]).toEqual(shas[1]);
    expect(shas[0]).toHaveLength(7 * 5 * 2);
  });

  it("stays beside those of other batches", async () => {
    for (const plan of ["p1", "p2"]) await write("format=parquet", batchOf(plan), [candle(0, 1)]);
    expect(dataFiles()).toEqual(["candles/p1-00000.parquet", "candles/p2-00000.parquet"]);
    expect(await select(`SELECT count(*) FROM ${parquet()}`)).toEqual([["2"]]);
  });

  it("of a run on its own has a manifest without rows too; of a job it leaves nothing", async () => {
    await write("format=parquet", batchOf("p1"), []);
    await write("format=parquet", batchOf("p2", job(1)), []);
    expect(filesIn()).toEqual(["candles/_manifests/p1.json"]);
  });

  it("writes _SUCCESS behind all else, when that is asked for", async () => {
    await write("format=parquet&success=true", batchOf("p1"), [candle(0, 1)]);
    expect(filesIn()).toContain("candles/_SUCCESS");
    // An unfinished one must not look complete.
    const target = await open("format=parquet&success=true", batchOf("p2"));
    await target.write("candles", [candle(0, 1)]);
    mkdirSync(scratch("lake/candles/p2-00000.parquet"));
    await expect(target.commit()).rejects.toThrow(/is not a file/);
    await target.abort();
    expect(filesIn()).not.toContain("candles/_SUCCESS");
  });

  it("leaves dead letters beside the folders, as lines that can be read back", async () => {
    const letter = { job: "j", step: "s", source: "f", position: 1, reason: "bad" };
    const target = await open("format=parquet&partition=day(at)", batchOf("p1", job(1)), [candles, letters]);
    await target.write("candles", [candle(0, 1)]);
    await target.write("dead_letters", [letter]);
    await target.commit();
    expect(filesIn()).toEqual([
      "candles/_manifests/p1.json",
      "candles/day=2026-01-01/p1-00000.parquet",
      "dead_letters.p1-id.ndjson",
    ]);
    const found = [];
    const address = parseAddress(`file:${scratch("lake")}/?format=parquet&partition=day(at)`);
    for await (const news of fileSink.letters?.(address, letters.table, "j") ?? []) found.push(...news);
    expect(found).toEqual([{ kind: "letter", row: letter }]);
  });

  it("rejects a row that can have no folder, and takes the others", async () => {
    const result = await write("format=parquet&partition=symbol", batchOf("p1"), [candle(0, 1), candle(0, 2, "")]);
    expect(result).toEqual({
      written: 1,
      rejected: [
        { row: candle(0, 2, ""), reason: "no folder", error: expect.stringMatching(/is an empty text/) as string },
      ],
    });
  });

  it("never leaves its directory, whatever a value says", async () => {
    const hostile = ["../../escaped", "..", "/etc/x", "a\\..\\b", "a/../../b", "\u0000", "%2e%2e%2f"];
    await write(
      "format=parquet&partition=symbol",
      batchOf("p1"),
      [...hostile, null].map((symbol, n) => candle(0, n, symbol)),
    );
    expect(readdirSync(scratch())).toEqual(["lake"]);
    expect(dataFiles()).toHaveLength(8);
    for (const name of dataFiles()) expect(name.split("/")).toHaveLength(3);
  });
});

describe("many partitions at once", () => {
  it("are bounded in open files and in memory, and each has one file", async () => {
    const target = await open("format=parquet&partition=symbol", batchOf("p1"));
    const n = 60;
    for (let round = 0; round < 800; round += 1)
      await target.write(
        "candles",
        Array.from({ length: n }, (_, at) => candle(0, round, `S${(at * 7) % n}`)),
      );
    // Those of the first folders, and one file with the rows of all others.
    const [spool = ""] = readdirSync(scratch("lake", SPOOLS));
    expect(readdirSync(scratch("lake", SPOOLS, spool)).length).toBeLessThan(12);
    await target.commit();
    expect(dataFiles()).toHaveLength(n);
    expect(await select(`SELECT count(*), count(DISTINCT (symbol, n)), min(n), max(n) FROM ${parquet()}`)).toEqual([
      ["48000", "48000", "0", "799"],
    ]);
  });

  it("are refused when a table would be mostly files", async () => {
    const rows = Array.from({ length: MOST_FOLDERS + 1 }, (_, n) => candle(0, n, `S${n}`));
    await expect(write("format=parquet&partition=symbol", batchOf("p1"), rows)).rejects.toThrow(
      /candles would have more than 10000 partition folders .*partition it by something coarser$/,
    );
    expect(filesIn()).toEqual([]);
  });
});

describe("a batch that is written again", () => {
  const rows = [candle(0, 1), candle(1, 1)];
  const options = "format=parquet&partition=day(at)";

  it("finds its files and leaves them as they are", async () => {
    await write(options, batchOf("p1"), rows);
    const before = dataFiles().map((name) => statSync(scratch("lake", name)).mtimeMs);
    for (const more of [{}, job(1)]) await write(options, batchOf("p1", more), rows);
    expect(dataFiles().map((name) => statSync(scratch("lake", name)).mtimeMs)).toEqual(before);
    expect(dataFiles()).toHaveLength(2);
  });

  it("takes the place of what a try left that was not committed, and takes away what it has no more", async () => {
    const first = await open(options, batchOf("p1"));
    await first.write("candles", [candle(0, 7), candle(2, 7)]);
    // The other day's file cannot be put there: the try ends half-way, as if it were killed.
    mkdirSync(scratch("lake/candles"), { recursive: true });
    writeFileSync(scratch("lake/candles/day=2026-01-03"), "");
    await expect(first.commit()).rejects.toThrow(/day=2026-01-03/);
    rmSync(scratch("lake/candles/day=2026-01-03"));
    expect(filesIn()).toContain("candles/_manifests/p1.writing");
    expect(dataFiles()).toContain("candles/day=2026-01-01/p1-00000.parquet");
    mkdirSync(scratch("lake/candles/day=2026-01-03"));
    linkSync(
      scratch("lake/candles/day=2026-01-01/p1-00000.parquet"),
      scratch("lake/candles/day=2026-01-03/p1-00000.parquet"),
    );
    // Not first.abort(): a process that is killed undoes nothing. Its table is open in this one, so another does it.
    expect(inAnotherProcess("p1", rows)).toBe("");
    expect(filesIn().filter((name) => !name.startsWith(SPOOLS))).toEqual([
      "candles/_manifests/p1.json",
      "candles/day=2026-01-01/p1-00000.parquet",
      "candles/day=2026-01-02/p1-00000.parquet",
    ]);
    expect(await select(`SELECT n, day FROM ${parquet()} ORDER BY day`)).toEqual([
      ["1", "2026-01-01"],
      ["1", "2026-01-02"],
    ]);
    await first.abort();
  });

  it("is refused when it was committed with other rows", async () => {
    await write(options, batchOf("p1"), rows);
    await expect(write(options, batchOf("p1"), [candle(0, 2)])).rejects.toThrow(
      /candles\/ has the batch p1 already, and with other rows: it was committed/,
    );
    expect(await select(`SELECT count(*) FROM ${parquet()} WHERE n = 1`)).toEqual([["2"]]);
  });

  it("of a job stays as it was committed: a step may have been repaired since", async () => {
    await write(options, batchOf("p1", job(1)), rows);
    expect(await write(options, batchOf("p1", job(1)), [candle(0, 2)])).toEqual({ written: 1 });
    expect(await select(`SELECT count(*) FROM ${parquet()} WHERE n = 1`)).toEqual([["2"]]);
  });

  it("leaves nothing when it fails", async () => {
    const target = await open(options, batchOf("p1"));
    await target.write("candles", [candle(0, 1), candle(1, 1)]);
    mkdirSync(scratch("lake/candles"), { recursive: true });
    writeFileSync(scratch("lake/candles/day=2026-01-02"), "");
    await expect(target.commit()).rejects.toThrow(RunError);
    await target.abort();
    await target.abort();
    expect(filesIn()).toEqual(["candles/day=2026-01-02"]);
  });

  it("takes away what a killed process staged, and not what a living one does", async () => {
    const other = await open(options, batchOf("p0"), [{ ...candles, table: { ...candles.table, name: "other" } }]);
    const host = readdirSync(scratch("lake", SPOOLS))[0]?.split(".")[0] ?? "";
    const dead = spawnSync(process.execPath, ["-e", ""]).pid;
    mkdirSync(scratch("lake", SPOOLS, `${host}.${dead}.1`));
    mkdirSync(scratch("lake", SPOOLS, `elsewhere.${dead}.1`));
    await write(options, batchOf("p1"), rows);
    const left = readdirSync(scratch("lake", SPOOLS)).sort();
    expect(left).toHaveLength(2);
    expect(left).toContain(`elsewhere.${dead}.1`);
    await other.abort();
  });
});

describe("?replace=true", () => {
  const options = "format=parquet&partition=day(at)&replace=true";

  it("swaps the folders that the run writes, and no other", async () => {
    await write(options, batchOf("p1"), [candle(0, 1), candle(1, 1)]);
    await write("format=parquet&partition=day(at)", batchOf("p2"), [candle(0, 2), candle(2, 2)]);
    writeFileSync(scratch("lake/candles/day=2026-01-01/foreign-00000.parquet.txt"), "not ours");
    await write(options, batchOf("p3"), [candle(0, 3)]);
    expect(dataFiles()).toEqual([
      "candles/day=2026-01-01/foreign-00000.parquet.txt",
      "candles/day=2026-01-01/p3-00000.parquet",
      "candles/day=2026-01-02/p1-00000.parquet",
      "candles/day=2026-01-03/p2-00000.parquet",
    ]);
    expect(["p1", "p2", "p3"].map((name) => manifest(name).files.length)).toEqual([1, 1, 1]);
    expect(manifest("p3").replaces).toEqual(["day=2026-01-01/p1-00000.parquet", "day=2026-01-01/p2-00000.parquet"]);
  });

  it("swaps all of a table without folders, also for nothing", async () => {
    await write("format=parquet&replace=true", batchOf("p1"), [candle(0, 1)]);
    await write("format=parquet&replace=true", batchOf("p2"), []);
    expect(filesIn()).toEqual(["candles/_manifests/p2.json"]);
  });

  it("goes on where a kill left it: the old files count no more once the manifest is there", async () => {
    await write(options, batchOf("p1"), [candle(0, 1)]);
    const old = readFileSync(scratch("lake/candles/day=2026-01-01/p1-00000.parquet"));
    const oldManifest = readFileSync(scratch("lake/candles/_manifests/p1.json"));
    await write(options, batchOf("p2"), [candle(0, 2)]);
    writeFileSync(scratch("lake/candles/day=2026-01-01/p1-00000.parquet"), old);
    writeFileSync(scratch("lake/candles/_manifests/p1.json"), oldManifest);
    const ranges = await fileSource.plan(parseAddress(`file:${scratch("lake/candles")}/`), EVERYTHING);
    expect(ranges.map(({ source }) => path.basename(source))).toEqual(["p2-00000.parquet"]);
    for (let time = 0; time < 2; time += 1) await write(options, batchOf("p2"), [candle(0, 2)]);
    expect(dataFiles()).toEqual(["candles/day=2026-01-01/p2-00000.parquet"]);
    expect(manifest("p2").replaces).toEqual(["day=2026-01-01/p1-00000.parquet"]);
  });

  it("is not for a job that goes on", async () => {
    await expect(write(options, batchOf("p1", job(1)), [])).rejects.toThrow(/not for --streaming/);
  });
});

describe("what was written", () => {
  const uri = (rest: string) => parseAddress(`file:${scratch("lake/candles")}${rest}`);
  async function read(rest: string): Promise<SourceRecord[]> {
    const records: SourceRecord[] = [];
    for (const range of await fileSource.plan(uri(rest), EVERYTHING))
      for await (const some of fileSource.read(range)) records.push(...some);
    return records;
  }
  const told = (records: readonly SourceRecord[]) => records.map(({ value }) => JSON.parse(String(value)) as Row);

  it("is read back with the values of its folders, by manifests or a pattern", async () => {
    const symbols = ["a/b", "ü", null, "=", "%41"];
    const rows = symbols.map((symbol, n) => candle(n, n, symbol));
    await write("format=parquet&partition=symbol,day(at)", batchOf("p1"), rows);
    const expected = rows.map(({ symbol, n, at: time }) => {
      const text = new Date(Number(time)).toISOString();
      return { at: text, n, symbol, day: text.slice(0, 10) };
    });
    for (const rest of ["", "/", "/**/*.parquet"])
      expect(told(await read(rest)).sort((a, b) => Number(a["n"]) - Number(b["n"]))).toEqual(expected);
    // Half a batch is not there for who goes by manifests.
    writeFileSync(scratch("lake/candles/p2-00000.parquet"), "half");
    expect(await read("/")).toHaveLength(5);
    await expect(read("/**/*.parquet")).rejects.toThrow(/p2-00000\.parquet/);
    rmSync(scratch("lake/candles", manifest("p1").files[0]?.name ?? ""));
    await expect(read("/")).rejects.toThrow(/is not there any more/);
  });

  it("is read in ranges of rows, each of which is a part of a file", async () => {
    await write(
      "format=parquet",
      batchOf("p1"),
      Array.from({ length: 5_000 }, (_, n) => candle(0, n)),
    );
    const [range] = await fileSource.plan(uri("/*.parquet"), EVERYTHING);
    expect(range).toMatchObject({ from: 1, to: 5_001, detail: { format: "parquet" } });
    const records: SourceRecord[] = [];
    for await (const some of fileSource.read({ ...(range as Range), from: 1_990, to: 3_010 })) records.push(...some);
    expect([records.length, records[0]?.position, records.at(-1)?.position]).toEqual([1_020, 1_990, 3_009]);
    expect(told(records)[0]?.["n"]).toBe(1_989);
  });

  it("is noticed when it was changed since the run was planned", async () => {
    await write("format=parquet", batchOf("p1"), [candle(0, 1)]);
    const [range] = await fileSource.plan(uri("/"), EVERYTHING);
    const file = scratch("lake/candles/p1-00000.parquet");
    writeFileSync(file, readFileSync(file));
    const reading = fileSource.read(range as Range)[Symbol.asyncIterator]();
    await expect(reading.next()).rejects.toThrow(/was changed or deleted since the run was planned/);
  });

  it("is what doctor finds, or not", async () => {
    expect(await fileSource.check?.(uri("/"))).toEqual([
      { state: "wrong", text: expect.stringMatching(/does not exist/) as string },
    ]);
    await write("format=parquet", batchOf("p1"), [candle(0, 1)]);
    expect(await fileSource.check?.(uri("/"))).toMatchObject([{ state: "fine" }]);
    expect(await fileSink.check?.(uri("/"), [candles])).toMatchObject([{ state: "fine" }]);
    expect(await fileSink.check?.(uri("/new/"), [candles])).toMatchObject([{ state: "missing" }]);
    expect(await fileSink.check?.(uri("/p1-00000.parquet/below/"), [candles])).toMatchObject([{ state: "wrong" }]);
    expect(await fileSink.check?.(uri("/?partition=nothing"), [candles])).toMatchObject([{ state: "wrong" }]);
    expect(existsSync(scratch("lake/candles/new"))).toBe(false);
  });
});

describe("a table that a run gives whole", () => {
  const all = { since: null, until: null };
  const day = (n: number, symbol = "BTC", count = 1): Row => ({
    day: new Date(at(n)).toISOString().slice(0, 10),
    symbol,
    n: count,
  });
  const days = (since: number, until: number) => ({ since: at(since), until: at(until) });

  it("is replaced by a run over all time, whatever its folders", async () => {
    for (const options of ["format=parquet", "format=parquet&partition=day", "format=parquet&partition=symbol"]) {
      await write(options, batchOf("p1", { covers: all }), [day(0), day(1)], daily);
      await write(options, batchOf("p2", { covers: all }), [day(1, "ETH")], daily);
      expect(await select(`SELECT CAST(day AS VARCHAR), symbol FROM ${parquet("daily")}`)).toEqual([
        ["2026-01-02", "ETH"],
      ]);
      rmSync(scratch("lake"), { recursive: true });
    }
  });

  it("has the days of a run over some days replaced, those without a row too", async () => {
    const options = "format=parquet&partition=day";
    await write(options, batchOf("p1", { covers: all }), [day(0), day(1), day(2), day(3)], daily);
    await write(options, batchOf("p2", { covers: days(1, 3) }), [day(2, "ETH")], daily);
    expect(dataFiles()).toEqual([
      "daily/day=2026-01-01/p1-00000.parquet",
      "daily/day=2026-01-03/p2-00000.parquet",
      "daily/day=2026-01-04/p1-00000.parquet",
    ]);
  });

  it("is refused where its days could not be replaced", async () => {
    const batch = batchOf("p1", { covers: days(1, 3) });
    await expect(write("format=parquet", batch, [], daily)).rejects.toThrow(
      /daily in .* is written anew for whole stretches of day: partition it by that, as in \?partition=day,/,
    );
    const months = "format=parquet&partition=month(day)";
    await write(months, batchOf("p1", { covers: all }), [day(0), day(1), day(2)], daily);
    await expect(write(months, batchOf("p2", { covers: days(1, 3) }), [day(2)], daily)).rejects.toThrow(
      /month=2026-01\/ has rows of more time than this run gives anew/,
    );
    expect(dataFiles()).toEqual(["daily/month=2026-01/p1-00000.parquet"]);
  });

  it("keeps the row of a day of which the run has only a part", async () => {
    const options = "format=parquet&partition=day";
    await write(options, batchOf("p1", { covers: all }), [day(0), day(1)], daily);
    await write(options, batchOf("p2", { covers: { since: at(0, 5), until: null } }), [day(1, "ETH")], daily);
    expect(dataFiles()).toEqual(["daily/day=2026-01-01/p1-00000.parquet", "daily/day=2026-01-02/p2-00000.parquet"]);
  });
});

describe("what is refused at once", () => {
  it.each([
    ["format=parquet&partition=nothing", /no such column/],
    ["format=parquet&rows=0", /rows=0: write a whole number, 1 or more/],
    ["format=parquet&replace=yes", /replace=yes: .*true/],
    ["format=csv&compression=zstd&rows=1", /csv files are packed by gzip, or not at all/],
    ["format=parquet&compression=none", /Parquet files are packed by zstd or gzip/],
    ["format=parquett", /“parquett” is not a format of .*did you mean “parquet”/],
    ["format=parquet&partitions=day(at)", /did you mean “partition”/],
  ])("%s", async (options, message) => {
    await expect(open(options, batchOf("p1"))).rejects.toThrow(UsageError);
    await expect(open(options, batchOf("p1"))).rejects.toThrow(message);
    expect(filesIn()).toEqual([]);
  });

  it("is a table that two outputs write", async () => {
    const first = await open("format=parquet", batchOf("p1"));
    await expect(open("format=parquet&rows=5", batchOf("p2"))).rejects.toThrow(/asked for by two outputs/);
    await first.abort();
  });

  it("is a directory that may not be written", async () => {
    mkdirSync(scratch("lake"), { mode: 0o555 });
    chmodSync(scratch(), 0o755);
    await asOrdinaryUser(async () => {
      await expect(open("format=parquet", batchOf("p1"))).rejects.toThrow(/may not be written: change the permissions/);
    });
  });
});

describe("one Parquet file", () => {
  it("is replaced as a whole", async () => {
    for (const n of [1, 2]) {
      const target = await fileSink.open(parseAddress(`file:${scratch("out.parquet")}`), [candles], batchOf(`p${n}`));
      await target.write("candles", [candle(0, n)]);
      await target.commit();
    }
    expect(readdirSync(scratch())).toEqual(["out.parquet"]);
    expect(await select(`SELECT symbol, n FROM '${scratch("out.parquet")}'`)).toEqual([["BTC", "2"]]);
  });
});

/** Writes candles of a batch in a process of its own; what it said on standard error. */
function inAnotherProcess(plan: string, rows: readonly Row[]): string {
  const script = `
    const { fileSink } = require(${JSON.stringify(path.resolve("io/file/sink.ts"))});
    const { output, address, batch, rows } = JSON.parse(process.env.SCENE);
    void (async () => {
      const target = await fileSink.open(address, [output], batch);
      await target.write(output.name, rows);
      await target.commit();
    })();`;
  const address = parseAddress(`file:${scratch("lake")}/?format=parquet&partition=day(at)`);
  const SCENE = JSON.stringify({ output: candles, address, batch: batchOf(plan), rows });
  return spawnSync(process.execPath, ["--import", "tsx", "-e", script], {
    env: { ...process.env, SCENE },
    encoding: "utf8",
  }).stderr;
}

describe("parts of a job on a cluster", () => {
  const part = (name: string): Batch => batchOf(name, { id: name, isPart: true });

  it("are written again in the place of what they left, complete or not", async () => {
    const options = "format=parquet&partition=day(at)";
    await write(options, part("p1"), [candle(0, 1), candle(1, 1)]);
    await write(options, part("p2"), [candle(0, 3)]);
    await write(options, part("p1"), [candle(0, 2)]);
    expect(dataFiles()).toEqual(["candles/day=2026-01-01/p1-00000.parquet", "candles/day=2026-01-01/p2-00000.parquet"]);
    expect(await select(`SELECT n FROM ${parquet()} ORDER BY n`)).toEqual([["2"], ["3"]]);
    const address = parseAddress(`file:${scratch("lake/candles")}/`);
    expect(await fileSource.plan(address, EVERYTHING)).toHaveLength(2);
    // Of a run on its own what is complete stays.
    await expect(write(options, batchOf("p1"), [candle(0, 4)])).rejects.toThrow(/has the batch p1 already/);
  });

  it("are open at the same time", async () => {
    const open1 = await open("format=parquet", part("p1"));
    const open2 = await open("format=parquet", part("p2"));
    await expect(open("format=parquet", part("p1"))).rejects.toThrow(/is asked for by two outputs/);
    for (const [n, target] of [open1, open2].entries()) {
      await target.write("candles", [candle(0, n)]);
      await target.commit();
    }
    expect(dataFiles()).toEqual(["candles/p1-00000.parquet", "candles/p2-00000.parquet"]);
  });

  it("have their dead letters in a folder, and they are read back from there", async () => {
    const letter = { job: "j", step: "s", source: "a", position: 7, reason: "bad" };
    await write("format=ndjson", part("p1"), [letter], letters);
    expect(dataFiles()).toEqual(["dead_letters/p1-00000.ndjson"]);
    const found = [];
    for await (const news of fileSink.letters?.(parseAddress(`file:${scratch("lake")}/`), letters.table, "j") ?? [])
      found.push(...news);
    expect(found).toEqual([{ kind: "letter", row: letter }]);
  });
});
