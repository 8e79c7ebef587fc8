import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { open as openHandle } from "node:fs/promises";
import { gunzipSync } from "node:zlib";
import { z } from "zod";
import { RunError, UsageError } from "../../schema/errors";
import { tableOf } from "../../schema/table";
import { asOrdinaryUser, scratchDirectory } from "../../test/scratch";
import { parseAddress } from "../address";
import { type Batch, type OpenTarget, type Output } from "../connector";
import { fileSink } from "./sink";

const scratch = scratchDirectory();
const candles: Output = {
  name: "candles",
  table: tableOf("candles", z.object({ a: z.string(), n: z.int() }), { key: ["a"] }),
};
const dead: Output = {
  name: "deadLetters",
  table: tableOf("dead_letters", z.object({ a: z.string() }), { key: ["a"], mode: "by-origin" }),
};
const batch: Batch = { job: "j", pipeline: "p", id: "2026/01:31 *", plan: "p1", ranges: [], replays: [], turn: null };
const open = (uri: string, outputs: Output[] = [candles]): Promise<OpenTarget> =>
  fileSink.open(parseAddress(uri), outputs, batch);
const at = (name: string) => `file:${scratch(name)}`;

async function writeAll(uri: string, rows: { a: string; n: number }[]): Promise<void> {
  const target = await open(uri);
  expect(await target.write("candles", rows)).toEqual({ written: rows.length });
  await target.commit();
}

describe("a file that is written", () => {
  it.each([
    ["out.ndjson", '{"a":"x","n":1}\n'],
    ["out.csv", "a,n\nx,1\n"],
    ["out.txt", '{"a":"x","n":1}\n'],
    ["out.txt?format=csv", "a,n\nx,1\n"],
    ["new/deep ü/out.ndjson", '{"a":"x","n":1}\n'],
  ])("%s has its rows", async (name, text) => {
    await writeAll(at(name), [{ a: "x", n: 1 }]);
    expect(readFileSync(scratch(name.replace(/\?.*/, "")), "utf8")).toBe(text);
  });

  it("is gzip when its name says so, the same bytes each time", async () => {
    const rows = Array.from({ length: 50_000 }, (_, n) => ({ a: `row ${n}`, n }));
    await writeAll(at("out.csv.gz"), rows);
    const once = readFileSync(scratch("out.csv.gz"));
    expect(gunzipSync(once).toString()).toBe(`a,n\n${rows.map(({ a, n }) => `${a},${n}\n`).join("")}`);
    await writeAll(at("out.csv.gz"), rows);
    expect(readFileSync(scratch("out.csv.gz")).equals(once)).toBe(true);
  });

  it("has a header, or nothing, when there are no rows", async () => {
    await writeAll(at("out.csv"), []);
    await writeAll(at("out.ndjson"), []);
    expect(readFileSync(scratch("out.csv"), "utf8")).toBe("a,n\n");
    expect(readFileSync(scratch("out.ndjson"), "utf8")).toBe("");
  });

  it("is replaced as a whole, and keeps its permissions", async () => {
    writeFileSync(scratch("out.ndjson"), "old\nolder\n", { mode: 0o640 });
    await writeAll(at("out.ndjson"), [{ a: "x", n: 1 }]);
    expect(readFileSync(scratch("out.ndjson"), "utf8")).toBe('{"a":"x","n":1}\n');
    if (process.platform !== "win32") expect(statSync(scratch("out.ndjson")).mode & 0o777).toBe(0o640);
    expect(readdirSync(scratch())).toEqual(["out.ndjson"]);
  });

  it("is one file for each table when the path is a directory", async () => {
    for (const uri of [at("out/"), at("out"), `${at("out")}?format=csv`]) {
      const target = await open(uri, [candles, dead]);
      await target.write("candles", [{ a: "x", n: 1 }]);
      await target.write("deadLetters", [{ a: "y" }]);
      await target.commit();
    }
    expect(readdirSync(scratch("out")).sort()).toEqual([
      "candles.csv",
      "candles.ndjson",
      "dead_letters.csv",
      "dead_letters.ndjson",
    ]);
    expect(readFileSync(scratch("out", "dead_letters.csv"), "utf8")).toBe("a\ny\n");
  });
});

