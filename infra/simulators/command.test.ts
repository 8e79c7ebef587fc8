import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { scratchDirectory } from "../../test/scratch";
import { command } from "./command";
import { startRandomUser } from "./randomuser/randomuser";
import { connect } from "./scene";

const scratch = scratchDirectory();
let out: string;
let err: string;

beforeEach(() => {
  out = err = "";
  jest.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += String(text);
    return true;
  });
  jest.spyOn(process.stderr, "write").mockImplementation((text) => {
    err += String(text);
    return true;
  });
});
afterEach(() => jest.restoreAllMocks());

test("help", async () => {
  for (const words of [[], ["--help"], ["-h"]]) {
    out = "";
    expect([await command(words), err]).toEqual([0, ""]);
    expect(out).toContain("npm run simulate -- <name> [flags]");
  }
  for (const name of ["binance", "randomuser"]) {
    out = "";
    expect(await command(["--seed", "7", name, "--help"])).toBe(0);
    expect(out).toContain(`npm run simulate -- ${name} [flags]`);
    expect(out).toContain("--answer429 share");
    expect(out.includes("--disorder")).toBe(name === "binance");
    expect(out.split("\n").every((line) => line.length < 160)).toBe(true);
  }
});

test.each([
  ["binanse", "There is no simulator “binanse”: did you mean “binance”?"],
  ["--seed 7", "Which simulator? It must be one of binance, randomuser"],
  ["binance randomuser", "“randomuser” is too much: npm run simulate -- binance [flags]"],
  ["binance --sed 7", "There is no flag --sed: did you mean --seed?"],
  ["binance --seed", "--seed needs a value: --seed number"],
  ["binance --seed 1.5", "--seed 1.5: it must be a whole number"],
  ["binance --port 70000", "--port 70000: it must be at most 65535"],
  ["binance --symbols btcusdt", "--symbols btcusdt: write symbols as BTCUSDT,ETHUSDT"],
  ["binance --rate 0", "--rate 0: it must be more than 0"],
  ["binance --start today", "--start today: it must be a time in UTC, such as 2026-01-05T09:30:00Z"],
  ["binance --garbage 3", "--garbage 3: it must be at most 1"],
  ["binance --slow soon", "--slow soon: not a duration: write 250ms, 90s, 5m, 1h30m or 7d"],
  ["binance --refuse=perhaps", "--refuse perhaps: it must be true or false"],
  ["binance --connection-lifetime 90d", "connectionLifetime must be at most 24d"],
  ["randomuser --garbage 1", "There is no flag --garbage; --help lists all"],
  ["randomuser -x", "“-x” is not a flag: flags have two hyphens, such as --x"],
])("%s", async (words, message) => {
  expect([await command(words.split(" ")), err]).toEqual([2, `${message}\n`]);
});

test("a ledger that cannot be written, a port that is taken", async () => {
  expect(await command(["binance", "--ledger", scratch("no", "where")])).toBe(2);
  expect(err).toMatch(/^--ledger .* cannot be written: .*ENOENT/);
  const other = await startRandomUser();
  expect(await command(["binance", "--port", new URL(other.url).port])).toBe(1);
  expect(err).toContain("Failed: Cannot listen on port");
  await other.close();
});

test.each([
  ["binance", "SIGINT"],
  ["randomuser", "SIGTERM"],
] as const)(
  "%s serves until %s, and ends cleanly",
  async (name, signal) => {
    jest.restoreAllMocks();
    const root = path.resolve(__dirname, "../..");
    const words = [name, "--json", "--seed", "5", "--ledger", scratch("ledger.ndjson"), "--answer5xx", "1"];
    const child = spawn(process.execPath, ["--import", "tsx", path.join(__dirname, "main.ts"), ...words], {
      cwd: root,
    });
    let said = "";
    child.stderr.on("data", (text) => (said += String(text)));
    try {
      const [line] = (await once(createInterface(child.stdout), "line")) as [string];
      const { simulator, url, wsUrl, pid } = JSON.parse(line) as Record<string, string | number>;
      expect([simulator, pid]).toEqual([name, child.pid]);
      expect((await fetch(`${url}/api/`)).status).toBeGreaterThanOrEqual(500);
      const client = name === "binance" ? await connect(`${wsUrl}/ws/btcusdt@trade`) : null;
      child.kill(signal);
      // It may come by several ways.
      child.kill(signal);
      expect(await once(child, "exit")).toEqual([0, null]);
      if (client !== null) expect((await client.closed)[0]).toBe(1001);
      expect(said).toContain(`${name} serves at ${url}`);
      expect(said).toContain(`curl -X POST ${url}/_simulator/faults`);
      const [settings] = fs.readFileSync(scratch("ledger.ndjson"), "utf8").split("\n") as [string];
      expect(JSON.parse(settings)).toMatchObject({ kind: "settings", simulator: name, seed: 5 });
    } finally {
      child.kill("SIGKILL");
    }
  },
  60_000,
);
