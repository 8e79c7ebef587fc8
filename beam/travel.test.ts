import { inspect } from "node:util";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { pack, packBytes, register, registeredName, unpack, unpackBytes } from "./travel";

export class Point {
  constructor(
    readonly x: number,
    readonly label?: string,
    readonly tags: readonly string[] = [],
  ) {}

  doubled(): number {
    return 2 * this.x;
  }
}
export class Counter {
  #count = 0;
  next(): number {
    return ++this.#count;
  }
}
export class SpecialCounter extends Counter {
  readonly special = true;
}
export class PrivateByName {
  private readonly hidden = 7;
  reveal(): number {
    return this.hidden;
  }
}
export const double = (n: number) => 2 * n;
export const settings = { limit: 5, nested: { deep: true } };
register("beamline/beam/travel.test", {
  Point,
  Counter,
  SpecialCounter,
  PrivateByName,
  double,
  settings,
  five: 5,
  text: "a text",
  nothing: null,
  missing: undefined,
});

const copy = (value: unknown) => unpackBytes(packBytes(value));

/** Fields that are undefined do not travel: as in JSON, they are the same as fields that are not there. */
function withoutUndefinedFields(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUndefinedFields);
  if (value instanceof Map)
    return new Map(Array.from(value, (pair) => withoutUndefinedFields(pair) as [unknown, unknown]));
  if (value instanceof Set) return new Set(Array.from(value, withoutUndefinedFields));
  if (value === null || typeof value !== "object" || Object.getPrototypeOf(value) !== Object.prototype) return value;
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(fields.map(([name, field]) => [name, withoutUndefinedFields(field)]));
}

// As text, since comparisons differ about Maps whose keys are objects, and about dates that are none.
const inspected = (value: unknown) =>
  inspect(value, { depth: Infinity, maxArrayLength: Infinity, maxStringLength: Infinity });

describe("plain data", () => {
  const leaf = fc.oneof(
    fc.constantFrom<unknown>(null, undefined, NaN, Infinity, -Infinity, -0, 0, "", "$", /a(b)\/c/gi, new Date(NaN)),
    fc.string({ unit: "binary" }),
    fc.double(),
    fc.integer(),
    fc.boolean(),
    fc.bigInt(),
    fc.date(),
    fc.uint8Array(),
  );
  const name = fc.oneof(fc.constantFrom("$", "__proto__", "constructor", "of", "in", "toString"), fc.string());
  const { data } = fc.letrec<{ data: unknown }>((tie) => ({
    data: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      leaf,
      fc.array(tie("data"), { maxLength: 4 }),
      fc.array(fc.tuple(name, tie("data")), { maxLength: 4 }).map((fields) => Object.fromEntries(fields)),
      fc.array(fc.tuple(tie("data"), tie("data")), { maxLength: 3 }).map((pairs) => new Map(pairs)),
      fc.array(tie("data"), { maxLength: 3 }).map((items) => new Set(items)),
    ),
  }));

  test("arrives as it was", () => {
    fc.assert(
      fc.property(data, (value) => {
        expect(inspected(copy(value))).toBe(inspected(withoutUndefinedFields(value)));
      }),
      { numRuns: 250 },
    );
  });

  test("a hole in an array arrives as undefined", () => {
    expect(copy(new Array(2))).toStrictEqual([undefined, undefined]);
  });

  test("a part of a larger buffer arrives alone", () => {
    const [, b] = [1, Buffer.from("hello").subarray(1, 3)];
    expect(copy(b)).toStrictEqual(new Uint8Array([101, 108]));
  });

  test("an object without a prototype arrives as a plain one", () => {
    expect(copy(Object.assign(Object.create(null) as object, { a: 1 }))).toStrictEqual({ a: 1 });
  });

  test("a field called __proto__ is a field, and changes no prototype", () => {
    const arrived = copy(JSON.parse('{"__proto__": {"isAdmin": true}, "a": 1}')) as Record<string, unknown>;
    expect(Object.getPrototypeOf(arrived)).toBe(Object.prototype);
    expect(arrived["isAdmin"]).toBeUndefined();
    expect(Object.keys(arrived)).toEqual(["__proto__", "a"]);
    expect(({} as Record<string, unknown>)["isAdmin"]).toBeUndefined();
  });

  test("values of another realm travel like our own", () => {
    const foreign: unknown = runInNewContext(
      "({ plain: { a: [1] }, date: new Date(7), regexp: /x/g, map: new Map([[1, 2]]), set: new Set([3]), bytes: new Uint8Array([4]), big: 5n })",
    );
    expect(copy(foreign)).toStrictEqual({
      plain: { a: [1] },
      date: new Date(7),
      regexp: /x/g,
      map: new Map([[1, 2]]),
      set: new Set([3]),
      bytes: new Uint8Array([4]),
      big: 5n,
    });
  });
});