describe("a batch into a file that is not finished", () => {
  it("shows nothing before the commit, and nothing of it after an abort", async () => {
    writeFileSync(scratch("out.ndjson"), "old\n");
    const target = await open(at("out.ndjson"));
    await target.write(
      "candles",
      Array.from({ length: 100_000 }, (_, n) => ({ a: "x".repeat(20), n })),
    );
    expect(readFileSync(scratch("out.ndjson"), "utf8")).toBe("old\n");
    // The rows are there already, only not under that name: the line above says something.
    const [temporary = ""] = readdirSync(scratch()).filter((name) => name !== "out.ndjson");
    expect(temporary).toBe(".out.ndjson.2026_01_31__.tmp");
    expect(statSync(scratch(temporary)).size).toBeGreaterThan(1_000_000);
    await target.abort();
    await target.abort();
    expect(readFileSync(scratch("out.ndjson"), "utf8")).toBe("old\n");
    expect(readdirSync(scratch())).toEqual(["out.ndjson"]);
  });

  it("leaves nothing when a row does not fit", async () => {
    const target = await open(at("out.csv.gz"));
    await expect(target.write("candles", [{ a: "x", n: 1.5 }])).rejects.toThrow(RunError);
    await target.abort();
    expect(readdirSync(scratch())).toEqual([]);
  });

  it("can be run again after an abort", async () => {
    await (await open(at("out.ndjson"))).abort();
    await writeAll(at("out.ndjson"), [{ a: "x", n: 1 }]);
    expect(existsSync(scratch("out.ndjson"))).toBe(true);
  });
});

describe("a file that cannot be written", () => {
  it("is one that two outputs ask for, under whatever name", async () => {
    await expect(open(at("out.ndjson"), [candles, dead])).rejects.toThrow(UsageError);
    const first = await open(at("out.ndjson"));
    await expect(open(at("./x/../out.ndjson"), [dead])).rejects.toThrow(
      /out\.ndjson is asked for by two outputs: give each its own, such as --to deadLetters=file:…, or all a directory: file:out\/$/,
    );
    await first.abort();
    expect(readdirSync(scratch())).toEqual([]);
  });

  it("is one behind a file", async () => {
    writeFileSync(scratch("file"), "");
    const refused = open(at("file/out.ndjson"));
    await expect(refused).rejects.toThrow(RunError);
    await expect(refused).rejects.toThrow(
      /out\.ndjson cannot be written: a part of its path is a file, not a directory$/,
    );
  });

  it("is one in a directory that may not be written", async () => {
    mkdirSync(scratch("locked"), { mode: 0o555 });
    chmodSync(scratch(), 0o755);
    await asOrdinaryUser(async () => {
      await expect(open(at("locked/out.ndjson"))).rejects.toThrow(
        /out\.ndjson may not be written: change the permissions there, or write to another place$/,
      );
    });
  });

  it("is a device: it would be replaced by a file", async () => {
    if (process.platform === "win32") return;
    symlinkSync("/dev/null", scratch("out.ndjson"));
    await expect(open(at("out.ndjson"))).rejects.toThrow(
      /out\.ndjson is not a file: rows are written to files and directories/,
    );
    expect(statSync("/dev/null").isCharacterDevice()).toBe(true);
  });

  it("is one on a full disk", async () => {
    const probe = await openHandle(scratch("probe"), "w");
    const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
    const spy = jest.spyOn(Object.getPrototypeOf(probe) as typeof probe, "writeFile").mockRejectedValue(full);
    await probe.close();
    try {
      for (const uri of [at("out.ndjson"), at("out.ndjson.gz")]) {
        const target = await open(uri);
        await target.write("candles", [{ a: "x", n: 1 }]);
        await expect(target.commit()).rejects.toThrow(/could not be written: the disk is full$/);
        await target.abort();
      }
    } finally {
      spy.mockRestore();
    }
    expect(readdirSync(scratch())).toEqual(["probe"]);
  });

  it("is a name that a table must not choose", async () => {
    for (const name of ["../out", "a/b", ".hidden", "a\\b", ""]) {
      const table = { ...candles.table, name };
      await expect(open(at("out/"), [{ name: "candles", table }])).rejects.toThrow(/cannot be the name of a file/);
    }
  });

  it.each([
    ["file:", /needs a path behind it/],
    ["file:out.avro", /out\.avro is a \.avro file: files are NDJSON or CSV/],
    ["file:out.csv?header=false", /has the option “header”/],
    ["file:out.csv?format=xml", /“xml” is not a format of/],
  ])("is %s", async (uri, message) => {
    await expect(open(uri)).rejects.toThrow(UsageError);
    await expect(open(uri)).rejects.toThrow(message);
  });

  it("is not one behind a link: that file is replaced, and the link stays", async () => {
    if (process.platform === "win32") return;
    writeFileSync(scratch("real.ndjson"), "old\n");
    symlinkSync(scratch("real.ndjson"), scratch("link.ndjson"));
    await writeAll(at("link.ndjson"), [{ a: "x", n: 1 }]);
    expect(readFileSync(scratch("real.ndjson"), "utf8")).toBe('{"a":"x","n":1}\n');
  });
});
