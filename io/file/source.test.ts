import { chmodSync, mkdirSync, rmSync, writeFileSync, appendFileSync } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { RunError, UsageError } from "../../schema/errors";
import { type Range, type SourceRecord } from "../../schema/record";
import { asOrdinaryUser, scratchDirectory } from "../../test/scratch";
import { parseAddress } from "../address";
import { EVERYTHING } from "../connector";
import { fileSource, readRange } from "./source";

const scratch = scratchDirectory();
const plan = (uri: string): Promise<Range[]> => fileSource.plan(parseAddress(uri), EVERYTHING);

function put(name: string, content: string | Uint8Array): string {
  mkdirSync(path.dirname(scratch(name)), { recursive: true });
  writeFileSync(scratch(name), content);
  return scratch(name);
}

async function recordsOf(uri: string, chunkBytes?: number): Promise<SourceRecord[]> {
  const records: SourceRecord[] = [];
  for (const range of await plan(uri)) {
    for await (const batch of readRange(range, chunkBytes)) records.push(...batch);
  }
  return records;
}

const values = async (uri: string, chunkBytes?: number) => (await recordsOf(uri, chunkBytes)).map(({ value }) => value);

describe("the plan of a file", () => {
  it("is one range a file", async () => {
    const file = put("trades.ndjson", "{}\n");
    const shown = file.replaceAll("\\", "/");
    expect(await plan(`file:${file}`)).toEqual([
      {
        ...{ connector: "file", source: shown, from: 1, to: null },
        detail: { path: file, format: "ndjson", version: expect.any(String) as string },
      },
    ]);
  });

  it("shows a file in the working directory by its relative path", async () => {
    const [range] = await plan("file:./schema/../package.json");
    expect(range).toMatchObject({ source: "package.json", detail: { path: path.resolve("package.json") } });
  });

  it("takes all files that match a pattern, by name", async () => {
    for (const name of ["b 2.ndjson", "b 10.ndjson", "a.ndjson", "c.csv", ".hidden.ndjson", "deep/ü.ndjson"])
      put(name, "");
    mkdirSync(scratch("d.ndjson"));
    const names = async (pattern: string) =>
      (await plan(`file:${scratch(pattern)}`)).map((range) => path.relative(scratch(), String(range.detail["path"])));
    expect(await names("*.ndjson")).toEqual(["a.ndjson", "b 10.ndjson", "b 2.ndjson"]);
    expect(await names("**/*.{ndjson,csv}")).toEqual([
      "a.ndjson",
      "b 10.ndjson",
      "b 2.ndjson",
      "c.csv",
      path.join("deep", "ü.ndjson"),
    ]);
    expect(await names("?.ndjson")).toEqual(["a.ndjson"]);
  });

  it("prefers a file with that very name to a pattern", async () => {
    put("a[1].ndjson", "literal");
    put("a1.ndjson", "pattern");
    expect(await values(`file:${scratch("a[1].ndjson")}`)).toEqual(["literal"]);
    rmSync(scratch("a[1].ndjson"));
    expect(await values(`file:${scratch("a[1].ndjson")}`)).toEqual(["pattern"]);
  });

  it.each([
    ["a.csv", "csv"],
    ["a.CSV.gz", "csv"],
    ["a.ndjson.gz", "ndjson"],
    ["a.txt", "ndjson"],
    ["a.csv.txt", "ndjson"],
    ["a.csv?format=ndjson", "ndjson"],
    ["a.zip?format=csv", "csv"],
  ])("%s is read as %s", async (name, format) => {
    put(name.replace(/\?.*/, ""), "");
    expect((await plan(`file:${scratch(name)}`))[0]?.detail["format"]).toBe(format);
  });

  it.each([
    ["nothing.ndjson", /nothing\.ndjson does not exist$/],
    ["*.nothing", /^No file matches .*\*\.nothing$/],
    ["directory", /directory is a directory: name the files in it, such as file:.*\/\*\.ndjson$/],
    ["file.ndjson/below", /below does not exist$/],
    ["trades.zip", /trades\.zip is a \.zip file: files are NDJSON or CSV, plain or gzip/],
    ["file.ndjson?fromat=csv", /has the option “fromat”: did you mean “format”\?$/],
    ["file.ndjson?format=csf", /“csf” is not a format of .*: did you mean “csv”\?$/],
  ])("refuses %s in one sentence", async (name, message) => {
    mkdirSync(scratch("directory"));
    put("file.ndjson", "");
    put("trades.zip", "");
    const refused = plan(`file:${scratch(name)}`);
    await expect(refused).rejects.toThrow(UsageError);
    await expect(refused).rejects.toThrow(message);
  });

  it("refuses an empty path", async () => {
    await expect(plan("file:")).rejects.toThrow("“file:” needs a path behind it, such as file:data/trades.ndjson");
  });

  it("refuses a file that may not be read", async () => {
    const file = put("secret.ndjson", "{}");
    chmodSync(file, 0);
    chmodSync(scratch(), 0o755);
    await asOrdinaryUser(async () => {
      await expect(plan(`file:${file}`)).rejects.toThrow(UsageError);
      await expect(plan(`file:${file}`)).rejects.toThrow(/secret\.ndjson may not be read/);
    });
  });
});

