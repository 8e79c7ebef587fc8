import { z } from "zod";
import { date, decimal, tableOf, timestamp, type Table } from "../../schema/table";
import { type Batch } from "../connector";
import { commitScript, partStatement, type Given } from "./commit-script";
import { type Shape, type StoredType } from "./shape";

const place = { project: "p", dataset: "d" };
const batch: Batch = {
  ...{ job: "j", pipeline: "p", id: "b1", plan: "p1", ranges: [], replays: [] },
  turn: { number: 3, epoch: 2 },
};

const table = tableOf("t", z.object({ id: z.string(), at: timestamp(), n: z.int().nullable(), tree: z.unknown().meta({ column: { kind: "json" } }) }), { key: ["id", "at"] }); // prettier-ignore
const TYPES: readonly StoredType[] = ["STRING", "TIMESTAMP", "INT64", "JSON"];

function given(of: Table = table, more: Partial<Given> = {}): Given {
  const columns = of.columns.map((column, at) => ({
    ...{ column, type: TYPES[at] ?? ("STRING" as const), whole: 1, scale: 0, maxLength: null },
  }));
  const shape: Shape = { table: of, columns, found: null, added: [], partition: "at", cluster: [] };
  return {
    output: { name: "o", table: of },
    shape,
    staging: { name: "beamline_staging_o_1", decimals: "exact" },
    days: { first: 5, last: 7 },
    rows: 2,
    ...more,
  };
}

const statements = (script: string): string[] => script.trimEnd().split("\n");

test("the source is without duplicates, the last row of a key counts, and other days are left alone", () => {
  const [begin, merge = "", record, end] = statements(commitScript(place, batch, [given()]));
  expect([begin, end]).toEqual(["BEGIN TRANSACTION;", "COMMIT TRANSACTION;"]);
  // Real BigQuery refuses a MERGE whose source has a key twice; the emulator does not.
  expect(merge).toContain("QUALIFY ROW_NUMBER() OVER (PARTITION BY g.c0, g.c1 ORDER BY g.n DESC) = 1) AS s");
  expect(merge).toContain(
    "ON t.`id` = s.c0 AND t.`at` = s.c1 AND t.`at` >= TIMESTAMP_MILLIS(5) AND t.`at` <= TIMESTAMP_MILLIS(7) ",
  );
  expect(merge).toContain(
    "t.`n` IS DISTINCT FROM s.c2 OR TO_JSON_STRING(t.`tree`) IS DISTINCT FROM TO_JSON_STRING(s.c3)",
  );
  expect(record).toBe(
    "UPDATE `p.d.beamline_batches` SET `batch` = 'b1', `number` = 3, `epoch` = 2, `rows` = 2 WHERE `job` = 'j' AND " +
      "`output` = 'o' AND `batch` <> 'b1' AND (`epoch` IS NULL OR `epoch` <= 2);",
  );
});

test("every change of a batch that is run again asks the record of batches first", () => {
  const origin = { ...table, mode: "by-origin" as const, recomputedBy: "at" };
  const ranges = [{ connector: "file", source: "a", from: 1, to: null, detail: {} }];
  const covers = { since: 5, until: 9 };
  const changes = (of: Batch) =>
    statements(commitScript(place, of, [given(origin)])).filter((one) => /^(MERGE|DELETE)/.test(one));
  const asks = /NOT EXISTS \(SELECT 1 FROM `p\.d\.beamline_batches` AS r .* \(r\.`batch` = 'b1' OR r\.`epoch` > 2\)\)/;
  expect(changes({ ...batch, ranges, covers })).toHaveLength(3);
  for (const change of changes({ ...batch, ranges, covers })) expect(change).toMatch(asks);
  for (const change of changes({ ...batch, ranges, covers, turn: null }))
    expect(change).not.toMatch(/beamline_batches/);
});

test("a table whose columns are all key, or stamps beside it, has nothing to be updated", () => {
  const only = tableOf("t", z.object({ id: z.string(), at: timestamp() }), { key: ["id", "at"] });
  const stamped = tableOf("t", z.object({ id: z.string(), at: timestamp() }), { key: ["id"], stamps: ["at"] });
  for (const one of [only, stamped]) expect(commitScript(place, batch, [given(one)])).not.toContain("WHEN MATCHED");
});

test("a decimal is read out of a text only where it was staged as one, or a file could not have it", () => {
  const priced = tableOf("t", z.object({ id: z.string(), few: decimal(), many: decimal(38, 20) }), { key: ["id"] });
  const shape = given(priced).shape;
  const types = ["STRING", "NUMERIC", "BIGNUMERIC"] as const;
  const columns = shape.columns.map((stored, at) => ({ ...stored, type: types[at] ?? stored.type }));
  const script = (decimals: "exact" | "text") =>
    commitScript(place, batch, [
      given(priced, { shape: { ...shape, columns, partition: null }, staging: { name: "s", decimals }, days: null }),
    ]);
  expect(script("exact")).toContain("SELECT g.c0 AS c0, g.c1 AS c1, PARSE_BIGNUMERIC(g.c2) AS c2 FROM");
  expect(script("text")).toContain("SELECT g.c0 AS c0, PARSE_NUMERIC(g.c1) AS c1, PARSE_BIGNUMERIC(g.c2) AS c2 FROM");
});

test("names and texts stay what they are", () => {
  const odd = { ...batch, job: "j'; DROP TABLE x; --\\\n\u0001" };
  expect(commitScript(place, odd, [given()])).toContain("`job` = 'j\\'; DROP TABLE x; --\\\\\\n\\u0001' AND");
});

test("an output without rows is put on record, and nothing is merged", () => {
  const [, record, end] = statements(
    commitScript(place, batch, [given(table, { staging: null, days: null, rows: 0 })]),
  );
  expect(record).toMatch(/^UPDATE/);
  expect(end).toBe("COMMIT TRANSACTION;");
});

test("a day of which a run has only the end is not taken out", () => {
  const daily = tableOf("t", z.object({ id: z.string(), day: date() }), { key: ["id", "day"], recomputedBy: "day" });
  const covers = { since: Date.UTC(2026, 0, 5, 10), until: Date.UTC(2026, 0, 7) };
  const script = commitScript(place, { ...batch, covers }, [given(daily, { staging: null, days: null })]);
  expect(script).toContain("WHERE TRUE AND t.`day` >= DATE '2026-01-06' AND t.`day` < DATE '2026-01-07' AND ");
});

test("a part of a job's rows is one statement that knows no record, and a row that has less replaces none", () => {
  const part = partStatement(place, given(table, { output: { name: "o", table, growsBy: "n" } }));
  expect(part).toMatch(
    /^MERGE `p\.d\.t` AS t USING \(SELECT .*THEN UPDATE SET `n` = s\.c2, `tree` = s\.c3 WHEN NOT MATCHED/,
  );
  expect(part).toContain(") AND (t.`n` IS NULL OR t.`n` <= s.c2) THEN UPDATE");
  expect(part).not.toMatch(/beamline_batches|TRANSACTION|;/);
  expect(partStatement(place, given(table))).not.toContain("<= s.c2");
  expect(partStatement(place, given(table, { staging: null }))).toBeNull();
});
