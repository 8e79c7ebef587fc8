import fs from "node:fs";
import path from "node:path";
import { z } from "zod";
import { deadLetters, definePipeline, input, table } from "../pipelines/definition";
import { UsageError } from "../schema/errors";
import { scratchDirectory } from "../test/scratch";
import { inputAddresses, outputAddresses } from "./addresses";

const scratch = scratchDirectory();
const model = z.object({ id: z.string() });
const pipeline = definePipeline({
  name: "two-by-two",
  summary: "",
  inputs: {
    left: input(model, {
      sample: "/bundled/left.ndjson",
      live: ({ broker }: { broker: string }) => `kafka://${broker}/left`,
    }),
    right: input(model, { sample: "r", from: "file:r" }),
  },
  outputs: {
    rows: table(model, {
      name: "rows",
      key: ["id"],
      live: ({ broker }: { broker: string }) => `kafka://${broker}/rows`,
    }),
    more: table(model, { name: "more", key: ["id"] }),
    letters: deadLetters,
  },
  params: z.object({}),
  build: () => {},
});

const to = (...uris: string[]) =>
  Object.fromEntries(
    Object.entries(outputAddresses(pipeline, uris, { broker: "h" })).map(([name, { scheme, path: place }]) => [
      name,
      `${scheme}:${place}`,
    ]),
  );
const from = (...uris: string[]) => inputAddresses(pipeline, uris, { broker: "h" });
const file = (place: string) => ({ address: { scheme: "file", path: place, options: {} }, as: null });
const leftSample = { address: { scheme: "file", path: "/bundled/left.ndjson", options: {} }, as: "sample:left" };

test("inputs are read from where they usually are, unless something else is said for all or for one", () => {
  expect(from()).toEqual({ left: leftSample, right: file("r") });
  expect(from("file:x")).toEqual({ left: file("x"), right: file("x") });
  expect(from("right=file:a=b", "sample:")).toEqual({
    left: leftSample,
    right: file("a=b"),
  });
  expect(from("left=sample:left")).toEqual({ left: leftSample, right: file("r") });
  expect(from("right=stdin:")).toMatchObject({ right: { address: { scheme: "stdin" } } });
});

test("an output that the usual store cannot take has a place of its own", () => {
  const own = {
    ...pipeline,
    outputs: { rows: table(model, { name: "rows", key: ["id"], to: "file:data/" }), letters: deadLetters },
  };
  expect(outputAddresses(own, [], {})).toMatchObject({
    rows: { scheme: "file", path: "data/" },
    letters: { scheme: "sqlite", path: "data/app.db" },
  });
  expect(outputAddresses(own, ["stdout:"], {})["rows"]).toMatchObject({ scheme: "stdout" });
});

test("live: is where the system has it, by the parameters; only where the pipeline says where that is", () => {
  expect(from("left=live:")).toMatchObject({ left: { address: { scheme: "kafka", path: "//h/left" }, as: null } });
  expect(to("rows=live:")).toMatchObject({ rows: "kafka://h/rows" });
  const live = ({ broker }: { broker: string }) => `sqlite:${broker}.db`;
  const withPlace = { ...pipeline, outputs: { letters: { ...deadLetters, live } } };
  expect(outputAddresses(withPlace, ["live:"], { broker: "h" })["letters"]).toMatchObject({ path: "h.db" });
  expect(outputAddresses(withPlace, ["stdout:"], { broker: "h" })["letters"]).toMatchObject({ scheme: "file" });
  expect(() => from("live:")).toThrow("the input right of two-by-two has no live place; give it an address");
  expect(() => to("live:")).toThrow("the output more of two-by-two has no live place");
});

test("outputs go to the usual store, unless something else is said for all or for one", () => {
  const usual = "sqlite:data/app.db";
  expect(to()).toEqual({ rows: usual, more: usual, letters: usual });
  expect(to("sqlite:x.db")).toEqual({ rows: "sqlite:x.db", more: "sqlite:x.db", letters: "sqlite:x.db" });
  expect(to("more=stdout:", "letters=file:l")).toEqual({ rows: usual, more: "stdout:", letters: "file:l" });
  expect(to("rows=file:r.csv", "file:out/")).toEqual({ rows: "file:r.csv", more: "file:out/", letters: "file:out/" });
});

test.each([
  ["file:out.ndjson", "file:out.letters.ndjson"],
  ["file:out.csv.gz", "file:out.letters.ndjson"],
  ["file:out", "file:out.letters.ndjson"],
  ["file:a.b/out", "file:a.b/out.letters.ndjson"],
  ["file:rows.2026.ndjson", "file:rows.2026.letters.ndjson"],
  ["file:rows.2026.csv.GZ", "file:rows.2026.letters.ndjson"],
  ["file:out.csv?format=csv", "file:out.letters.ndjson"],
  ["file:dir/", "file:dir/"],
  ["file:dir\\", "file:dir\\"],
  ["stdout:", "file:data/letters.ndjson"],
])("beside rows in %s, dead letters go to %s", (rows, letters) => {
  expect(to(rows)["letters"]).toBe(letters);
});

test("a directory that is there takes the letters too, however it is written", () => {
  fs.mkdirSync(scratch("there.v1"));
  const place = scratch("there.v1");
  expect(to(`file:${place}`)["letters"]).toBe(`file:${place}`);
});

test("a path that cannot even be looked at is left to the sink to refuse", () => {
  expect(to("file:a\0b")["letters"]).toBe("file:a\0b.letters.ndjson");
  expect(to(`file:${path.join("x".repeat(5000), "y")}`)["letters"]).toContain("letters.ndjson");
});

test.each([
  [() => from("lft=file:x"), "two-by-two has no input “lft”: did you mean “left”?"],
  [() => to("table=file:x"), "two-by-two has no output “table”: it must be one of rows, more, letters"],
  [() => to("file:x", "file:y"), "--to is given twice (file:x, file:y): say which output, --to rows=file:y"],
  [() => from("left=file:x", "left=file:y"), "--from left=… is given twice"],
  [() => from("sample:lef"), "There is no sample “lef”: did you mean “left”?"],
  [() => from("left=sample:right"), "There is no sample “right”: did you mean “right”?"],
  [() => from("samples:"), "“samples:” is not a known kind of address; did you mean “sample:”?"],
  [
    () => from("stdin:"),
    "Standard input cannot be both left and right: say where one of them is, such as --from right=file:right.ndjson",
  ],
  [() => from("left="), "“” is not a connector URI: it needs a scheme, such as file:"],
  [
    () => to("rows=C:\\rows.csv"),
    "“C:\\rows.csv” is not a connector URI: it needs a scheme, such as file:C:\\rows.csv",
  ],
])("mistake %#: %s", (action, sentence) => {
  expect(action).toThrow(new UsageError(sentence));
});
