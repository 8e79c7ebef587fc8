// The laws of aggregation, as properties: whatever way the rows come in, and wherever they are added up, the table is
// the one that a plain computation over all of them gives.
import fc from "fast-check";
import {
  assign,
  fixed,
  sessions,
  sliding,
  type Bounds,
  type CoveredWindows,
  type RunContext,
  type Windowing,
} from "../beam";
import { TestPipeline } from "../beam/testing";
import { AddUp } from "./add-up";
import { aggregate } from "./aggregate";
import { MAX_HELD, type Part, type PartOutputs, type Plan } from "./aggregate-plan";
import { Gather } from "./gather";
import { type Fields } from "./measure-states";
import { ToRow } from "./to-row";
import { avg, count, first, last, max, min, sum, sumProduct, vwap, type Measures } from "./measures";

interface Trade {
  readonly symbol: string;
  readonly side: boolean;
  readonly time: number;
  readonly id: number | string;
  readonly price: string;
  readonly quantity: string | null;
}

const measures = {
  n: count(),
  volume: sum("quantity"),
  turnover: sumProduct("price", "quantity"),
  open: first("price"),
  high: max("price"),
  low: min("price"),
  close: last("price"),
  mean: avg("price"),
  vwap: vwap("price", "quantity"),
} satisfies Measures;

const planOf = (window: Windowing, unique: "id" | null): Plan => ({
  by: ["symbol", "side"],
  at: "time",
  window,
  lateness: 0,
  unique,
  measures,
});

// --- inputs ---------------------------------------------------------------------------------------------------------

const decimal = fc
  .tuple(
    fc.oneof(fc.bigInt({ min: 0n, max: 10n ** 30n }), fc.bigInt({ min: 0n, max: 10n ** 7n })),
    fc.nat(8),
    fc.boolean(),
  )
  .map(([digits, scale, negative]) => {
    const text = String(digits).padStart(scale + 1, "0");
    const plain = scale === 0 ? text : `${text.slice(0, -scale)}.${text.slice(-scale)}`;
    return negative ? `-${plain}` : plain;
  });

const trade = fc.record<Trade>({
  symbol: fc.constantFrom("BTC", "[ETH]", ""),
  side: fc.boolean(),
  time: fc.integer({ min: -150, max: 150 }),
  id: fc.oneof(fc.nat(30), fc.constantFrom("1", "x")),
  price: decimal,
  quantity: fc.option(decimal, { freq: 8 }),
});

const windowing = fc.constantFrom(fixed(60), sliding(60, 20), sliding(50, 30), sessions(15));

/** Trades of which those with one id are one and the same, as they are when something is delivered twice. */
const delivered = fc
  .tuple(fc.uniqueArray(trade, { selector: ({ id }) => id, maxLength: 25 }), fc.infiniteStream(fc.nat(2)))
  .map(([trades, copies]) =>
    trades.flatMap((each) => Array.from({ length: 1 + (copies.next().value as number) }, () => ({ ...each }))),
  );

const shuffled = (all: readonly Trade[]) => fc.shuffledSubarray([...all], { minLength: all.length });

/** Rows, the same ones in another order, and a bundle for each of those. */
const dealt = delivered.chain((rows) =>
  fc.record({
    rows: fc.constant(rows),
    order: shuffled(rows),
    bundles: fc.array(fc.nat(3), { minLength: rows.length, maxLength: rows.length }),
    window: windowing,
    seed: fc.nat(),
  }),
);

// --- the runs that must agree -----------------------------------------------------------------------------------------

type Counts = Record<string, number>;

interface Outcome {
  readonly rows: string[];
  readonly counts: Counts;
}

