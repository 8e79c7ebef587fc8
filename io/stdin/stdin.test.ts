import { spawn } from "node:child_process";
import path from "node:path";
import { PassThrough, Readable } from "node:stream";
import { RunError, UsageError } from "../../schema/errors";
import { type SourceRecord } from "../../schema/record";
import { parseAddress } from "../address";
import { EVERYTHING } from "../connector";
import { readFrom } from "./stdin";

const of = (stream: Readable) => readFrom(() => stream);
const textOf = (...chunks: readonly (string | Buffer)[]) => Readable.from(chunks.map((chunk) => Buffer.from(chunk)));

async function recordsOf(stream: Readable, uri = "stdin:", signal?: AbortSignal): Promise<SourceRecord[]> {
  const source = of(stream);
  const records: SourceRecord[] = [];
  for (const range of await source.plan(parseAddress(uri), EVERYTHING))
    for await (const batch of source.read(range, signal)) records.push(...batch);
  return records;
}

async function flowOf(stream: Readable, signal: AbortSignal, uri = "stdin:"): Promise<SourceRecord[]> {
  const records: SourceRecord[] = [];
  for await (const batch of of(stream).flow?.(parseAddress(uri), signal) ?? []) records.push(...batch);
  return records;
}
const never = new AbortController().signal;
const values = (records: readonly SourceRecord[]) => records.map(({ value }) => value);

