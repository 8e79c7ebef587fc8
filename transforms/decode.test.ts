import { z } from "zod";
import { type Raw, type SourceRecord } from "../schema/record";
import { decimal } from "../schema/table";
import { decode } from "./decode";
import { type StepResult } from "./step";

const record = (value: Raw, fields: SourceRecord["fields"] = null): SourceRecord => ({
  value,
  source: "test",
  position: 1,
  key: null,
  timestamp: null,
  headers: null,
  fields,
});

function decoded<T>(schema: z.ZodType<T>, value: Raw, fields: SourceRecord["fields"] = null): StepResult<T> {
  return decode(schema).run(value, { batchTime: 0, record: record(value, fields) });
}

const Item = z.object({ name: z.string().min(1), amount: decimal(), count: z.int() });

describe("decode, from JSON", () => {
  it("gives the object as the schema has it", () => {
    expect(decoded(Item, '{"name":"a","amount":"1.50","count":2,"more":[1]}')).toEqual({
      kind: "ok",
      value: { name: "a", amount: "1.50", count: 2 },
    });
  });

  it.each<[string, Raw, string, string | RegExp]>([
    ["bytes that are no text", new Uint8Array([0xff, 0xfe]), "not text", "the bytes are not valid UTF-8"],
    ["an empty text", "", "not JSON", /JSON/],
    ["no JSON", '{"name":', "not JSON", /JSON/],
    ["two objects", "{}{}", "not JSON", /JSON/],
    ["a list", "[]", "invalid", "expected object"],
    ["null", "null", "invalid", "expected object"],
    ["a missing field", '{"name":"a","amount":"1"}', "invalid", /^count: .*expected number/],
    ["a number for a decimal", '{"name":"a","amount":1.5,"count":1}', "invalid", /^amount: .*expected string/],
    ["a number too big to be whole", '{"name":"a","amount":"1","count":9007199254740993}', "invalid", /^count: /],
    ["several mistakes", '{"name":"","amount":"1e5","count":1.5}', "invalid", /^name: .*; amount: .*; count: /],
  ])("refuses %s", (_name, value, reason, error) => {
    expect(decoded(Item, value)).toEqual({
      kind: "dead",
      reason,
      error: expect.stringMatching(error) as string,
    });
  });

  it("says five mistakes at most", () => {
    const Six = z.object({ a: z.int(), b: z.int(), c: z.int(), d: z.int(), e: z.int(), f: z.int() });
    const result = decoded(Six, "{}");
    expect(result.kind === "dead" && result.error.split("; ")).toHaveLength(5);
  });

  it("names the path of a mistake within", () => {
    const Nested = z.object({ list: z.array(z.object({ n: z.int() })) });
    expect(decoded(Nested, '{"list":[{"n":1},{"n":"x"}]}')).toMatchObject({
      error: expect.stringMatching(/^list\.1\.n: /) as string,
    });
  });

  it("applies what the schema changes", () => {
    const Changed = z.object({ name: z.string().trim(), n: z.number().default(7) });
    expect(decoded(Changed, '{"name":" a "}')).toEqual({ kind: "ok", value: { name: "a", n: 7 } });
  });

  it("is not deceived by a field called __proto__", () => {
    const result = decoded(Item, '{"__proto__":{"name":"a","amount":"1","count":1}}');
    expect(result).toMatchObject({ kind: "dead", reason: "invalid" });
  });
});

describe("decode, from columns", () => {
  const Typed = z.object({
    text: z.string(),
    number: z.number(),
    flag: z.boolean(),
    kind: z.literal(["a", 1, null]),
    optional: z.int().optional(),
    nullable: z.int().nullable(),
    nullish: z.int().nullish(),
    preset: z.int().default(5),
    fixed: z.string().readonly(),
  });
  const columns = {
    ...{ text: "x", number: "-1.5e3", flag: "true", kind: "1", optional: "1", nullable: "2", nullish: "3" },
    ...{ preset: "4", fixed: "" },
  };

  it("makes of texts what the schema wants", () => {
    expect(decoded(Typed, "ignored", columns)).toEqual({
      kind: "ok",
      value: {
        ...{ text: "x", number: -1500, flag: true, kind: 1, optional: 1, nullable: 2, nullish: 3 },
        ...{ preset: 4, fixed: "" },
      },
    });
  });

  it("takes an empty text for nothing where there may be nothing", () => {
    const empty = { ...columns, text: "", kind: "a", optional: "", nullable: "", nullish: "", preset: "" };
    expect(decoded(Typed, "ignored", empty)).toMatchObject({
      kind: "ok",
      value: { text: "", kind: "a", nullable: null, preset: 5 },
    });
  });

  it("leaves out columns that the schema does not have, whatever they are called", () => {
    const Small = z.object({ a: z.string() });
    expect(decoded(Small, "", { a: "1", b: "2", toString: "3" })).toEqual({ kind: "ok", value: { a: "1" } });
  });

  it.each([
    ["number", "05"],
    ["number", "+5"],
    ["number", " 5"],
    ["number", "0x10"],
    ["number", "1e999"],
    ["number", ""],
    ["number", "NaN"],
    ["flag", "yes"],
    ["flag", ""],
    ["kind", "2"],
    ["nullable", "x"],
  ])("refuses %s: %p", (name, text) => {
    expect(decoded(Typed, "ignored", { ...columns, [name]: text })).toMatchObject({
      kind: "dead",
      reason: "invalid",
      error: expect.stringMatching(new RegExp(`^${name}: `)) as string,
    });
  });
});