/** Runs the DoFns as a runner may: each bundle in an instance of its own, their parts grouped in any order. */
function inBundles(plan: Plan, bundles: readonly (readonly Trade[])[], maxHeld = MAX_HELD, seed = 0): Outcome {
  const counts: Counts = { "to aggregate": 0, aggregated: 0, duplicate: 0, late: 0 };
  const add = (name: string, by: number) => void (counts[name] = (counts[name] ?? 0) + by);
  const parts: { key: string; value: Part; start: number; end: number }[] = [];
  for (const bundle of bundles) {
    const gathers = plan.unique !== null && (bundles.length > 1 || plan.window.kind === "sessions");
    const fields = ["quantity", "price"];
    const doFn = gathers ? new Gather(plan, maxHeld, fields) : new AddUp(plan, maxHeld);
    const emit = {
      parts: (part: PartOutputs["parts"], to?: Bounds | { timestamp: number }) => {
        // Parts go over the network as JSON.
        const value = JSON.parse(JSON.stringify(part.value)) as Part;
        parts.push({ key: part.key, value, ...(to as Bounds) });
      },
      late: () => {},
    };
    doFn.startBundle(add);
    for (const row of bundle) doFn.process(row as unknown as Fields, emit);
    doFn.finishBundle(emit);
  }
  const rows: string[] = [];
  const toRow = new ToRow(plan);
  toRow.startBundle(add);
  for (const { key, bounds, values } of grouped(parts, plan.window)) {
    const place = () => ({ ...bounds, timestamp: bounds.end - 1, pane: "only" as const });
    toRow.process({ key, value: inSomeOrder(values, seed) }, { rows: (row) => void rows.push(text(row)) }, place);
  }
  return { rows: rows.sort(), counts };
}

function grouped(parts: readonly { key: string; value: Part; start: number; end: number }[], window: Windowing) {
  const groups: { key: string; bounds: { start: number; end: number }; values: Part[] }[] = [];
  for (const { key, value, start, end } of [...parts].sort((a, b) => a.start - b.start)) {
    const found = groups.find(
      ({ key: other, bounds }) =>
        other === key && (window.kind === "sessions" ? start < bounds.end : start === bounds.start),
    );
    if (found === undefined) {
      groups.push({ key, bounds: { start, end }, values: [value] });
    } else {
      found.bounds.end = Math.max(found.bounds.end, end);
      found.values.push(value);
    }
  }
  return groups;
}

/** An order that depends on nothing but the seed. */
function inSomeOrder<T>(values: readonly T[], seed: number): T[] {
  const rest = [...values];
  const order: T[] = [];
  while (rest.length > 0) order.push(...rest.splice(seed % rest.length, 1));
  return order;
}

const text = (row: unknown): string => {
  const fields = row as Record<string, unknown>;
  return JSON.stringify(
    Object.keys(fields)
      .sort()
      .map((name) => [name, fields[name]]),
  );
};

/** Runs a real pipeline. */
async function onPipeline(
  window: Windowing,
  rows: readonly Trade[],
  duplicates: RunContext["duplicates"],
  covers?: CoveredWindows,
): Promise<Outcome> {
  const pipeline = new TestPipeline({ duplicates, covers });
  const spec = { by: ["symbol", "side"], at: "time", window, unique: "id", measures } as const;
  const found: string[] = [];
  pipeline.expect(pipeline.create(rows).apply(aggregate(spec))).satisfies((all) => void found.push(...all.map(text)));
  const counts = await pipeline.run();
  return { rows: found.sort(), counts };
}

// --- the plain computation --------------------------------------------------------------------------------------------

const S = 8;
const units = (decimal: string, scale = S): bigint => {
  const [whole = "", fraction = ""] = decimal.replace("-", "").split(".");
  return BigInt(whole + fraction.padEnd(scale, "0")) * (decimal.startsWith("-") ? -1n : 1n);
};
const plain = (value: bigint, scale: number): string => {
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, "0");
  const canonical = `${digits.slice(0, -scale)}.${digits.slice(-scale)}`.replace(/\.?0+$/, "");
  return (value < 0n ? "-" : "") + canonical;
};
const halfEven = (a: bigint, b: bigint): string | null => {
  if (b === 0n) return null;
  const [n, d] = b < 0n ? [-a, -b] : [a, b];
  const floor = n / d - (n % d < 0n ? 1n : 0n);
  const twice = 2n * (n - floor * d);
  return plain(twice > d || (twice === d && floor % 2n !== 0n) ? floor + 1n : floor, S);
};
const total = (values: readonly bigint[]) => values.reduce((a, b) => a + b, 0n);
const rank = (id: number | string) => (typeof id === "number" ? 0 : 1);

