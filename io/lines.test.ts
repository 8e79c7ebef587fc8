import fc from "fast-check";
import { isUtf8 } from "node:buffer";
import { type SourceRecord } from "../schema/record";
import { LineSplitter } from "./lines";

/** What `parts`, taken as the chunks of one file, give. */
function recordsOf(
  parts: readonly Uint8Array[],
  options: { exact?: boolean; maxLineBytes?: number } = {},
): SourceRecord[] {
  const splitter = new LineSplitter({ source: "f", exact: options.exact ?? false, maxLineBytes: options.maxLineBytes });
  const records: SourceRecord[] = [];
  // One buffer for all chunks, as a file's reader has it: a record that still points into it is found out.
  const shared = Buffer.alloc(Math.max(1, ...parts.map((part) => part.length)));
  for (const part of parts) {
    shared.set(part);
    for (const batch of splitter.push(shared.subarray(0, part.length))) records.push(...batch);
    shared.fill(0x58);
  }
  for (const batch of splitter.end()) records.push(...batch);
  return records;
}

function inPieces(bytes: Uint8Array, size: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}

const linesOf = (text: string | Uint8Array) =>
  recordsOf([typeof text === "string" ? Buffer.from(text) : text]).map(({ position, value }) => [position, value]);

/** The same rules, written as slowly and plainly as can be. */
function plainly(bytes: Buffer): [number, string | Uint8Array][] {
  const records: [number, string | Uint8Array][] = [];
  let start = 0;
  let line = 0;
  while (start < bytes.length) {
    line += 1;
    let end = bytes.indexOf(10, start);
    if (end < 0) end = bytes.length;
    let content = bytes.subarray(start, end);
    start = end + 1;
    if (content[content.length - 1] === 13) content = content.subarray(0, -1);
    if (line === 1 && content.subarray(0, 3).equals(Buffer.from("\uFEFF"))) content = content.subarray(3);
    const value = isUtf8(content) ? content.toString() : new Uint8Array(content);
    if (typeof value !== "string" || !/^[ \t\r]*$/.test(value)) records.push([line, value]);
  }
  return records;
}

const piece = fc.oneof(
  fc
    .constantFrom("\n", "\r\n", "\r", "\uFEFF", "{}", " ", "\t", "\0", "é", "€", "😀", "x".repeat(3000))
    .map((text) => Buffer.from(text)),
  fc
    .constantFrom([0xff], [0xc3], [0xe2, 0x82], [0xf0, 0x9f], [0x80], [0xef, 0xbb], [0xed, 0xa0, 0x80])
    .map((bytes) => Buffer.from(bytes)),
  fc.string({ unit: "binary", maxLength: 20 }).map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
);
const content = fc.array(piece, { maxLength: 60 }).map((pieces) => Buffer.concat(pieces));