describe("standard input", () => {
  it("is one range, read to its end", async () => {
    const records = await recordsOf(textOf("a\nb", "c\r\n\n", "ü"));
    expect(records.map(({ source, position, value }) => [source, position, value])).toEqual([
      ["stdin", 1, "a"],
      ["stdin", 2, "bc"],
      ["stdin", 4, "ü"],
    ]);
    expect(await recordsOf(textOf())).toEqual([]);
  });

  it("is CSV when that is said", async () => {
    const records = await recordsOf(textOf('n,t\n1,"x\n', 'y"\n2,z'), "stdin:?format=csv");
    expect(records.map(({ fields }) => ({ ...fields }))).toEqual([
      { n: "1", t: "x\ny" },
      { n: "2", t: "z" },
    ]);
    expect(values(await flowOf(textOf("n\n1\n"), never, "stdin:?format=csv"))).toEqual(["1"]);
  });

  it("gives what comes when it comes", async () => {
    const stream = new PassThrough();
    const flow = of(stream).flow?.(parseAddress("stdin:"), never)[Symbol.asyncIterator]();
    stream.write("a\nb");
    expect(values((await flow?.next())?.value as SourceRecord[])).toEqual(["a"]);
    const next = flow?.next();
    stream.write("c\n");
    expect(values((await next)?.value as SourceRecord[])).toEqual(["bc"]);
    stream.end();
    expect((await flow?.next())?.done).toBe(true);
  });

  it("is not read ahead of who reads it", async () => {
    const chunk = Buffer.from(`${"x".repeat(9_999)}\n`);
    let asked = 0;
    const stream = new Readable({ read: () => void stream.push((asked += 1) > 1_000 ? null : chunk) });
    const flow = of(stream).flow?.(parseAddress("stdin:"), never)[Symbol.asyncIterator]();
    await flow?.next();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(asked).toBeLessThan(30);
    await flow?.return?.();
    expect(stream.destroyed).toBe(true);
  });

  it("gives all that was taken from it when the job ends, and marks a line that was cut", async () => {
    const stop = new AbortController();
    const stream = new PassThrough();
    stream.write("a\nb\n{");
    stop.abort(new Error("stop"));
    const records = await flowOf(stream, stop.signal);
    expect(records.map(({ value, headers }) => [value, headers])).toEqual([
      ["a", null],
      ["b", null],
      ["{", { "cut-off": "true" }],
    ]);
    expect(stream.destroyed).toBe(true);
  });

  it("takes no part of a row for the row: its fields are not there", async () => {
    const stop = new AbortController();
    const stream = new PassThrough();
    stream.write("n,price\n1,100\n2,20");
    stop.abort();
    const records = await flowOf(stream, stop.signal, "stdin:?format=csv");
    expect(records.map(({ value, fields }) => [value, fields && { ...fields }])).toEqual([
      ["1,100", { n: "1", price: "100" }],
      ["2,20", null],
    ]);
  });

  it("ends while it waits, when it is told to", async () => {
    const stop = new AbortController();
    const records = flowOf(new PassThrough(), stop.signal);
    setTimeout(() => stop.abort(), 5);
    expect(await records).toEqual([]);
  });

  it("ends a run that is interrupted with the reason", async () => {
    const stop = new AbortController();
    const stream = new PassThrough();
    stream.write("a\n");
    setTimeout(() => stop.abort(new RunError("Interrupted")), 5);
    await expect(recordsOf(stream, "stdin:", stop.signal)).rejects.toThrow("Interrupted");
  });

  it("says what went wrong", async () => {
    const broken = new Readable({ read: () => broken.destroy(new Error("EIO: i/o error, read")) });
    await expect(recordsOf(broken)).rejects.toThrow(
      new RunError("Standard input could not be read: EIO: i/o error, read"),
    );
    const closed = new PassThrough();
    setTimeout(() => closed.destroy(), 5);
    await expect(recordsOf(closed)).rejects.toThrow(new RunError("Standard input was closed before its end"));
    expect(await flowOf(closed, never).catch(String)).toContain("closed before its end");
  });

  it.each([
    ["stdin:x.ndjson", "“stdin:” takes nothing behind it: write file:x.ndjson to read a file"],
    ["stdin:?format=cvs", "“cvs” is not a format of “stdin:”: it must be one of ndjson, csv"],
    ["stdin:?fromat=csv", "“stdin:” has the option “fromat”: did you mean “format”?"],
  ])("refuses %s", async (uri, sentence) => {
    await expect(recordsOf(textOf("a"), uri)).rejects.toThrow(new UsageError(sentence));
    await expect(flowOf(textOf("a"), never, uri)).rejects.toThrow(new UsageError(sentence));
  });

  it("refuses a terminal, where somebody would have to type the records", async () => {
    const terminal = Object.assign(new PassThrough(), { isTTY: true });
    await expect(recordsOf(terminal)).rejects.toThrow(UsageError);
    await expect(flowOf(terminal, never)).rejects.toThrow("Nothing is piped into standard input");
  });

  it("leaves in a real pipe what was not taken from it, for whoever reads it next", async () => {
    // Two processes read one pipe, one after the other. The first is told to end in the midst; together they have all.
    const script = `
      const { stdin } = require(${JSON.stringify(path.join(__dirname, "stdin.ts"))});
      const stop = new AbortController();
      (async () => {
        let seen = 0;
        for await (const records of stdin.source.flow({ scheme: "stdin", path: "", options: {} }, stop.signal)) {
          for (const { value, headers } of records) process.stdout.write(headers === null ? value + "\\n" : value);
          seen += records.length;
          if (process.argv[1] === "second" || seen < 500) continue;
          stop.abort();
          // Time enough for more to be taken from the pipe.
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
      })();`;
    const tsx = `${process.execPath} --require ${path.resolve("node_modules/tsx/dist/preflight.cjs")} --require tsx/cjs`;
    const child = spawn("sh", ["-c", `{ seq 1 200000; } | { ${tsx} -e "$0" first; ${tsx} -e "$0" second; }`, script], {
      cwd: path.resolve(__dirname, "../.."),
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    for await (const chunk of child.stdout) text += String(chunk);
    const numbers = text.trim().split("\n").map(Number);
    expect(numbers).toHaveLength(200_000);
    expect(numbers.every((number, index) => number === index + 1)).toBe(true);
  }, 30_000);
});
