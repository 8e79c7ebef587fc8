// Bounded runs that are killed, where what they write goes by their plan: the next run goes on with that, and two never have
// one plan at the same time.
import { spawn } from "node:child_process";
import fs from "node:fs";
import { fromSource } from "../infra/systems/systems";
import { openDatabase } from "../io/sqlite/database";
import { POINTS } from "../runners/direct/points";
import { lines, trades } from "./command-scene";
import { runDyingBatch, type DyingRun } from "./dying-run";
import { scratchDirectory } from "./scratch";

const at = scratchDirectory();
const run = (more: Partial<DyingRun> = {}) =>
  runDyingBatch(at(), {
    from: `file:${at("in")}/*`,
    to: [`sqlite:${at("out.db")}`, `candles=file:${at("out.ndjson")}`],
    flags: {},
    die: null,
    ...more,
  });
const counted = () =>
  fs
    .readFileSync(at("out.ndjson"), "utf8")
    .split("\n")
    .slice(0, -1)
    .reduce((sum, line) => sum + (JSON.parse(line) as { trade_count: number }).trade_count, 0);
const plans = () => fs.readdirSync(at("data/state")).filter((file) => file.endsWith(".plan.json"));

beforeEach(() => {
  fs.mkdirSync(at("in"));
  fs.writeFileSync(at("in/1.ndjson"), lines(...trades(0, 120)));
});

test.each(POINTS)(
  "killed when it was %s: the next run gives what was planned, the one behind it the rest",
  async (point) => {
    expect((await run({ die: { point, nth: 1 } })).ending).toBe("killed");
    // What has come in the meantime is not of that plan.
    fs.writeFileSync(at("in/2.ndjson"), lines(...trades(120, 180)));
    expect(plans()).toHaveLength(1);
    const next = await run();
    expect(next.ending).toBe("done");
    expect(next.told).toMatch(/^Going on with the plan [0-9a-f]{12}-[0-9a-f]{8} of 20.*Z, whose run was killed: /);
    expect(counted()).toBe(120);
    expect((await run()).ending).toBe("done");
    expect(counted()).toBe(180);
    expect(fs.readdirSync(at("data/state"))).toEqual([]);
  },
);

test("a plan is not kept for rows that are replaced by key, nor by a run that fails before anything can be seen", async () => {
  const to = [`sqlite:${at("out.db")}`];
  expect((await run({ to, die: { point: "run", nth: 1 } })).ending).toBe("killed");
  expect(fs.existsSync(at("data/state"))).toBe(false);
  fs.writeFileSync(at("in/1.ndjson"), lines(...trades(0, 10), "{bad"));
  const failed = await run({ flags: { "dead-letter-share": "0", "dead-letter-sample": "0" } });
  expect(failed).toMatchObject({ ending: "failed", told: expect.stringContaining("Stopped at") as string });
  expect(fs.readdirSync(at("data/state"))).toEqual([]);
});

test("a run that fails when a part can be seen already keeps its plan", async () => {
  fs.mkdirSync(at("taken"));
  const broken = [`sqlite:${at("taken/app.db")}`, `candles=file:${at("out.ndjson")}`];
  // The rows are there; then the letters' database turns out to be in another's hands.
  const going = run({ to: broken, die: null, flags: { "state-dir": at("state") } });
  expect((await going).ending).toBe("done");
  const other = openDatabase(at("taken/app.db"));
  other.exec("CREATE TRIGGER no BEFORE INSERT ON _beamline_batches BEGIN SELECT raise(ABORT, 'not now'); END");
  const failed = await run({ to: broken, flags: { "state-dir": at("state") } });
  expect(failed).toMatchObject({
    ending: "failed",
    told: expect.stringContaining("What was written of candles") as string,
  });
  expect(fs.readdirSync(at("state")).filter((file) => file.endsWith(".plan.json"))).toHaveLength(1);
  other.exec("DROP TRIGGER no");
  other.close();
  const next = await run({ to: broken, flags: { "state-dir": at("state") } });
  expect(next).toMatchObject({ ending: "done", told: expect.stringContaining("Going on with the plan") as string });
});

test("of many processes that want one plan, never two have it", async () => {
  fs.mkdirSync(at("state"));
  const { program, args } = fromSource("test/plan-holder.ts");
  const told = await Promise.all(
    [1, 2, 3, 4].map(
      () =>
        new Promise<string>((resolve) => {
          const child = spawn(program, [...args, at("state"), "150"], { stdio: ["ignore", "pipe", "inherit"] });
          let text = "";
          child.stdout.setEncoding("utf8").on("data", (piece: string) => (text += piece));
          child.once("close", () => resolve(text));
        }),
    ),
  );
  const outcomes = told.map((text) => JSON.parse(text) as { held: number; together: number });
  expect(outcomes.reduce((sum, { together }) => sum + together, 0)).toBe(0);
  expect(outcomes.reduce((sum, { held }) => sum + held, 0)).toBeGreaterThan(50);
});
