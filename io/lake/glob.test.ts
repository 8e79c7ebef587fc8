import { fixedPart, isPattern, matcherOf } from "./glob";

const names = [
  "a.csv",
  "a.parquet",
  "b.parquet",
  "day=2026-01-01/x.parquet",
  "day=2026-01-02/y.parquet",
  "day=2026-01-02/deep/z.parquet",
  "_manifests/p1.json",
  "day=2026-01-01/_temporary/x.parquet",
  ".hidden.parquet",
  "a+(b).parquet",
];

describe("a pattern", () => {
  it.each([
    ["*.parquet", ["a.parquet", "b.parquet", "a+(b).parquet"]],
    ["?.parquet", ["a.parquet", "b.parquet"]],
    ["**/*.parquet", names.filter((name) => name.endsWith("parquet") && !/(^|\/)[._]/.test(name))],
    ["**", names.filter((name) => !/(^|\/)[._]/.test(name))],
    ["day=*/*.parquet", ["day=2026-01-01/x.parquet", "day=2026-01-02/y.parquet"]],
    ["day=2026-01-02/**", ["day=2026-01-02/y.parquet", "day=2026-01-02/deep/z.parquet"]],
    ["{a,b}.{csv,parquet}", ["a.csv", "a.parquet", "b.parquet"]],
    ["[ab].parquet", ["a.parquet", "b.parquet"]],
    ["[!a].parquet", ["b.parquet"]],
    ["a+(b).parquet", ["a+(b).parquet"]],
    ["_manifests/*", ["_manifests/p1.json"]],
  ])("%s matches %j", (pattern, expected) => {
    expect(names.filter(matcherOf(pattern))).toEqual(expected);
  });

  it("begins with what is fixed", () => {
    expect(fixedPart("lake/candles/day=*/x")).toBe("lake/candles/day=");
    expect(fixedPart("lake/x.parquet")).toBe("lake/x.parquet");
    expect([isPattern("a*"), isPattern("a/b=c")]).toEqual([true, false]);
  });
});
