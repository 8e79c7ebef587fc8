// --fallback on a real PostgreSQL that is stopped and started: a job reads on, its rows wait on this machine, and come to be
// there exactly once and in order, also when the process is killed wherever rows begin to wait or are delivered.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { freePort } from "../infra/services/ports";
import { startServices, stopServices } from "../infra/services/services";
import { closePools } from "../io/postgres/pool";
import { FALLBACK_POINTS, POINTS, type Point } from "../runners/direct/points";
import { scene, lines, trades } from "./command-scene";
import { candlesInPostgres, candlesInSqlite, inPostgres } from "./job-scene";
import { Ledger } from "./ledger";
import { runDying } from "./run-dying";

const { at, beamline } = scene();
const directory = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), "beamline-fallback-"));
// The server may run as another user.
fs.chmodSync(directory, 0o755);
const options = { directory };
let url = "";
const start = async (port: number) => {
  const { postgres } = await startServices(["postgres"], { ...options, ports: { postgres: port } });
  url = postgres.url;
};
let port = 0;
const up = () => start(port);
const down = () => stopServices(["postgres"], options);

beforeAll(async () => {
  port = await freePort();
  await up();
});
afterAll(async () => {
  await closePools();
  await stopServices(["postgres"], { ...options, data: true });
  fs.rmSync(directory, { recursive: true, force: true });
});

async function schemaOf(schema: string): Promise<string> {
  await inPostgres(url, `create schema ${schema}`);
  return `${url}?schema=${schema}`;
}

const append = (ledger: Ledger, count: number) =>
  fs.appendFileSync(at("in.ndjson"), lines(...ledger.take(count).map(({ value }) => value)));
const waiting = () => {
  const kept = at("fallback/trades-aggregate");
  return fs.existsSync(kept) ? fs.readdirSync(kept).filter((name) => !name.startsWith(".")).length : 0;
};
const dying = (to: string, die: { readonly point: Point; readonly nth: number } | null, flags = {}) =>
  runDying(at(), {
    ...{ from: `file:${at("in.ndjson")}`, to, die },
    flags: { "state-dir": at("state"), once: "true", "max-batch": "150", fallback: `file:${at("fallback")}`, ...flags },
  });

test("a job reads on while its database is stopped; killed at each point, every number counts once", async () => {
  const to = await schemaOf("killed");
  const ledger = new Ledger(11);
  append(ledger, 300);
  expect(await dying(to, null)).toBe("done");
  for (const point of [...POINTS, "kept"] as const) {
    await down();
    append(ledger, 400);
    // A batch of which everything waits has no target that is committed.
    expect(await dying(to, { point, nth: 2 })).toBe("killed");
    expect(waiting()).toBeGreaterThan(0);
    append(ledger, 200);
    expect(await dying(to, null)).toBe("done");
    await up();
    // While it is killed again and again where it has just delivered some of it.
    const before = waiting();
    for (const nth of [1, 2]) expect(await dying(to, { point: "delivered", nth })).toBe("killed");
    expect(waiting()).toBeLessThan(before);
    expect(await dying(to, null)).toBe("done");
    expect(waiting()).toBe(0);
    expect(await candlesInPostgres(url, "killed")).toEqual(ledger.expected());
  }
  expect(FALLBACK_POINTS).toEqual(["kept", "delivered"]);
});

test("killed at random while the database comes and goes: every number counts once", async () => {
  const to = await schemaOf("random");
  const ledger = new Ledger(12);
  append(ledger, 300);
  for (let round = 0; round < 4; round += 1) {
    await down();
    for (let n = 0; n < 2; n += 1) {
      append(ledger, 300);
      await runDying(
        at(),
        {
          ...{ from: `file:${at("in.ndjson")}`, to, die: null },
          flags: {
            "state-dir": at("state"),
            "batch-interval": "20ms",
            "max-batch": "100",
            fallback: `file:${at("fallback")}`,
          },
        },
        600 + Math.random() * 900,
      );
    }
    await up();
    await runDying(
      at(),
      {
        ...{ from: `file:${at("in.ndjson")}`, to, die: null },
        flags: { "state-dir": at("state"), "batch-interval": "20ms", fallback: `file:${at("fallback")}` },
      },
      600 + Math.random() * 900,
    );
  }
  expect(await dying(to, null)).toBe("done");
  expect(waiting()).toBe(0);
  expect(await candlesInPostgres(url, "random")).toEqual(ledger.expected());
});

test("two places, one of them stopped: a bounded run ends degraded, and the next one delivers first", async () => {
  const to = await schemaOf("bounded");
  fs.writeFileSync(at("in.ndjson"), lines(...trades(0, 150), "{bad"));
  const words = [
    ...["run", "trades-aggregate", "--from", `file:${at("in.ndjson")}`, "--fallback", "file:fallback", "--json"],
    ...["--to", `candles=${to}`, "--to", "dead_letters=sqlite:letters.db"],
  ];
  await down();
  const degraded = await beamline(...words);
  expect(degraded.code).toBe(0);
  expect(JSON.parse(degraded.stdout)).toMatchObject({
    ...{ state: "degraded", written: { candles: 0, dead_letters: 1 }, waiting: { candles: 3 } },
  });
  expect((await beamline(...words, "--strict")).code).toBe(1);
  await up();
  const done = await beamline(...words);
  expect(JSON.parse(done.stdout)).toMatchObject({ state: "done", delivered: { candles: 6 }, waiting: {} });
  expect((await candlesInPostgres(url, "bounded")).map(({ trade_count }) => trade_count)).toEqual([60, 60, 30]);
  expect(candlesInSqlite(at("letters.db"))).toEqual([]);
});
