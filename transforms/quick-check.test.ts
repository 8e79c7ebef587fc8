import fc from "fast-check";
import { z } from "zod";
import { RawTrade } from "../pipelines/trades/schemas";
import { quickCheckOf } from "./quick-check";

const Plain = z.object({
  text: z.string().min(1).max(4),
  number: z.number().gt(-5).lte(100),
  whole: z.int().nonnegative(),
  integer: z.number().int(),
  flag: z.boolean(),
  one: z.literal(["a", "b", 1, 0]),
  even: z.int().refine((n) => n % 2 === 0),
  constructor: z.string(),
  "a-b": z.string().describe("a name that is no identifier"),
});

/** Whatever JSON.parse can give, and what it cannot. */
const anything = fc.oneof(
  fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true, withSparseArray: true }),
  fc.constantFrom<unknown>(
    Number.NaN,
    -0,
    0,
    2 ** 53,
    -(2 ** 53),
    Number.POSITIVE_INFINITY,
    1e308,
    "",
    "a",
    "abcde",
    "😀😀",
  ),
);

const fitting: { readonly [Name in keyof z.infer<typeof Plain>]: fc.Arbitrary<unknown> } = {
  text: fc.string({ minLength: 1, maxLength: 4 }),
  number: fc.double({ min: -4, max: 100, noNaN: true }),
  whole: fc.nat(),
  integer: fc.integer(),
  flag: fc.boolean(),
  one: fc.constantFrom("a", "b", 1, 0),
  even: fc.nat(1000).map((n) => 2 * n),
  constructor: fc.string(),
  "a-b": fc.string(),
};

/** Objects whose fields mostly fit, some hostile, some missing, some too many, on several kinds of objects. */
const nearly = fc
  .tuple(
    fc.record(
      Object.fromEntries(
        Object.entries(fitting).map(([name, fits]) => [
          name,
          fc.oneof({ weight: 20, arbitrary: fits }, { weight: 1, arbitrary: anything }),
        ]),
      ),
      { noNullPrototype: true },
    ),
    fc.option(fc.constantFrom(...Object.keys(fitting)), { freq: 5 }),
    fc.dictionary(fc.oneof(fc.string(), fc.constantFrom("__proto__", "toString")), anything, { maxKeys: 2 }),
    fc.constantFrom("plain", "array", "null prototype", "inherited", "getters", "own __proto__"),
  )
  .map(([fields, missing, extra, kind]): unknown => {
    const object: Record<string, unknown> = { ...extra, ...fields };
    if (missing !== null) delete object[missing];
    switch (kind) {
      case "array": {
        // That of an array is its own.
        const { length: _, ...others } = object;
        return Object.assign([], others);
      }
      case "null prototype":
        return Object.assign(Object.create(null) as object, object);
      case "inherited":
        return Object.create(object) as unknown;
      case "getters":
        return Object.defineProperties(
          {},
          Object.fromEntries(
            Object.entries(object).map(([name, value]) => [name, { get: () => value, enumerable: true }]),
          ),
        );
      case "own __proto__":
        return Object.defineProperty(object, "__proto__", { value: { text: "x" }, enumerable: true });
      default:
        return object;
    }
  });

/** Answers whether it said yes. */
function agrees(schema: z.ZodType, value: unknown): boolean {
  const quick = quickCheckOf(schema)?.(value) ?? null;
  if (quick === null) return false;
  const checked = schema.safeParse(value);
  expect(checked.error).toBeUndefined();
  expect(quick).toStrictEqual(checked.data);
  expect(Object.keys(quick)).toEqual(Object.keys(checked.data as object));
  return true;
}

