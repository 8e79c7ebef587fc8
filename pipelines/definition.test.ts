import { z } from "zod";
import { fixed, type PCollection } from "../beam";
import { type SourceRecord } from "../schema/record";
import { decimal, timestamp } from "../schema/table";
import { aggregate, avg, clean, count, decode, sum } from "../transforms";
import { catalog } from "./catalog";
import { deadLetters, definePipeline, input, isPipeline, table } from "./definition";

const Sale = z.object({ shop: z.string(), at: z.int(), amount: decimal() });
const PerShop = z.object({ shop: z.string(), window_start: timestamp(), n: z.int(), total: decimal() });

const inputs = { sales: input(Sale, { sample: "sales.ndjson" }) };
const outputs = { shops: table(PerShop, { name: "shops", key: ["shop", "window_start"] }) };
const spec = {
  ...{ name: "sales-per-shop", summary: "", inputs, outputs },
  params: z.object({ window: z.number() }),
  build: () => {},
};

describe("definePipeline", () => {
  it("gives what runners and the command need to know", () => {
    const pipeline = definePipeline({ ...spec, version: "3" });
    expect(pipeline).toMatchObject({ name: "sales-per-shop", version: "3", inputs, outputs });
    expect(pipeline.inputs["sales"]).toEqual({ model: Sale, sample: "sales.ndjson", from: "sample:", live: null });
    expect(input(Sale, { sample: "x", from: "kafka://h/t" }).from).toBe("kafka://h/t");
    expect(pipeline.outputs["shops"]?.table).toMatchObject({ name: "shops", key: ["shop", "window_start"] });
  });

  it.each([{}, { version: undefined }])("is version 1 when nothing is said (%p)", (said) => {
    expect(definePipeline({ ...spec, ...said }).version).toBe("1");
  });

  it.each([
    "",
    "Sales",
    "sales_per_shop",
    "sales--shop",
    "-sales",
    "sales-",
    "1sales",
    "sales per shop",
    "../sales",
    "sales\n",
  ])("refuses the name %p", (name) => {
    expect(() => definePipeline({ ...spec, name })).toThrow(
      `“${name}” is no name for a pipeline: write it like trades-aggregate`,
    );
  });

  it("refuses a pipeline without inputs, and one without outputs", () => {
    expect(() => definePipeline({ ...spec, inputs: {} })).toThrow("The pipeline sales-per-shop has no input");
    expect(() => definePipeline({ ...spec, outputs: {} })).toThrow("The pipeline sales-per-shop has no output");
  });

  it("refuses a key that is no column", () => {
    // @ts-expect-error -- nor does it compile
    expect(() => table(PerShop, { name: "shops", key: ["shop", "window"] })).toThrow(
      "Table shops has the key window, but no such column: shop, window_start, n, total",
    );
  });
});

describe("isPipeline", () => {
  it("knows a pipeline among the exports of a module", () => {
    expect(isPipeline(definePipeline(spec))).toBe(true);
    for (const other of [spec, {}, null, undefined, "sales-per-shop", () => {}]) expect(isPipeline(other)).toBe(false);
  });
});

describe("the catalog", () => {
  it("has every name once", () => {
    const names = catalog.map(({ name }) => name);
    expect(names).toEqual([...new Set(names)]);
    expect(names).toContain("trades-aggregate");
    expect(catalog.every(isPipeline)).toBe(true);
  });
});

// What must not compile, each beside a twin that does. The compiler is the test.
const Wide = z.object({ ...PerShop.shape, extra: z.string() });
const Narrow = z.object({ shop: z.string(), n: z.int() });
const Texts = z.object({ shop: z.string(), n: decimal() });
const Means = z.object({ shop: z.string(), mean: decimal() });
const MaybeMeans = z.object({ shop: z.string(), mean: decimal().nullable() });

definePipeline({
  ...{ name: "types", summary: "", inputs },
  outputs: {
    ...outputs,
    wide: table(Wide, { name: "wide", key: ["shop"] }),
    narrow: table(Narrow, { name: "narrow", key: ["shop"] }),
    texts: table(Texts, { name: "texts", key: ["shop"] }),
    means: table(Means, { name: "means", key: ["shop"] }),
    maybeMeans: table(MaybeMeans, { name: "maybe_means", key: ["shop"] }),
    dead_letters: deadLetters,
  },
  params: z.object({ window: z.number() }),
  build({ sales }, { shops, wide, narrow, texts, means, maybeMeans, dead_letters }, { window }) {
    const source: PCollection<SourceRecord> = sales;
    const { good, bad } = source.apply(clean(decode(Sale)));
    const measures = { n: count(), total: sum("amount"), mean: avg("amount") };
    const rows = good.apply(aggregate({ by: ["shop"], at: "at", window: fixed(window), measures }));
    rows.apply(shops);
    rows.apply(narrow);
    rows.apply(maybeMeans);
    bad.apply(dead_letters);
    // @ts-expect-error -- the rows have no column extra
    rows.apply(wide);
    // @ts-expect-error -- a count is a number, the column a decimal
    rows.apply(texts);
    // @ts-expect-error -- a mean may be null, the column may not
    rows.apply(means);
    // @ts-expect-error -- sales are no dead letters
    good.apply(dead_letters);
    // @ts-expect-error -- dead letters are no rows of shops
    bad.apply(shops);
  },
});

definePipeline({
  ...spec,
  // @ts-expect-error -- there is no such input
  build({ trades }) {
    void trades;
  },
});
definePipeline({
  ...spec,
  // @ts-expect-error -- there is no such output
  build(_inputs, { candles }) {
    void candles;
  },
});
definePipeline({
  ...spec,
  // @ts-expect-error -- there is no such parameter
  build(_inputs, _outputs, { lateness }) {
    void lateness;
  },
});