describe("a file that changed since it was planned", () => {
  it("is noticed, whether a run begins now or goes on with an old plan", async () => {
    const file = put("a.ndjson", "{}\n");
    const [range] = await plan(`file:${file}`);
    appendFileSync(file, "{}\n");
    const read = readRange(range as Range);
    await expect(read.next()).rejects.toThrow(/a\.ndjson was changed or deleted since the run was planned/);
  });
});

describe("a file", () => {
  it("gives its lines with where they are", async () => {
    const file = put("a.ndjson", '{"a":1}\r\n\r\n{"a":2}');
    expect(await recordsOf(`file:${file}`)).toEqual(
      [
        [1, '{"a":1}'],
        [3, '{"a":2}'],
      ].map(([position, value]) => ({
        value,
        source: file.replaceAll("\\", "/"),
        position,
        key: null,
        timestamp: null,
        headers: null,
        fields: null,
      })),
    );
  });

  it("may be one line of 2 MB", async () => {
    const line = `{"text":"${"é".repeat(1_000_000)}"}`;
    expect(await values(`file:${put("a.ndjson", `${line}\n{}\n`)}`)).toEqual([line, "{}"]);
  });

  it("is cut at 16 MiB a line", async () => {
    const file = put("a.ndjson", Buffer.concat([Buffer.alloc((16 << 20) + 5, 0x78), Buffer.from("\n{}\n")]));
    const [long, next] = await recordsOf(`file:${file}`);
    expect(long).toMatchObject({ position: 1, headers: { "truncated-from": String((16 << 20) + 5) } });
    expect(long?.value).toHaveLength(16 << 20);
    expect(next).toMatchObject({ position: 2, value: "{}", headers: null });
  });

  it("may be garbage", async () => {
    const garbage = Buffer.from(Array.from({ length: 5_000 }, (_, at) => (at * 7919) % 251));
    const records = await recordsOf(`file:${put("a.ndjson", garbage)}`, 100);
    const bytes = records.map(({ value }) => Buffer.from(value as string));
    expect(Buffer.concat(bytes).length).toBeGreaterThan(4_900);
  });

  it.each([0, 1, 2, 3])("may be %i bytes long", async (length) => {
    expect(await values(`file:${put("a.ndjson", "abc".slice(0, length))}`)).toEqual(
      length === 0 ? [] : ["abc".slice(0, length)],
    );
  });

  it("is CSV with columns when its name says so", async () => {
    const [record] = await recordsOf(`file:${put("a.csv", 'a,b\n"1\n",2\n')}`);
    expect(record).toMatchObject({ position: 2, value: '"1\n",2' });
    expect({ ...record?.fields }).toEqual({ a: "1\n", b: "2" });
  });

  it("can be read in part", async () => {
    const file = put("a.ndjson", "1\n2\n3\n4\n5\n");
    const [range] = await plan(`file:${file}`);
    const part: SourceRecord[] = [];
    for await (const batch of fileSource.read({ ...(range as Range), from: 2, to: 4 })) part.push(...batch);
    expect(part.map(({ position }) => position)).toEqual([2, 3]);
  });

  it("gives the same however large the chunks are, packed or not", async () => {
    const lines = fc.array(fc.string({ unit: fc.constantFrom("a", "é", "😀", '"', ",", "\r") }), { maxLength: 30 });
    const sizes = fc.integer({ min: 1, max: 200 });
    await fc.assert(
      fc.asyncProperty(lines, sizes, fc.constantFrom("csv", "ndjson"), fc.nat(), async (texts, size, format, cut) => {
        const bytes = Buffer.from(["a,b", ...texts].join("\n"));
        const at = cut % (bytes.length + 1);
        const members = Buffer.concat([gzipSync(bytes.subarray(0, at)), gzipSync(bytes.subarray(at))]);
        const plain = `file:${put("a", bytes)}?format=${format}`;
        const packed = `file:${put("b", members)}?format=${format}`;
        const expected = await recordsOf(plain);
        const withoutSource = (records: SourceRecord[]) => records.map((record) => ({ ...record, source: "" }));
        expect(await recordsOf(plain, size)).toEqual(expected);
        expect(withoutSource(await recordsOf(packed, size))).toEqual(withoutSource(expected));
      }),
      { numRuns: 60 },
    );
  });
});