/** Every window looked at by itself, every row once: what the table has to be. */
function reference(window: Windowing, unique: boolean, rows: readonly Trade[]): string[] {
  const result: string[] = [];
  const keys = new Map(rows.map(({ symbol, side }) => [JSON.stringify([symbol, side]), { symbol, side }]));
  for (const { symbol, side } of keys.values()) {
    const ofKey = rows.filter((row) => row.symbol === symbol && row.side === side);
    for (const { start, end } of windowsOf(window, ofKey)) {
      const inWindow = ofKey.filter(({ time }) => time >= start && time < end);
      const counted = unique
        ? inWindow.filter(({ id }, at) => inWindow.findIndex((row) => row.id === id) === at)
        : inWindow;
      // Rows of one time are told apart by their ids, and by their values where there are no ids.
      const byPrice = (a: Trade, b: Trade) => (a.price < b.price ? -1 : a.price > b.price ? 1 : 0);
      const byId = (a: Trade, b: Trade) => rank(a.id) - rank(b.id) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
      const ordered = [...counted].sort((a, b) => a.time - b.time || (unique ? byId(a, b) : byPrice(a, b)));
      const prices = counted.map(({ price }) => units(price));
      const both = counted.flatMap(({ price, quantity }) =>
        quantity === null ? [] : [[units(price), units(quantity)] as const],
      );
      const volume = total(both.map(([, quantity]) => quantity));
      const turnover = total(both.map(([price, quantity]) => price * quantity));
      const [low, high] = [prices.reduce((a, b) => (b < a ? b : a)), prices.reduce((a, b) => (b > a ? b : a))];
      result.push(
        text({
          ...{ window_start: start, window_end: end, symbol, side, n: counted.length },
          volume: both.length === 0 ? null : plain(volume, S),
          turnover: both.length === 0 ? null : plain(turnover, 2 * S),
          ...{ open: ordered[0]?.price, high: plain(high, S), low: plain(low, S), close: ordered.at(-1)?.price },
          mean: halfEven(total(prices), BigInt(counted.length)),
          vwap: halfEven(turnover, volume),
        }),
      );
    }
  }
  return result.sort();
}

function windowsOf(window: Windowing, rows: readonly Trade[]): Bounds[] {
  if (window.kind !== "sessions") {
    const step = window.kind === "fixed" ? window.size : window.every;
    const starts = Array.from({ length: 200 }, (_, n) => (n - 100) * step);
    return starts
      .map((start) => ({ start, end: start + window.size }))
      .filter(({ start, end }) => rows.some(({ time }) => time >= start && time < end));
  }
  const times = [...new Set(rows.map(({ time }) => time))].sort((a, b) => a - b);
  const first = times.filter((time, at) => at === 0 || time - (times[at - 1] as number) >= window.gap);
  const last = times.filter((time, at) => at === times.length - 1 || (times[at + 1] as number) - time >= window.gap);
  return first.map((start, at) => ({ start, end: (last[at] as number) + window.gap }));
}

/** in = aggregated + duplicate + late + outside */
function expectCounted({ counts }: Outcome, came: number): void {
  const { aggregated = 0, duplicate = 0, late = 0, outside = 0 } = counts;
  expect(counts["to aggregate"] ?? 0).toBe(came);
  expect(aggregated + duplicate + late + outside).toBe(came);
}

const assignments = (window: Windowing, rows: readonly Trade[]) =>
  rows.reduce((sum, { time }) => sum + assign(window, time).length, 0);

const split = (rows: readonly Trade[], into: readonly number[]) =>
  [0, 1, 2, 3].map((bundle) => rows.filter((_, at) => into[at] === bundle));

// --- the laws ---------------------------------------------------------------------------------------------------------

