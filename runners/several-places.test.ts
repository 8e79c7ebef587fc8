import fs from "node:fs";
import { scene } from "../test/command-scene";

const { at, beamline, query, write } = scene();

const lines = (file: string) => {
  return fs
    .readFileSync(at(file), "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
};

test("one output goes to several places, and all have the same rows", async () => {
  const { code, stdout } = await beamline(
    ...["run", "--to", "candles=sqlite:out.db", "--to", "candles=file:candles.ndjson"],
    ...["--to", "candles=sqlite:other.db", "--json"],
  );
  expect(code).toBe(0);
  const { written } = JSON.parse(stdout) as { written: Record<string, number> };
  expect(written).toMatchObject({ candles: 20, "candles-2": 20, "candles-3": 20 });
  const rows = query("SELECT symbol, window_start, volume FROM trades_1min_agg ORDER BY 1, 2", "out.db");
  expect(rows).toHaveLength(20);
  expect(query("SELECT symbol, window_start, volume FROM trades_1min_agg ORDER BY 1, 2", "other.db")).toEqual(rows);
  const inFile = lines("candles.ndjson").map(({ symbol, window_start, volume }) => ({ symbol, window_start, volume }));
  const key = (row: Record<string, unknown>) => `${String(row["symbol"])} ${String(row["window_start"])}`;
  expect(inFile.sort((a, b) => (key(a) < key(b) ? -1 : 1))).toEqual(rows);
});

test("in a job that goes on, each place gets the rows that it wants: changes here, the last word there", async () => {
  const places = ["--to", "candles=sqlite:out.db", "--to", "candles=file:out/"];
  const job = ["run", "--streaming", "--max-batch", "300", "--job", "both", ...places];
  expect((await beamline(...job, "--once")).code).toBe(0);
  const rows = query("SELECT count(*) AS n FROM trades_1min_agg", "out.db");
  expect(Number(rows[0]?.["n"])).toBeGreaterThan(10);
  expect((await beamline(...job, "--flush")).code).toBe(0);
  const files = fs.readdirSync(at("out")).filter((name) => name.startsWith("trades_1min_agg"));
  const final = files.flatMap((name) => lines(`out/${name}`));
  const keys = final.map(({ symbol, window_start }) => `${String(symbol)} ${String(window_start)}`);
  expect(new Set(keys).size).toBe(keys.length);
  expect(keys).toHaveLength(Number(query("SELECT count(*) AS n FROM trades_1min_agg", "out.db")[0]?.["n"]));
});

test("one place that cannot be opened ends the run before anything is written anywhere", async () => {
  write("taken", "a file");
  const { code, stderr } = await beamline("run", "--to", "candles=sqlite:out.db", "--to", "candles=file:taken/below/");
  expect(code).not.toBe(0);
  expect(stderr).toContain("taken");
  expect(fs.existsSync(at("out.db"))).toBe(false);
});