describe("lines", () => {
  it.each<[string, string, [number, string][]]>([
    ["nothing", "", []],
    ["only a line end", "\n", []],
    ["only line ends", "\n\r\n\n", []],
    [
      "a last line with an end",
      "a\nb\n",
      [
        [1, "a"],
        [2, "b"],
      ],
    ],
    [
      "a last line without an end",
      "a\nb",
      [
        [1, "a"],
        [2, "b"],
      ],
    ],
    [
      "CRLF",
      "a\r\nb\r\n",
      [
        [1, "a"],
        [2, "b"],
      ],
    ],
    [
      "CRLF and LF mixed, the last without",
      "a\r\nb\nc\r",
      [
        [1, "a"],
        [2, "b"],
        [3, "c"],
      ],
    ],
    ["a carriage return inside", "a\rb\n", [[1, "a\rb"]]],
    [
      "blank lines count as lines, not as records",
      "a\n\n \t\r\nb",
      [
        [1, "a"],
        [4, "b"],
      ],
    ],
    [
      "a byte order mark",
      "\uFEFFa\nb",
      [
        [1, "a"],
        [2, "b"],
      ],
    ],
    ["nothing but a byte order mark", "\uFEFF", []],
    [
      "a byte order mark later is content",
      "a\n\uFEFFb",
      [
        [1, "a"],
        [2, "\uFEFFb"],
      ],
    ],
    ["spaces at the ends are content", " a \n", [[1, " a "]]],
    ["NUL", "a\0b\n", [[1, "a\0b"]]],
  ])("%s", (_name, text, expected) => {
    expect(linesOf(text)).toEqual(expected);
  });

  it("keeps the exact bytes of a line that is not UTF-8, and its neighbours as text", () => {
    const bytes = Buffer.concat([Buffer.from("ä\n"), Buffer.from([0xff, 0x00, 0x0d, 0x0a]), Buffer.from("ö\n")]);
    expect(linesOf(bytes)).toEqual([
      [1, "ä"],
      [2, new Uint8Array([0xff, 0x00])],
      [3, "ö"],
    ]);
  });

  it("finds the one bad line of a large chunk", () => {
    const lines = Array.from({ length: 20_000 }, (_, at) => `{"number":${at},"text":"é"}`);
    const bytes = Buffer.from(lines.join("\n"));
    bytes[bytes.indexOf("é", bytes.length >> 1)] = 0x28;
    const records = recordsOf([bytes]);
    expect(records).toHaveLength(20_000);
    expect(records.filter((record) => typeof record.value !== "string")).toHaveLength(1);
    expect(records.map((record) => record.position)).toEqual(lines.map((_, at) => at + 1));
  });

  it("hands on some thousands at a time, all with the same shape", () => {
    const splitter = new LineSplitter({ source: "f", exact: false });
    const batches = [...splitter.push(Buffer.from("x\n".repeat(20_000))), ...splitter.end()];
    expect(Math.max(...batches.map((batch) => batch.length))).toBeLessThanOrEqual(4096);
    expect(batches.flat()).toHaveLength(20_000);
    const shapes = new Set(batches.flat().map((record) => Object.keys(record).join()));
    expect([...shapes]).toEqual(["value,source,position,key,timestamp,headers,fields"]);
  });

  it("gives the same as the plain rules, however the bytes are cut into chunks", () => {
    fc.assert(
      fc.property(content, fc.integer({ min: 1, max: 50 }), (bytes, size) => {
        const expected = plainly(bytes);
        for (const parts of [[bytes], inPieces(bytes, size)]) {
          const records = recordsOf(parts);
          expect(records.map(({ position, value }) => [position, value])).toEqual(expected);
          expect(records.every((record) => record.source === "f" && record.headers === null)).toBe(true);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("keeps every byte in exact mode", () => {
    fc.assert(
      fc.property(content, fc.integer({ min: 1, max: 50 }), (bytes, size) => {
        const lines = recordsOf(inPieces(bytes, size), { exact: true }).map(({ value }) =>
          Buffer.from(value as string),
        );
        const joined = Buffer.concat(lines.flatMap((line, at) => (at === 0 ? [line] : [Buffer.from("\n"), line])));
        const start = bytes.subarray(0, 3).equals(Buffer.from("\uFEFF")) ? 3 : 0;
        const end = bytes[bytes.length - 1] === 10 ? bytes.length - 1 : bytes.length;
        expect(joined.equals(bytes.subarray(start, Math.max(start, end)))).toBe(true);
      }),
    );
  });
});

describe("a line that is too long", () => {
  it("is cut, and says from what length", () => {
    const bytes = Buffer.from(`short\n${"x".repeat(50)}\r\nafter\n`);
    for (const size of [1, 3, 7]) {
      const records = recordsOf(inPieces(bytes, size), { maxLineBytes: 10 });
      expect(records.map(({ position, value, headers }) => [position, value, headers])).toEqual([
        [1, "short", null],
        [2, "x".repeat(10), { "truncated-from": "50" }],
        [3, "after", null],
      ]);
    }
  });

  it("is not cut at exactly the limit", () => {
    const [record] = recordsOf(inPieces(Buffer.from(`${"x".repeat(10)}\n`), 4), { maxLineBytes: 10 });
    expect(record).toMatchObject({ value: "x".repeat(10), headers: null });
  });

  it("stays text when the cut falls into a character", () => {
    const [record] = recordsOf(inPieces(Buffer.from("aaaaaaaa€€€€"), 4), { maxLineBytes: 10 });
    expect(record).toMatchObject({ value: "aaaaaaaa", headers: { "truncated-from": "20" } });
  });

  it("keeps its first bytes when it is no text", () => {
    const [record] = recordsOf([Buffer.alloc(9, 0xff), Buffer.alloc(9, 0xff)], { maxLineBytes: 10 });
    expect(record?.value).toEqual(new Uint8Array(10).fill(0xff));
  });

  it("takes no more memory than its limit", () => {
    const splitter = new LineSplitter({ source: "f", exact: false });
    const chunk = Buffer.alloc(1 << 20, 0x78);
    const before = process.memoryUsage().arrayBuffers;
    for (let times = 0; times < 200; times += 1) for (const _ of splitter.push(chunk)) throw new Error("no line yet");
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 << 20);
    const [record] = [...splitter.push(Buffer.from("\n"))].flat();
    expect(record?.value).toHaveLength(16 << 20);
    expect(record?.headers).toEqual({ "truncated-from": String(200 << 20) });
  });
});
