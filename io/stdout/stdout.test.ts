import { spawnSync } from "node:child_process";
import path from "node:path";
import { Writable } from "node:stream";
import { z } from "zod";
import { RunError, UsageError } from "../../schema/errors";
import { tableOf } from "../../schema/table";
import { parseAddress } from "../address";
import { type Batch, type Output } from "../connector";
import { printTo } from "./stdout";

const candles: Output = {
  name: "candles",
  table: tableOf("c", z.object({ a: z.string(), n: z.int() }), { key: ["a"] }),
};
const dead: Output = { name: "dead", table: tableOf("d", z.object({ output: z.string() }), { key: ["output"] }) };
const batch: Batch = { job: "j", pipeline: "p", id: "b", plan: "p1", ranges: [], replays: [], turn: null };
const address = parseAddress("stdout:");

/** A stream that keeps what it gets, or fails with `code`, and answers only after a moment. */
function reader(code?: string) {
  let text = "";
  let waiting = 0;
  let mostWaiting = 0;
  const stream = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      mostWaiting = Math.max(mostWaiting, (waiting += 1));
      setTimeout(() => {
        waiting -= 1;
        text += chunk;
        done(code === undefined ? null : Object.assign(new Error(`write ${code}`), { code }));
      }, 1);
    },
  });
  return { stream, text: () => text, mostWaiting: () => mostWaiting, buffered: () => stream.writableLength };
}

describe("standard output", () => {
  it("gets the rows of one output as they are", async () => {
    const { stream, text } = reader();
    const target = await printTo(stream).open(address, [candles], batch);
    expect(
      await target.write("candles", [
        { a: "ü", n: 1 },
        { a: "b", n: 2 },
      ]),
    ).toEqual({ written: 2 });
    expect(await target.write("candles", [])).toEqual({ written: 0 });
    await target.commit();
    expect(text()).toBe('{"a":"ü","n":1}\n{"a":"b","n":2}\n');
  });

  it("gets the rows of several outputs with their names beside them", async () => {
    const { stream, text } = reader();
    const target = await printTo(stream).open(address, [candles, dead], batch);
    await target.write("candles", [{ a: "x", n: 1 }]);
    await target.write("dead", [{ output: "mine" }]);
    await target.commit();
    expect(text()).toBe('{"output":"candles","row":{"a":"x","n":1}}\n{"output":"dead","row":{"output":"mine"}}\n');
  });

  it("makes the run wait for a slow reader", async () => {
    const slow = reader();
    const target = await printTo(slow.stream).open(address, [candles], batch);
    for (let n = 0; n < 5; n += 1) {
      await target.write("candles", [{ a: "x", n }]);
      expect(slow.buffered()).toBe(0);
    }
    expect(slow.mostWaiting()).toBe(1);
  });

  it("is done quietly when the reader has gone", async () => {
    const { stream } = reader("EPIPE");
    const target = await printTo(stream).open(address, [candles], batch);
    for (let times = 0; times < 3; times += 1) {
      expect(await target.write("candles", [{ a: "x", n: 1 }])).toEqual({ written: 1 });
    }
    await target.commit();
    await new Promise((resolve) => setTimeout(resolve, 5));
  });

  it("fails the run for any other reason", async () => {
    const { stream } = reader("EIO");
    const target = await printTo(stream).open(address, [candles], batch);
    await expect(target.write("candles", [{ a: "x", n: 1 }])).rejects.toThrow(
      new RunError("Standard output could not be written: write EIO"),
    );
    await target.abort();
  });

  it.each(["stdout:out.ndjson", "stdout:?format=csv"])("takes nothing behind it: %s", async (uri) => {
    await expect(printTo(reader().stream).open(parseAddress(uri), [candles], batch)).rejects.toThrow(UsageError);
  });

  it("survives a real reader that leaves", () => {
    const script = `
      const { stdout } = require(${JSON.stringify(path.join(__dirname, "stdout.ts"))});
      const table = { name: "t", columns: [{ name: "a", type: { kind: "text" }, nullable: false, description: "" }], key: ["a"], mode: "upsert" };
      (async () => {
        const target = await stdout.sink.open({ scheme: "stdout", path: "", options: {} }, [{ name: "t", table }], {});
        const rows = Array.from({ length: 1000 }, () => ({ a: "x".repeat(100) }));
        for (let times = 0; times < 100; times += 1) await target.write("t", rows);
        await target.commit();
        process.stderr.write("finished");
      })();`;
    const reader = `
      const child = require("node:child_process").spawn(process.execPath, ["-r", "tsx/cjs", "-e", process.argv[1]], { stdio: ["ignore", "pipe", "inherit"] });
      child.stdout.once("data", () => child.stdout.destroy());
      child.on("exit", (code) => process.exit(code));`;
    const root = path.resolve(__dirname, "../..");
    const result = spawnSync(process.execPath, ["-e", reader, script], { cwd: root, encoding: "utf8" });
    expect([result.status, result.stderr]).toEqual([0, "finished"]);
  });
});
