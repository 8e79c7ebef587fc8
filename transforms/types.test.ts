// What must not compile, each beside a twin that does. The compiler is the test: an expected error that does not come is
// an error of `npm run types`.
import { z } from "zod";
import { fixed, type PCollection } from "../beam";
import { type Decimal } from "../schema/decimal";
import { type Raw, type SourceRecord } from "../schema/record";
import {
  aggregate,
  avg,
  clean,
  count,
  decode,
  drop,
  first,
  last,
  max,
  min,
  ok,
  sum,
  sumProduct,
  vwap,
  type DeadLetter,
  type StepResult,
} from ".";

interface Trade {
  readonly symbol: string;
  readonly venue: string | null;
  readonly time: number;
  readonly when: Date;
  readonly id: number;
  readonly maker: boolean;
  readonly price: Decimal;
  readonly quantity: Decimal | null;
  readonly fee: number | undefined;
  readonly size: number;
}

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
type ElementOf<C> = C extends PCollection<infer T> ? T : never;
/** Compiles where the types are the same. */
const same = <A, B>(_yes: Same<A, B>) => undefined;

const window = fixed(60_000);
const measures = { n: count() } as const;

/** Never called: the compiler reads it. */
export function aggregates(trades: PCollection<Trade>) {
  // What rows need.
  trades.apply(aggregate({ by: ["symbol", "venue", "maker", "size"], at: "time", window, unique: "id", measures }));
  trades.apply(aggregate({ by: ["symbol"], at: "size", window, unique: "symbol", measures }));
  // @ts-expect-error -- no such field to group by
  trades.apply(aggregate({ by: ["symbol", "market"], at: "time", window, measures }));
  // @ts-expect-error -- a date is no key
  trades.apply(aggregate({ by: ["when"], at: "time", window, measures }));
  // @ts-expect-error -- an event time is a number
  trades.apply(aggregate({ by: ["symbol"], at: "when", window, measures }));
  // @ts-expect-error -- no such event time
  trades.apply(aggregate({ by: ["symbol"], at: "moment", window, measures }));
  // @ts-expect-error -- an event time is always there
  trades.apply(aggregate({ by: ["symbol"], at: "fee", window, measures }));
  // @ts-expect-error -- no such id
  trades.apply(aggregate({ by: ["symbol"], at: "time", window, unique: "uuid", measures }));
  // @ts-expect-error -- a boolean is no id
  trades.apply(aggregate({ by: ["symbol"], at: "time", window, unique: "maker", measures }));
  // @ts-expect-error -- an id is always there
  trades.apply(aggregate({ by: ["symbol"], at: "time", window, unique: "venue", measures }));

  // What measures need.
  const one = { by: ["symbol"], at: "time", window } as const;
  trades.apply(aggregate({ ...one, measures: { a: sum("price"), b: sum("quantity"), c: sum("fee"), d: max("size") } }));
  trades.apply(aggregate({ ...one, measures: { a: first("maker"), b: last("venue"), c: first("fee") } }));
  // @ts-expect-error -- no such field to sum
  trades.apply(aggregate({ ...one, measures: { a: sum("prise") } }));
  // @ts-expect-error -- no such field among several measures
  trades.apply(aggregate({ ...one, measures: { a: sum("price"), b: vwap("price", "volume"), c: count() } }));
  // @ts-expect-error -- no such first factor
  trades.apply(aggregate({ ...one, measures: { a: sumProduct("prise", "quantity") } }));
  // @ts-expect-error -- no such field to take the last of
  trades.apply(aggregate({ ...one, measures: { a: last("prise") } }));
  // @ts-expect-error -- a boolean has no sum
  trades.apply(aggregate({ ...one, measures: { a: sum("maker") } }));
  // @ts-expect-error -- a boolean has no mean
  trades.apply(aggregate({ ...one, measures: { a: avg("maker") } }));
  // @ts-expect-error -- a date has no minimum
  trades.apply(aggregate({ ...one, measures: { a: min("when") } }));
  // @ts-expect-error -- a date cannot be carried
  trades.apply(aggregate({ ...one, measures: { a: first("when") } }));

  // What rows come out.
  const rows = trades.apply(
    aggregate({
      by: ["symbol", "venue"],
      at: "time",
      window,
      measures: {
        n: count(),
        price: sum("price"),
        quantity: sum("quantity"),
        fee: sum("fee"),
        turnover: sumProduct("price", "quantity"),
        least: min("size"),
        most: max("quantity"),
        mean: avg("size"),
        vwap: vwap("price", "quantity"),
        maker: first("maker"),
        lastFee: last("fee"),
      },
    }),
  );
  type Row = ElementOf<typeof rows>;
  same<Row["window_start"], number>(true);
  same<Row["window_end"], number>(true);
  same<Row["symbol"], string>(true);
  same<Row["venue"], string | null>(true);
  same<Row["n"], number>(true);
  same<Row["price"], Decimal>(true);
  same<Row["quantity"], Decimal | null>(true);
  same<Row["fee"], number | null>(true);
  same<Row["turnover"], Decimal | null>(true);
  same<Row["least"], number>(true);
  same<Row["most"], Decimal | null>(true);
  same<Row["mean"], Decimal | null>(true);
  same<Row["vwap"], Decimal | null>(true);
  same<Row["maker"], boolean>(true);
  same<Row["lastFee"], number | null>(true);
  // @ts-expect-error -- a control: the comparison sees a difference
  same<Row["n"], string>(true);
  // @ts-expect-error -- rows have no other columns
  same<Row["id"], number>(true);
  return rows;
}

const Item = z.object({ name: z.string(), n: z.int() });
type Item = z.infer<typeof Item>;
const toText = (value: Raw): StepResult<string> => (typeof value === "string" ? ok(value) : drop("bytes"));
const toName = ({ name }: Item): StepResult<string> => ok(name);
const toLength = (text: string): StepResult<number> => ok(text.length);
const later = async (text: string) => Promise.resolve(ok(text));

/** Never called: the compiler reads it. */
export function steps(found: PCollection<SourceRecord>, trades: PCollection<Trade>) {
  const cleaned = found.apply(clean(decode(Item), toName, toLength));
  same<ElementOf<typeof cleaned.good>, number>(true);
  same<ElementOf<typeof cleaned.bad>, DeadLetter>(true);
  found.apply(clean(toText, toLength));
  // @ts-expect-error -- the second step takes text, the first gives an item
  found.apply(clean(decode(Item), toLength));
  // @ts-expect-error -- the third step takes text, the second gives a number
  found.apply(clean(toText, toLength, toLength));
  // @ts-expect-error -- the first step gets the record's raw value
  found.apply(clean(toName));
  // @ts-expect-error -- a step does not wait
  found.apply(clean(toText, later));
  // @ts-expect-error -- clean has a step
  found.apply(clean());
  // @ts-expect-error -- clean takes records of a source
  trades.apply(clean(toText));
  return cleaned;
}

it("is the compiler that tests this file", () => {
  expect([aggregates, steps]).toHaveLength(2);
});