describe("gzip", () => {
  const text = Array.from({ length: 5_000 }, (_, at) => `{"number":${at}}`).join("\n");

  it("is told by its first bytes, not by the name", async () => {
    expect(await values(`file:${put("packed.ndjson", gzipSync("a\nb"))}`)).toEqual(["a", "b"]);
    expect(await values(`file:${put("plain.ndjson.gz", "a\nb")}`)).toEqual(["a", "b"]);
  });

  it("may have several members and zeros behind the last", async () => {
    const file = put(
      "a.gz",
      Buffer.concat([gzipSync("a\nb"), gzipSync("c\n"), gzipSync(""), gzipSync("d"), Buffer.alloc(512)]),
    );
    expect(await values(`file:${file}`)).toEqual(["a", "bc", "d"]);
  });

  it.each<[string, (whole: Buffer) => Buffer, RegExp]>([
    ["cut off", (whole) => whole.subarray(0, whole.length - 100), /a\.gz is cut off: its gzip data ends too early/],
    ["cut in its last bytes", (whole) => whole.subarray(0, whole.length - 3), /a\.gz is cut off/],
    ["only a header", (whole) => whole.subarray(0, 2), /a\.gz is cut off/],
    [
      "damaged in the middle",
      (whole) => Buffer.from(whole.map((byte, at) => (at === 2000 ? byte ^ 0xff : byte))),
      /a\.gz is damaged: its gzip data cannot be unpacked/,
    ],
    ["followed by something else", (whole) => Buffer.concat([whole, Buffer.from("garbage")]), /a\.gz is damaged/],
    [
      "two bytes and garbage",
      () => Buffer.from([0x1f, 0x8b, ...Buffer.from("garbage, nothing but garbage")]),
      /a\.gz is damaged/,
    ],
  ])("that is %s fails the run in one sentence", async (_name, damage, message) => {
    const uri = `file:${put("a.gz", damage(gzipSync(text)))}`;
    await expect(recordsOf(uri)).rejects.toThrow(RunError);
    await expect(recordsOf(uri)).rejects.toThrow(message);
  });
});

describe("a file that changes under the run", () => {
  it("fails the run when it is gone", async () => {
    const file = put("a.ndjson", "1\n");
    const [range] = await plan(`file:${file}`);
    rmSync(file);
    const gone = readRange(range as Range).next();
    await expect(gone).rejects.toThrow(RunError);
    await expect(readRange(range as Range).next()).rejects.toThrow(/a\.ndjson is not there any more/);
  });

  it("fails the run when it grows while it is read", async () => {
    const file = put("a.ndjson", "1\n2\n");
    const [range] = await plan(`file:${file}`);
    const reading = readRange(range as Range, 2);
    await reading.next();
    appendFileSync(file, "3\n");
    await expect(
      (async () => {
        for await (const batch of reading) expect(batch.length).toBeGreaterThan(0);
      })(),
    ).rejects.toThrow(/a\.ndjson changed while it was read/);
  });

  it("is let go of when nobody wants the rest", async () => {
    for (const content of ["1\n".repeat(100_000), gzipSync("1\n".repeat(1_000_000))]) {
      const [range] = await plan(`file:${put("a.ndjson", content)}`);
      for await (const batch of readRange(range as Range)) {
        expect(batch.length).toBeGreaterThan(0);
        break;
      }
    }
  });
});