describe("one pass", () => {
  it("equals the plain computation, with and without duplicates", () => {
    fc.assert(
      fc.property(dealt, ({ rows, window }) => {
        for (const unique of ["id", null] as const) {
          const outcome = inBundles(planOf(window, unique), [rows]);
          expect(outcome.rows).toEqual(reference(window, unique === "id", rows));
          expectCounted(outcome, assignments(window, rows));
        }
      }),
    );
  });

  it("does not depend on the order of the rows", () => {
    fc.assert(
      fc.property(dealt, ({ rows, order, window }) => {
        for (const unique of ["id", null] as const) {
          const plan = planOf(window, unique);
          expect(inBundles(plan, [order])).toEqual(inBundles(plan, [rows]));
        }
      }),
    );
  });

  it("does not depend on how much is held in memory", () => {
    fc.assert(
      fc.property(dealt, fc.nat(3), ({ rows, window }, maxHeld) => {
        for (const unique of ["id", null] as const) {
          const plan = planOf(window, unique);
          expect(inBundles(plan, [rows], maxHeld)).toEqual(inBundles(plan, [rows]));
        }
      }),
    );
  });

  it("of the same rows twice is that of once", () => {
    fc.assert(
      fc.property(dealt, ({ rows, order, window }) => {
        const plan = planOf(window, "id");
        const [once, twice] = [inBundles(plan, [rows]), inBundles(plan, [[...rows, ...order]])];
        expect(twice.rows).toEqual(once.rows);
        expect(twice.counts["aggregated"]).toBe(once.counts["aggregated"]);
        expectCounted(twice, 2 * assignments(window, rows));
      }),
    );
  });
});

describe("any split into bundles, merged in any order,", () => {
  it("equals one pass", () => {
    fc.assert(
      fc.property(dealt, ({ rows, order, bundles, window, seed }) => {
        const plan = planOf(window, null);
        const outcome = inBundles(plan, split(order, bundles), MAX_HELD, seed);
        expect(outcome).toEqual(inBundles(plan, [rows]));
      }),
    );
  });

  it("equals one pass where duplicates are spread over the bundles", () => {
    fc.assert(
      fc.property(dealt, ({ rows, order, bundles, window, seed }) => {
        const plan = planOf(window, "id");
        const outcome = inBundles(plan, split(order, bundles), seed % 10, seed);
        expect(outcome).toEqual(inBundles(plan, [rows]));
        expectCounted(outcome, assignments(window, rows));
      }),
    );
  });

  it("gives one row for an id whose content differs, always of the same content", () => {
    const rows = fc.array(trade, { maxLength: 20 });
    const any = rows.chain((all) =>
      fc.tuple(fc.constant(all), shuffled(all), fc.array(fc.nat(3), { minLength: 20, maxLength: 20 })),
    );
    fc.assert(
      fc.property(any, windowing, fc.nat(), ([all, order, bundles], window, seed) => {
        const plan = planOf(window, "id");
        const halves = [all.slice(0, 10), all.slice(10)];
        expect(inBundles(plan, split(order, bundles), MAX_HELD, seed).rows).toEqual(inBundles(plan, halves).rows);
      }),
    );
  });
});

describe("a pipeline", () => {
  it("gives equal rows and counts in both modes of finding duplicates, in any order: those of the plain computation", async () => {
    await fc.assert(
      fc.asyncProperty(dealt, async ({ rows, order, window }) => {
        const inOrder = await onPipeline(window, rows, "in order");
        const byGroup = await onPipeline(window, order, "grouped");
        expect(inOrder.rows).toEqual(reference(window, true, rows));
        expect(byGroup.rows).toEqual(inOrder.rows);
        for (const name of ["to aggregate", "aggregated", "duplicate", "late"]) {
          expect([name, byGroup.counts[name] ?? 0]).toEqual([name, inOrder.counts[name] ?? 0]);
        }
        expectCounted(inOrder, assignments(window, rows));
      }),
      { numRuns: 40 },
    );
  });

  it("over a stretch of time gives the rows of its windows, in both modes, and of the others nothing", async () => {
    const end = fc.option(
      fc.integer({ min: -4, max: 4 }).map((n) => n * 60),
      { freq: 4 },
    );
    await fc.assert(
      fc.asyncProperty(dealt, end, end, async ({ rows, order, window }, since, until) => {
        fc.pre(window.kind !== "sessions");
        const covers = { since, until, wholeFrom: null };
        const isCovered = (row: string) => {
          const fields = Object.fromEntries(JSON.parse(row) as [string, unknown][]);
          const [start, end] = [Number(fields["window_start"]), Number(fields["window_end"])];
          return (since === null || start >= since) && (until === null || end <= until);
        };
        for (const duplicates of ["in order", "grouped"] as const) {
          const outcome = await onPipeline(window, order, duplicates, covers);
          expect(outcome.rows).toEqual(reference(window, true, rows).filter(isCovered));
          expectCounted(outcome, assignments(window, rows));
        }
      }),
      { numRuns: 40 },
    );
  });
});
