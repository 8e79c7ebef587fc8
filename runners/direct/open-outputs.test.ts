import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from "node:fs";
import { z } from "zod";
import { type Batch, type Output } from "../../io/connector";
import { RunError, UsageError } from "../../schema/errors";
import { tableOf } from "../../schema/table";
import { scratchDirectory } from "../../test/scratch";
import { OpenOutputs, WriteOutput, type Writing } from "./open-outputs";
import { RefusedRows } from "./refused-rows";

const scratch = scratchDirectory();
const table = (name: string) => tableOf(name, z.object({ id: z.int() }), { key: ["id"] });
const outputs: Output[] = [
  { name: "a", table: table("a") },
  { name: "b", table: table("b") },
];
const batch: Batch = { job: "j", pipeline: "p", id: "batch", plan: "p1", ranges: [], replays: [], turn: null };
const file = (place: string) => ({ scheme: "file", path: scratch(place), options: {} });
const separate = () => ({ a: file("a.ndjson"), b: file("b.ndjson") });
const run = {
  ...{ job: "j", pipeline: "p", version: "3", batch: "batch", attempt: 1 },
  deadLetterLimit: { share: 0.5, consecutive: 1000, sample: 100 },
};
const writing = (more: Partial<Writing> = {}): Writing => ({
  ...{ run, refused: RefusedRows.of(""), onRows: () => {}, fallback: null },
  ...more,
});
const nobody = writing();

test("rows go to their output, and are seen when all is committed", async () => {
  const seen: string[] = [];
  const opened = await OpenOutputs.open(
    outputs,
    separate(),
    batch,
    writing({ onRows: ({ name }, rows) => void seen.push(`${name} ${rows.length}`) }),
  );
  await opened.write("a", [{ id: 1 }]);
  await new WriteOutput("b", "batch").write([{ id: 2 }, { id: 3 }]);
  expect(existsSync(scratch("a.ndjson"))).toBe(false);
  expect(Object.fromEntries(opened.written)).toEqual({ a: 1, b: 2 });
  await opened.commit();
  expect(readFileSync(scratch("b.ndjson"), "utf8")).toBe('{"id":2}\n{"id":3}\n');
  expect(readFileSync(scratch("a.ndjson"), "utf8")).toBe('{"id":1}\n');
  expect(seen).toEqual(["a 1", "b 2"]);
});

test("an output that gets no rows is written too", async () => {
  const opened = await OpenOutputs.open(outputs, separate(), batch, nobody);
  await opened.commit();
  expect(Object.fromEntries(opened.written)).toEqual({ a: 0, b: 0 });
  expect(readdirSync(scratch()).sort()).toEqual(["a.ndjson", "b.ndjson"]);
});

test("an abort leaves nothing, and the next run of the batch can open again", async () => {
  const opened = await OpenOutputs.open(outputs, separate(), batch, nobody);
  await opened.write("a", [{ id: 1 }]);
  await opened.abort();
  expect(readdirSync(scratch())).toEqual([]);
  await (await OpenOutputs.open(outputs, separate(), batch, nobody)).abort();
});

test("when one cannot be opened, those before it are closed again", async () => {
  const addresses = { a: file("a.ndjson"), b: { scheme: "file", path: "", options: {} } };
  await expect(OpenOutputs.open(outputs, addresses, batch, nobody)).rejects.toThrow(UsageError);
  expect(readdirSync(scratch())).toEqual([]);
  await (await OpenOutputs.open(outputs, separate(), batch, nobody)).abort();
});

test("one batch is not open twice in a process: the rows of one would go to the other", async () => {
  const opened = await OpenOutputs.open(outputs, separate(), batch, nobody);
  await expect(OpenOutputs.open(outputs, { a: file("c"), b: file("d") }, batch, nobody)).rejects.toThrow(
    new RunError("The batch batch is already running in this process"),
  );
  await opened.abort();
});

test("tables that go to one database are one target, however its path is written", async () => {
  const addresses = {
    a: { scheme: "sqlite", path: scratch("x.db"), options: {} },
    b: { scheme: "sqlite", path: scratch("y", "..", "x.db"), options: {} },
  };
  // Two targets would wait for each other's transaction.
  const opened = await OpenOutputs.open(outputs, addresses, batch, nobody);
  await opened.write("a", [{ id: 1 }]);
  await opened.write("b", [{ id: 2 }]);
  await opened.commit();
});

test("when the first commit fails, nothing is kept; when a later one fails, the sentence says what is", async () => {
  for (const place of ["a.ndjson", "b.ndjson"]) {
    const opened = await OpenOutputs.open(outputs, separate(), batch, nobody);
    await opened.write("a", [{ id: 1 }]);
    mkdirSync(scratch(place));
    const failure = await opened.commit().then(
      () => null,
      (error: Error) => error,
    );
    expect(failure).toBeInstanceOf(RunError);
    if (place === "a.ndjson") expect(failure?.message).not.toContain("What was written");
    else expect(failure?.message).toContain(". What was written of a is there; the same run again replaces it");
    rmdirSync(scratch(place));
    expect(readdirSync(scratch())).toEqual(place === "a.ndjson" ? [] : ["a.ndjson"]);
  }
});

test("writing to what is not open is refused", async () => {
  await expect(new WriteOutput("a", "batch").write([{ id: 1 }])).rejects.toThrow("are not open in this process");
  const opened = await OpenOutputs.open(outputs, separate(), batch, nobody);
  await expect(opened.write("c", [{ id: 1 }])).rejects.toThrow("The output c was not opened");
  await opened.abort();
});