describe("the quick check", () => {
  it("says yes to nothing that zod does not say yes to, with the same output", () => {
    let yes = 0;
    fc.assert(
      fc.property(fc.oneof({ weight: 9, arbitrary: nearly }, anything), (value) => {
        if (agrees(Plain, value)) yes += 1;
      }),
      { numRuns: 500 },
    );
    // The property would hold for a check that never says yes.
    expect(yes).toBeGreaterThan(20);
  });

  it("says yes to every trade that is fine", () => {
    const trade = { e: "trade", E: 1, s: "BTCUSDT", t: 2, p: "1.5", q: "0.1", T: 3, m: true };
    expect(agrees(RawTrade, trade)).toBe(true);
    expect(agrees(RawTrade, { ...trade, extra: 1 })).toBe(true);
    for (const bad of [{ p: "0" }, { t: -1 }, { s: "" }, { e: "x" }, { T: "3" }, { m: null }, { q: undefined }]) {
      expect(agrees(RawTrade, { ...trade, ...bad })).toBe(false);
    }
  });

  it("reads each field once, as zod does", () => {
    let reads = 0;
    const changing = {
      get a() {
        reads += 1;
        return reads === 1 ? "fine" : { hostile: true };
      },
    };
    expect(quickCheckOf(z.object({ a: z.string().min(1) }))?.(changing)).toEqual({ a: "fine" });
    expect(reads).toBe(1);
  });

  it("takes only a plain true of a refinement for a yes, and leaves the rest to zod", () => {
    const truthy = z.object({ a: z.string().refine((text) => text.length) });
    expect(quickCheckOf(truthy)?.({ a: "x" })).toBeNull();
    const later = z.object({ a: z.string().refine(async () => true) });
    expect(quickCheckOf(later)?.({ a: "x" })).toBeNull();
  });

  it("agrees on an object without fields", () => {
    for (const value of [{}, { a: 1 }, [], null, "x"]) agrees(z.object({}), value);
    expect(agrees(z.object({}), { a: 1 })).toBe(true);
  });

  it.each<[string, z.ZodType]>([
    ["string", z.string().min(1).max(5)],
    ["number", z.number().positive().lt(10)],
    ["int", z.int().min(1).max(5)],
    ["number().int()", z.number().int()],
    ["boolean", z.boolean()],
    ["literals", z.literal(["a", "\u2028", '"', 5])],
    ["refined string", z.string().refine((text) => text !== "x")],
    ["described", z.string().describe("a text").meta({ column: "x" })],
  ])("is compiled for %s", (_name, type) => {
    expect(quickCheckOf(z.object({ a: type }))).not.toBeNull();
  });

  it.each<[string, z.ZodType]>([
    ["no object", z.string()],
    ["an array", z.array(z.string())],
    ["a strict object", z.strictObject({ a: z.string() })],
    ["a loose object", z.looseObject({ a: z.string() })],
    ["a catchall", z.object({ a: z.string() }).catchall(z.number())],
    ["a refined object", z.object({ a: z.string() }).refine(() => true)],
    ["an object with a transform", z.object({ a: z.string() }).transform(({ a }) => a)],
    ["a field called __proto__", z.object(Object.fromEntries([["__proto__", z.string()]]))],
    ...Object.entries({
      "coerced string": z.coerce.string(),
      "coerced number": z.coerce.number(),
      "coerced boolean": z.coerce.boolean(),
      transform: z.string().transform((text) => text.length),
      pipe: z.string().pipe(z.string()),
      preprocess: z.preprocess((value) => value, z.string()),
      optional: z.string().optional(),
      nullable: z.string().nullable(),
      default: z.string().default("x"),
      catch: z.string().catch("x"),
      trim: z.string().trim(),
      toLowerCase: z.string().toLowerCase(),
      overwrite: z.number().overwrite((n) => n + 1),
      regex: z.string().regex(/a/),
      startsWith: z.string().startsWith("a"),
      email: z.email(),
      "string().email()": z.string().email(),
      uuid: z.uuid(),
      "iso date": z.iso.date(),
      int32: z.int32(),
      float64: z.float64(),
      "number().check(int32)": z.number().check(z.int32()),
      multipleOf: z.number().multipleOf(2),
      "literal null": z.literal(null),
      "literal NaN": z.literal(Number.NaN),
      "literal Infinity": z.literal([1, Number.POSITIVE_INFINITY]),
      "literal bigint": z.literal(1n),
      "refined boolean": z.boolean().refine((flag) => flag),
      "refined when": z.string().refine((text) => text !== "", { when: () => false }),
      superRefine: z.string().superRefine(() => {}),
      "nested object": z.object({ b: z.string() }),
      enum: z.enum(["a"]),
      union: z.union([z.string(), z.number()]),
      date: z.date(),
      bigint: z.bigint(),
      unknown: z.unknown(),
      lazy: z.lazy(() => z.string()),
    }).map(([name, type]): [string, z.ZodType] => [`a field: ${name}`, z.object({ a: type })]),
  ])("is not made for %s", (_name, schema) => {
    expect(quickCheckOf(schema)).toBeNull();
  });
});