describe("what is registered", () => {
  test("functions and objects arrive as the very same", () => {
    expect(copy({ double, settings, Point })).toEqual({ double, settings, Point });
    expect((copy([settings]) as unknown[])[0]).toBe(settings);
    expect((copy(new Map([[double, settings]])) as Map<unknown, unknown>).get(double)).toBe(settings);
  });

  test("instances arrive with their class and their fields", () => {
    const arrived = copy({ at: new Point(3, undefined, ["a"]) }) as { at: Point };
    expect(arrived.at).toBeInstanceOf(Point);
    expect(arrived.at).toEqual(new Point(3, undefined, ["a"]));
    expect(arrived.at.doubled()).toBe(6);
    expect(arrived.at).not.toBe(settings);
  });

  test("fields that TypeScript calls private travel", () => {
    expect((copy(new PrivateByName()) as PrivateByName).reveal()).toBe(7);
  });

  test("a registered number or text takes no other one's place", () => {
    expect(pack([5, "a text", null, undefined])).toEqual([5, "a text", null, { $: "undefined" }]);
  });

  test("names are known without their module", () => {
    expect(registeredName(double)).toBe("double");
    expect(registeredName(() => 1)).toBeNull();
    expect(registeredName(5)).toBeNull();
  });
});

describe("what cannot travel is refused with its path", () => {
  class Unregistered {
    readonly a = 1;
  }
  class SpecialPoint extends Point {}

  test.each<[string, unknown, string]>([
    ["a closure", { steps: [{ run: () => 1 }] }, "options.steps[0].run (function “run”) cannot travel"],
    [
      "a function without a name",
      [
        (
          () => () =>
            1
        )(),
      ],
      "options[0] (function without a name) cannot travel",
    ],
    ["a symbol", { a: Symbol("b") }, "options.a (symbol without a name) cannot travel"],
    ["an instance", { a: { b: new Unregistered() } }, "options.a.b (an instance of “Unregistered”) cannot travel"],
    ["an instance of a subclass", new SpecialPoint(1), "options (an instance of “SpecialPoint”) cannot travel"],
    ["an error", [new Error("x")], "options[0] (an instance of “Error”) cannot travel"],
    ["a promise", { p: Promise.resolve() }, "options.p (an instance of “Promise”) cannot travel"],
    ["a value of a Map", new Map([["a", () => 1]]), "options.entry(0)[1] (function without a name) cannot travel"],
    ["an item of a Set", { s: new Set([1, new Unregistered()]) }, "options.s.value(1) (an instance of “Unregistered”)"],
    [
      "a field of an instance",
      new Point(1, (() => 1) as never),
      "options.label (function without a name) cannot travel",
    ],
    [
      "#private",
      { c: new Counter() },
      "options.c (an instance of “Counter”) cannot travel to a worker: nothing can copy",
    ],
    ["#private of a parent", new SpecialCounter(), "write “private” instead"],
  ])("%s", (_what, value, message) => {
    expect(() => pack(value)).toThrow(message);
  });

  test("and the message says what to do", () => {
    expect(() => pack({ a: () => 1 })).toThrow('export it, and name it with register("<package>/<module>", { … })');
    expect(() => pack(new Unregistered())).toThrow(
      'export the class, and name it with register("<package>/<module>", { … })',
    );
  });
});

describe("a worker of another version", () => {
  test("does not know a name", () => {
    const message = "This worker does not know “my-package/steps#parse”: is my-package/steps the same version here";
    expect(() => unpack({ $: "ref", of: "my-package/steps#parse" })).toThrow(message);
    expect(() => unpack([{ $: "new", of: "my-package/steps#parse", in: {} }])).toThrow(message);
  });

  test("does not know a kind of value", () => {
    expect(() => unpack({ a: { $: "tensor" } })).toThrow("Unknown packed value “tensor”: packed by another version");
  });
});
