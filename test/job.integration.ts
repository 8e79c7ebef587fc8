// The command's --streaming as people run it, on real Kafka and PostgreSQL: what it does without, what it refuses, how it
// ends, and what it tells of itself.
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../infra/services/ports";
import { startServices, stopServices, type RunningService } from "../infra/services/services";
import { closePools } from "../io/postgres/pool";
import { openDatabase } from "../io/sqlite/database";
import { type JobStatus } from "../runners/direct/job-status";
import { type StoredPlan } from "../runners/direct/job-state";
import { type Report } from "../runners/report";
import { scene, trade, type Outcome } from "./command-scene";
import {
  Broker,
  candlesInPostgres,
  candlesInSqlite,
  inPostgres,
  jobProcesses,
  until,
  type JobProcess,
  type Sent,
} from "./job-scene";
import { Ledger, type Expected } from "./ledger";
import { runDying } from "./run-dying";

const { at, beamline } = scene();
const startJob = jobProcesses();
const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-job-"));
// The server may run as another user.
chmodSync(directory, 0o755);
const options = { directory };
const names = ["kafka", "postgres"] as const;
let services: Record<(typeof names)[number], RunningService>;
let broker: Broker;

beforeAll(async () => {
  const ports = { kafka: await freePort(), postgres: await freePort() };
  services = await startServices(names, { ...options, ports });
  broker = await Broker.connect(new URL(services.kafka.url).host);
});

afterAll(async () => {
  await broker?.close();
  await closePools();
  await stopServices(names, { ...options, data: true });
  rmSync(directory, { recursive: true, force: true });
});

const T0 = Date.UTC(2026, 0, 5, 9, 30);

/** A trade a second, numbered. */
const numbered = (from: number, to: number, partition = 0): Sent[] =>
  Array.from({ length: to - from }, (_, n) => {
    const id = from + n;
    return { value: trade(id), time: T0 + id * 1000, partition };
  });

const toSent = (records: readonly { key: string; value: string; time: number }[], partitions: number): Sent[] =>
  records.map((record, n) => ({ ...record, partition: n % partitions }));

/** The candles of numbered trades: how many are in each minute. */
const candles = (counts: Readonly<Record<string, number>>): Expected[] =>
  Object.entries(counts).map(([minute, count]) => ({
    symbol: "BTCUSDT",
    window_start: `2026-01-05T${minute}:00.000Z`,
    trade_count: count,
    volume: String(2 * count),
  }));

const streaming = (topic: string, ...more: string[]) => ["--streaming", "--from", broker.uri(topic), ...more];
const reportOf = ({ stdout }: Outcome) => JSON.parse(stdout) as Report;
const containing = (text: string) => expect.stringContaining(text) as string;
const matching = (text: RegExp) => expect.stringMatching(text) as string;

async function statusOf(job = "trades-aggregate"): Promise<JobStatus> {
  const { code, stdout } = await beamline("status", job, "--json");
  expect(code).toBe(0);
  const [status] = JSON.parse(stdout) as JobStatus[];
  return status as JobStatus;
}

/** Waits until the job stands so; it may not even have begun. */
async function untilStatus(job: JobProcess, isSo: (status: JobStatus) => boolean): Promise<JobStatus> {
  const begun = () => beamline("status", "--json");
  await job.until(begun, ({ stdout }) => stdout.includes("trades-aggregate"));
  return job.until(statusOf, isSo);
}

/** A schema of its own for a test. */
async function postgresSchema(schema: string): Promise<string> {
  await inPostgres(services.postgres.url, `create schema ${schema}`);
  return `${services.postgres.url}?schema=${schema}`;
}

const inDefaultStore = () => candlesInSqlite(at("data/app.db"));

describe("records that were deleted before they were read", () => {
  it("end the job with their number; told to go on, it counts them, and what they cut gets no row", async () => {
    await broker.createTopic("gap");
    await broker.send("gap", numbered(0, 100));
    const to = await postgresSchema("gap");
    const words = streaming("gap", "--to", to, "--once", "--json", "--log=json");
    expect(await beamline(...words)).toMatchObject({ code: 0 });

    await broker.send("gap", numbered(100, 200));
    await broker.deleteRecords("gap", 150);
    const refused = await beamline(...words);
    expect(refused).toMatchObject({
      code: 1,
      stdout: containing("50 records of gap/0 are gone before they were read: it begins at 150 now."),
    });
    expect((await statusOf()).lastError).toMatch(/50 records of gap\/0 are gone .* --on-gap=continue/);

    const went = await beamline(...words, "--on-gap=continue");
    expect(went.code).toBe(0);
    expect(reportOf(went)).toMatchObject({ read: 50, lost: 50, batches: 1 });
    // Lost are seconds 100 to 149. With ten seconds of disorder, what ends by 09:31:29 or begins at 09:32:40 is whole.
    expect(await candlesInPostgres(services.postgres.url, "gap")).toEqual(
      candles({ "09:30": 60, "09:31": 40, "09:33": 20 }),
    );
    const said = went.stderr
      .split("\n")
      .filter((line) => line.includes("windows not whole"))
      .join();
    for (const minute of ["09:31", "09:32"]) expect(said).toContain(`2026-01-05T${minute}:00Z – `);
    for (const minute of ["09:30", "09:33"]) expect(said).not.toContain(`2026-01-05T${minute}:00Z – `);
    expect(await statusOf()).toMatchObject({ lost: 50, read: 150, lastError: null });

    // What was counted as lost is not found again.
    await broker.send("gap", numbered(200, 240));
    const later = await beamline(...words);
    expect(reportOf(later)).toMatchObject({ read: 40, lost: 0 });
    expect((await candlesInPostgres(services.postgres.url, "gap")).at(-1)).toMatchObject({ trade_count: 60 });
  });

  it("may be all that there were, and are counted once however long nothing comes", async () => {
    await broker.createTopic("emptied");
    await broker.send("emptied", numbered(0, 70));
    await beamline(...streaming("emptied", "--once"));
    await broker.send("emptied", numbered(70, 130));
    await broker.deleteRecords("emptied", 130);
    const job = startJob(
      at(),
      streaming("emptied", "--on-gap=continue", "--log=json", "--json", "--batch-interval=50ms"),
    );
    await untilStatus(job, ({ lost }) => lost > 0);
    await broker.send("emptied", numbered(130, 310));
    await untilStatus(job, ({ read }) => read === 250);
    const ended = await job.end();
    expect(ended.code).toBe(130);
    expect(reportOf(ended)).toMatchObject({ read: 180, lost: 60 });
    expect(job.events.filter(({ event }) => event === "gap found")).toEqual([
      expect.objectContaining({ source: "emptied/0", from: 70, to: 130, lost: 60 }),
    ]);
    expect((await statusOf()).lost).toBe(60);
    // The first record that came after them tells up to where they cut: second 130, and ten of disorder.
    expect(inDefaultStore()).toEqual(candles({ "09:30": 60, "09:31": 10, "09:33": 60, "09:34": 60, "09:35": 10 }));
  });

  it("may be those of a plan that a crash left: it is changed durably, and they count once", async () => {
    await broker.createTopic("gapplan");
    await broker.send("gapplan", numbered(0, 100));
    const to = `sqlite:${at("out.db")}`;
    const flags = { "state-dir": at("data/state"), once: "true" };
    const run = (die: Parameters<typeof runDying>[1]["die"], more: Record<string, string> = {}) =>
      runDying(at(), { from: broker.uri("gapplan"), to, flags: { ...flags, ...more }, die });
    const pending = () => {
      const database = openDatabase(at("data/state/trades-aggregate.db"));
      try {
        const [row] = database.prepare("SELECT plan FROM plan WHERE committed = 0").all([]);
        return JSON.parse(String(row?.["plan"])) as StoredPlan;
      } finally {
        database.close();
      }
    };
    expect(await run({ point: "planned", nth: 1 })).toBe("killed");
    await broker.deleteRecords("gapplan", 30);
    expect(await run(null)).toBe("failed");
    expect(pending()).toMatchObject({ lost: 0, parts: [{ from: 0, to: 100 }] });
    const goOn = { "on-gap": "continue" };
    for (const point of ["planned", "run", "target committed"] as const) {
      expect(await run({ point, nth: 1 }, goOn)).toBe("killed");
      expect(pending()).toMatchObject({ lost: 30, parts: [{ from: 30, to: 100, range: { from: 30, to: 100 } }] });
    }
    expect(await run(null, goOn)).toBe("done");
    expect(await statusOf()).toMatchObject({ lost: 30, read: 70, lastBatch: 1 });
    expect(candlesInSqlite(at("out.db"))).toEqual(candles({ "09:31": 40 }));
  });
});

describe("a topic that was deleted and made anew", () => {
  const remake = async (topic: string, records: readonly Sent[]) => {
    await broker.admin.deleteTopics({ topics: [topic] });
    await broker.createTopic(topic);
    await broker.send(topic, records);
  };

  it("is refused, whether it is shorter, or longer with other records; --reset begins anew", async () => {
    await broker.createTopic("anew");
    await broker.send("anew", numbered(0, 60));
    const words = streaming("anew", "--once");
    expect(await beamline(...words)).toMatchObject({ code: 0 });
    await remake("anew", numbered(60, 80));
    expect(await beamline(...words)).toMatchObject({
      code: 2,
      stderr: matching(/anew\/0 was read up to 60, but ends at 20 now, .*--reset, or another --job/),
    });
    await broker.send("anew", numbered(80, 160));
    expect(await beamline(...words)).toMatchObject({
      code: 2,
      stderr: matching(/anew\/0 has another record at 59 than .*--reset, or another --job/),
    });
    expect(await beamline(...words, "--reset", "--yes")).toMatchObject({ code: 0 });
    expect(inDefaultStore()).toEqual(candles({ "09:30": 60, "09:31": 60, "09:32": 40 }));
    expect(await beamline(...words)).toMatchObject({ code: 0 });
  });

  it("ends a job that is running, before it takes the new records for those that follow", async () => {
    await broker.createTopic("swapped");
    await broker.send("swapped", numbered(0, 60));
    const job = startJob(at(), streaming("swapped", "--batch-interval=50ms"));
    await untilStatus(job, ({ read }) => read === 60);
    await remake("swapped", numbered(60, 80));
    const { code, stderr } = await job.ended;
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/swapped\/0 was read up to 60, but ends at \d+ now|no topic “swapped”|it was deleted/);
    expect(stderr).not.toMatch(/^\s+at /m);
  });
});

it("a state that is missing while the broker remembers the job is refused; another job and --reset work", async () => {
  await broker.createTopic("stateless");
  await broker.send("stateless", numbered(0, 60));
  const words = streaming("stateless", "--once", "--json");
  expect(await beamline(...words)).toMatchObject({ code: 0 });
  rmSync(at("data/state"), { recursive: true });
  for (let start = 0; start < 2; start += 1) {
    expect(await beamline(...words)).toMatchObject({
      code: 2,
      stderr: matching(/has read trades before, but its state is missing from .*--reset or another --job/),
    });
  }
  const other = await beamline(...words, "--job=other");
  expect(reportOf(other)).toMatchObject({ job: "other", read: 60 });
  // A reset holds, also when the start that asked for it came to nothing.
  await broker.deleteRecords("stateless", 60);
  expect(reportOf(await beamline(...words, "--reset", "--yes"))).toMatchObject({ read: 0 });
  await broker.send("stateless", numbered(60, 90));
  expect(reportOf(await beamline(...words))).toMatchObject({ read: 30 });
});

it("partitions that come while the job runs are read from their beginning, and the watermark does not go back", async () => {
  await broker.createTopic("growing", 1);
  const ledger = new Ledger(11);
  const to = await postgresSchema("growing");
  const words = ["--batch-interval=50ms", "--max-batch=100", "--idle=10m", "--log=json", "--json"];
  const job = startJob(at(), streaming("growing", "--to", to, ...words));
  const table = () => candlesInPostgres(services.postgres.url, "growing");
  for (const partitions of [1, 3, 4]) {
    if (partitions > 1) await broker.growTopic("growing", partitions);
    for (let n = 0; n < 5; n += 1) await broker.send("growing", toSent(ledger.take(100), partitions));
    await job.until(table, (rows) => JSON.stringify(rows) === JSON.stringify(ledger.expected()));
  }
  const watermarks = job.events.flatMap(({ watermark }) => (typeof watermark === "string" ? [watermark] : []));
  expect(watermarks.length).toBeGreaterThan(3);
  expect(watermarks).toEqual([...watermarks].sort());
  const ended = await job.end();
  expect(reportOf(ended)).toMatchObject({ late: 0, dead: 0, lost: 0 });
  expect(job.events.filter(({ event }) => event === "partition new")).toHaveLength(3);
});

describe("windows that only their end brings out", () => {
  const finals = (): Expected[] =>
    (existsSync(at("out")) ? readdirSync(at("out")) : [])
      .filter((file) => !file.startsWith("."))
      .sort()
      .flatMap((file) => readFileSync(at("out", file), "utf8").trim().split("\n"))
      .map((line) => JSON.parse(line) as Expected & { readonly [column: string]: unknown })
      .map(({ symbol, window_start, trade_count, volume }) => ({ symbol, window_start, trade_count, volume }));
  const toFiles = ["--to", "candles=file:out/", "--to", "dead_letters=file:letters/", "--lateness=0s"];

  it("wait for a partition without news, but not longer than --idle", async () => {
    await broker.createTopic("idle", 2);
    await broker.send("idle", numbered(0, 150));
    const words = streaming("idle", ...toFiles, "--batch-interval=50ms");
    expect(await beamline(...words, "--once")).toMatchObject({ code: 0 });
    expect(await statusOf()).toMatchObject({ read: 150, watermark: null, openWindows: 3 });
    expect(finals()).toEqual([]);

    const job = startJob(at(), [...words, "--idle=500ms", "--json"]);
    await job.until(finals, (rows) => rows.length === 3);
    expect(finals()).toEqual(candles({ "09:30": 60, "09:31": 60, "09:32": 30 }));
    expect(reportOf(await job.end())).toMatchObject({ read: 0, openWindows: 0 });
  });

  it("come while the other partition goes on, and no trade is in none or in two", async () => {
    await broker.createTopic("lively", 2);
    const words = ["--window=1s", "--disorder=3s", "--idle=1s", "--batch-interval=50ms", "--json"];
    const job = startJob(at(), streaming("lively", ...toFiles, ...words));
    let sent = 0;
    const sendOne = async () => {
      const now = Date.now();
      await broker.send("lively", [{ value: trade(sent, { T: now, E: now }), time: now, partition: 0 }]);
      sent += 1;
    };
    // It goes on until some windows came out, and a little longer.
    await job.until(
      async () => {
        await sendOne();
        return finals();
      },
      (rows) => rows.length >= 3,
    );
    for (let n = 0; n < 10; n += 1) await sendOne();
    const counted = () => finals().reduce((sum, { trade_count }) => sum + trade_count, 0);
    await untilStatus(job, ({ read, openWindows }) => read === sent && openWindows === 0);
    const report = reportOf(await job.end());
    expect(report).toMatchObject({ read: sent, ok: sent });
    expect(counted() + report.late).toBe(sent);
    expect(new Set(finals().map(({ window_start }) => window_start)).size).toBe(finals().length);
  });

  it("--once ends at what was there, however much comes; --flush closes what is open and ends the job", async () => {
    await broker.createTopic("once");
    await broker.send("once", numbered(0, 100));
    const words = streaming("once", ...toFiles, "--max-batch=150");
    let isGoing = true;
    let sent = 100;
    const producing = (async () => {
      for (; isGoing; sent += 10) {
        await broker.send("once", numbered(sent, sent + 10));
        await sleep(20);
      }
    })();
    const reports: Report[] = [];
    for (let run = 0; run < 3; run += 1) {
      const before = sent;
      const outcome = await beamline(...words, "--once", "--json");
      expect(outcome.code).toBe(0);
      reports.push(reportOf(outcome));
      await until(
        () => sent,
        (now) => now > before,
      );
    }
    isGoing = false;
    await producing;
    expect(reports.every(({ read }) => read > 0)).toBe(true);
    expect(reports.reduce((sum, { read }) => sum + read, 0)).toBeLessThanOrEqual(sent);
    const flushed = await beamline(...words, "--flush", "--json");
    expect(reportOf(flushed)).toMatchObject({ openWindows: 0, late: 0 });
    const counts: Record<string, number> = {};
    for (let id = 0; id < sent; id += 1) {
      const minute = new Date(T0 + id * 1000).toISOString().slice(11, 16);
      counts[minute] = (counts[minute] ?? 0) + 1;
    }
    expect(finals()).toEqual(candles(counts));
    expect(await beamline(...words, "--once")).toMatchObject({
      code: 2,
      stderr: matching(/was ended by --flush at .*--reset, or another --job/),
    });
    expect(await statusOf()).toMatchObject({ state: "ended", read: sent, openWindows: 0 });
    expect(await beamline("status")).toMatchObject({ code: 0, stdout: containing("trades-aggregate: ended") });
  });
});

describe("a job that begins in the midst", () => {
  const whole = { "09:32": 60, "09:33": 40 };

  it.each([
    ["skip", candles(whole)],
    ["write", candles({ "09:31": 20, ...whole })],
  ])("at the latest record, --partial-windows=%s", async (partial, expected) => {
    const topic = `latest_${partial}`;
    await broker.createTopic(topic);
    await broker.send(topic, numbered(0, 100));
    const words = [
      "--start-at=latest",
      `--partial-windows=${partial}`,
      "--batch-interval=50ms",
      "--log=json",
      "--json",
    ];
    const job = startJob(at(), streaming(topic, ...words));
    // Where it begins is kept from then on.
    await job.until(
      () => job.events,
      (events) => events.some(({ event }) => event === "batch committed"),
    );
    for (let from = 100; from < 220; from += 30) await broker.send(topic, numbered(from, from + 30));
    await untilStatus(job, ({ read }) => read === 120);
    expect((await job.end()).code).toBe(130);
    expect(inDefaultStore()).toEqual(expected);
    const cut = job.events.filter(({ event }) => event === "windows not whole");
    if (partial === "write") expect(cut).toEqual([]);
    else expect(cut.at(-1)).toMatchObject({ windows: 1, named: containing("2026-01-05T09:31:00Z – ") });
  });

  it("at the latest record and stopped before anything came: the next start goes on from there", async () => {
    await broker.createTopic("latest");
    await broker.send("latest", numbered(0, 120));
    const words = streaming("latest", "--start-at=latest", "--once", "--json");
    expect(reportOf(await beamline(...words))).toMatchObject({ read: 0 });
    await broker.send("latest", numbered(120, 240));
    expect(reportOf(await beamline(...words))).toMatchObject({ read: 120 });
    // Second 119 was there before, and ten seconds of disorder reach into 09:32.
    expect(inDefaultStore()).toEqual(candles({ "09:33": 60 }));
  });

  it("at a time: windows from then on are whole, the one it lies in is not", async () => {
    await broker.createTopic("since");
    await broker.send("since", numbered(0, 200));
    const since = async (time: string, job: string) => {
      const to = `sqlite:${at(`${job}.db`)}`;
      const words = ["--once", "--json", "--log=json", "--since", time, "--job", job, "--to", to];
      const outcome = await beamline(...streaming("since", ...words));
      return { report: reportOf(outcome), rows: candlesInSqlite(at(`${job}.db`)), said: outcome.stderr };
    };
    const aligned = await since("2026-01-05T09:31:00Z", "aligned");
    expect(aligned.report).toMatchObject({ read: 140 });
    expect(aligned.rows).toEqual(candles({ "09:31": 60, "09:32": 60, "09:33": 20 }));
    expect(aligned.said).not.toContain("windows not whole");
    const within = await since("2026-01-05T09:31:30Z", "within");
    expect(within.report).toMatchObject({ read: 110 });
    expect(within.rows).toEqual(candles({ "09:32": 60, "09:33": 20 }));
    expect(within.said).toContain("2026-01-05T09:31:00Z – ");
  });
});

it("a second process of one job is refused, also by --reset; the first one goes on", async () => {
  await broker.createTopic("twice");
  await broker.send("twice", numbered(0, 60));
  const words = streaming("twice", "--batch-interval=50ms");
  const first = startJob(at(), words);
  await untilStatus(first, ({ read }) => read === 60);
  for (const more of [[], ["--reset", "--yes"]]) {
    const second = await startJob(at(), [...words, "--once", ...more]).ended;
    expect(second).toMatchObject({
      code: 1,
      stderr: matching(
        /The job trades-aggregate is being run by another process: stop that one, or choose another --job/,
      ),
    });
  }
  await broker.send("twice", numbered(60, 120));
  await untilStatus(first, ({ read }) => read === 120);
  expect((await first.end()).code).toBe(130);
  expect(inDefaultStore()).toEqual(candles({ "09:30": 60, "09:31": 60 }));
});

it.each(["SIGINT", "SIGTERM"] as const)(
  "%s in a batch: exit code 130, and the next start goes on exactly",
  async (signal) => {
    const topic = `stopped_${signal.toLowerCase()}`;
    await broker.createTopic(topic, 2);
    const ledger = new Ledger(signal.length);
    const to = await postgresSchema(topic);
    for (let n = 0; n < 10; n += 1) await broker.send(topic, toSent(ledger.take(2_000), 2));
    const words = streaming(topic, "--to", to, "--max-batch=200", "--log=json", "--json");
    const job = startJob(at(), words);
    const planned = () => job.events.filter(({ event }) => event === "plan made").length;
    await job.until(planned, (plans) => plans >= 2);
    const ended = await job.end(signal);
    expect(ended).toMatchObject({ code: 130, signal: null });
    expect(JSON.parse(ended.stdout)).toMatchObject({ state: "interrupted" });
    expect(await statusOf()).toMatchObject({ state: "stopped", lastError: null });
    const rest = await beamline(...words, "--once");
    expect(rest.code).toBe(0);
    expect(reportOf(rest).read).toBeGreaterThan(0);
    expect(await candlesInPostgres(services.postgres.url, topic)).toEqual(ledger.expected());
  },
);

describe("what a job tells of itself", () => {
  interface Asked {
    readonly status: number;
    readonly body: string;
  }
  /** 0 while nothing listens. */
  const ask = async (url: string): Promise<Asked> => {
    try {
      const answer = await fetch(url);
      return { status: answer.status, body: await answer.text() };
    } catch {
      return { status: 0, body: "" };
    }
  };
  /** Where it says that it listens. */
  const listening = async (job: JobProcess): Promise<string> => {
    const said = await job.until(
      () => job.events.find(({ event }) => event === "listening"),
      (event) => event !== undefined,
    );
    return String(said?.["url"]);
  };

  /** Prometheus' text form: every line is a comment or `name{label="value",…} number`; unlike series have unlike labels. */
  const parseMetrics = (text: string): Map<string, number> => {
    const metrics = new Map<string, number>();
    for (const line of text.split("\n").filter((one) => one !== "")) {
      if (/^# (HELP|TYPE) [a-zA-Z_:][\w:]* .+$/.test(line)) continue;
      const match = /^([a-zA-Z_:][\w:]*)((?:\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)*\})?) (\S+)$/.exec(line);
      const [, name = "", labels = "", value = ""] = match ?? [];
      if (match === null || (Number.isNaN(Number(value)) && !/^(NaN|[+-]?Inf)$/.test(value)))
        throw new Error(`This is no line of metrics: ${line}`);
      const series = name + labels.replace(/job="[^"]*",?|pipeline="[^"]*",?/g, "").replace(/,?\}$/, "}");
      expect(metrics.has(series)).toBe(false);
      metrics.set(series, Number(value));
    }
    return metrics;
  };

  it("/ready: not before sources and sinks are reached, not while the database is away, else yes; /metrics as the report", async () => {
    await broker.createTopic("served", 2);
    const to = `${await postgresSchema("served")}&connect_timeout=2s&answer_timeout=2s`;
    await stopServices(["postgres"], options);
    const words = ["--to", to, "--http=0", "--batch-interval=50ms", "--log=json", "--json"];
    const job = startJob(at(), streaming("served", ...words));
    const url = await listening(job);
    const ready = async () => {
      const { status, body } = await ask(`${url}/ready`);
      return {
        status,
        ...(JSON.parse(body) as { missing: { sources: string[]; sinks: string[] }; error: string | null }),
      };
    };
    expect(await ask(`${url}/ping`)).toEqual({ status: 200, body: "pong" });
    expect(await job.until(ready, ({ missing }) => missing.sources.length === 0)).toMatchObject({
      status: 503,
      missing: { sinks: ["candles", "dead_letters"] },
    });
    await startServices(["postgres"], options);
    expect(await job.until(ready, ({ status }) => status === 200)).toMatchObject({
      missing: { sources: [], sinks: [] },
      error: null,
    });

    await broker.send("served", [...numbered(0, 90), ...numbered(0, 10, 1), { value: "no trade", partition: 1 }]);
    await untilStatus(job, ({ read }) => read === 101);
    await stopServices(["postgres"], options);
    await broker.send("served", numbered(90, 100));
    const away = await job.until(ready, ({ status }) => status === 503);
    expect(away).toMatchObject({
      missing: { sources: [] },
      error: matching(/^postgres:\/\/.* (does not answer|cannot be reached|ended)/),
    });
    // Told to whoever asks for the status, too, and until it goes well again.
    expect((await untilStatus(job, ({ lastError }) => lastError !== null)).lastError).toContain("postgres://");
    expect(await ask(`${url}/ping`)).toMatchObject({ status: 200 });
    await startServices(["postgres"], options);
    await job.until(ready, ({ status }) => status === 200);
    expect(await untilStatus(job, ({ read }) => read === 111)).toMatchObject({ lastError: null });

    const metrics = parseMetrics((await ask(`${url}/metrics`)).body);
    const status = await statusOf();
    const report = reportOf(await job.end());
    const { read, ok, dead, duplicate, late, lost, dropped, batches, openWindows, written } = report;
    expect(report).toMatchObject({ read: 111, ok: 110, dead: 1, duplicate: 10, written: { dead_letters: 1 } });
    const told = (name: string) => metrics.get(`beamline_${name}`) ?? metrics.get(`beamline_${name}{}`);
    const counters = { records_read: read, records_ok: ok, records_dead: dead, records_dropped: dropped };
    const rows = { rows_duplicate: duplicate, rows_late: late, records_lost: lost };
    for (const [name, value] of Object.entries({ ...counters, ...rows }))
      expect([name, told(`${name}_total`)]).toEqual([name, value]);
    expect(told("open_windows")).toBe(openWindows);
    expect(told("watermark_seconds")).toBe((status.watermark ?? 0) / 1000);
    expect(metrics.get('beamline_batches_total{result="committed"}')).toBe(batches);
    expect(metrics.get('beamline_batches_total{result="failed"}')).toBeGreaterThan(0);
    for (const [output, count] of Object.entries(written))
      expect(metrics.get(`beamline_rows_written_total{output="${output}"}`)).toBe(count);
    for (const partition of [0, 1])
      expect(metrics.get(`beamline_lag_records{input="trades",source="served/${partition}"}`)).toBe(0);
    expect(told("batch_records_count")).toBe(batches);
    expect(told("batch_records_sum")).toBe(read);
  });

  it("status: how far behind each partition is, while it runs and when it has ended", async () => {
    await broker.createTopic("stands", 2);
    await broker.send("stands", [...numbered(0, 120), ...numbered(120, 130, 1)]);
    const job = startJob(at(), streaming("stands", "--batch-interval=50ms", "--idle=10m"));
    const lag = (one: number, two: number) => [
      { input: "trades", source: "stands/0", records: one },
      { input: "trades", source: "stands/1", records: two },
    ];
    expect(await untilStatus(job, ({ read }) => read === 130)).toMatchObject({
      job: "trades-aggregate",
      pipeline: "trades-aggregate",
      state: "running",
      watermark: T0 + 109_000,
      openWindows: 3,
      lag: lag(0, 0),
      lastError: null,
    });
    expect((await job.end()).code).toBe(130);
    await broker.send("stands", [...numbered(120, 127), ...numbered(130, 133, 1)]);
    expect(await statusOf()).toMatchObject({ state: "stopped", lag: lag(7, 3), lagError: null, lastError: null });
    expect(await beamline("status", "--json")).toMatchObject({ code: 0, stdout: containing('"stands/1"') });
    expect(await beamline("status", "no-such-job")).toMatchObject({
      code: 2,
      stderr: containing("There is no job no-such-job in data/state; there is trades-aggregate"),
    });
  });

  it("--log=json: every line is an event, also those of the end, and there is none for a record", async () => {
    await broker.createTopic("logged");
    const bad = Array.from({ length: 200 }, () => ({ value: "no trade" }));
    await broker.send("logged", [...numbered(0, 500), ...bad, ...numbered(500, 3_000)]);
    const words = streaming("logged", "--log=json", "--json");
    const job = startJob(at(), [...words, "--max-batch=1000"]);
    await untilStatus(job, ({ read }) => read === 3_200);
    const { stdout, code } = await job.end("SIGINT");
    expect(code).toBe(130);
    const common = { time: matching(/^\d{4}-.*Z$/), job: "trades-aggregate", pipeline: "trades-aggregate" };
    for (const event of job.events) expect(event).toMatchObject({ ...common, level: matching(/^(info|warn|error)$/) });
    const named = (name: string) => job.events.filter(({ event }) => event === name);
    expect([named("job started"), named("job stopped")].map((events) => events.length)).toEqual([1, 1]);
    expect(named("batch committed").reduce((sum, { read }) => sum + Number(read), 0)).toBe(3_200);
    expect(job.events.length).toBeLessThan(30);
    expect(JSON.parse(stdout)).toMatchObject({ state: "interrupted", read: 3_200, dead: 200 });

    // A job that fails says so in the same form.
    await broker.deleteRecords("logged", 3_200);
    await broker.send("logged", numbered(3_000, 3_010));
    await broker.deleteRecords("logged", 3_205);
    const failing = startJob(at(), words);
    expect((await failing.ended).code).toBe(1);
    expect(failing.events.at(-1)).toMatchObject({ event: "job failed", level: "error" });
    expect(JSON.stringify(failing.events.at(-1))).toContain("5 records of logged/0 are gone before they were read");
    expect(JSON.stringify(failing.events)).not.toContain("stack");
  });
});

describe("what cannot work is told in a sentence, and soon", () => {
  const giveUp = "--give-up-after=1s";
  const fails = async (words: readonly string[], environment?: Record<string, string>) => {
    const { code, stderr } = await startJob(at(), [...words, giveUp], environment).ended;
    const said = stderr.trim().split("\n");
    // No stack, and nobody is asked to report what he can repair himself.
    expect(stderr).not.toMatch(/^\s+at |please report/m);
    return { code, last: said.at(-1) };
  };
  /** Nothing is in it: what is wrong with the other side is told all the same. */
  const empty = "quiet";

  beforeAll(() => broker.createTopic(empty));

  it("a broker that is not there, a topic that does not exist", async () => {
    const nobody = await freePort();
    expect(await fails(["--streaming", "--from", `kafka://127.0.0.1:${nobody}/trades`])).toEqual({
      code: 1,
      last: containing(`No Kafka broker answers at 127.0.0.1:${nobody} (connection refused): start it, or correct`),
    });
    expect(await fails(streaming("quite"))).toEqual({
      code: 2,
      last: containing(`There is no topic “quite” at ${broker.address}: did you mean “quiet”?`),
    });
  });

  it("a database that is not there, a wrong password, a table of another shape", async () => {
    const nobody = await freePort();
    expect(await fails(streaming(empty, "--to", `postgres://beamline@127.0.0.1:${nobody}/beamline`))).toEqual({
      code: 1,
      last: containing("cannot be reached: nothing listens there. Start the server, or check the address"),
    });

    const file = path.join(directory, "postgres", "data", "pg_hba.conf");
    writeFileSync(file, `host all secured 127.0.0.1/32 scram-sha-256\n${readFileSync(file, "utf8")}`);
    await inPostgres(services.postgres.url, "create role secured login password 'right-one'");
    await inPostgres(services.postgres.url, "select pg_reload_conf()");
    const secured = services.postgres.url.replace("beamline@", "secured@");
    const wrong = await fails(streaming(empty, "--to", secured), { PGPASSWORD: "wrong-one" });
    expect(wrong).toEqual({ code: 2, last: matching(/does not let this user in .*: check user and password/) });
    expect(wrong.last).not.toContain("wrong-one");

    const shaped = await postgresSchema("shaped");
    await inPostgres(services.postgres.url, "create table shaped.trades_1min_agg (symbol text primary key)");
    expect(await fails(streaming(empty, "--to", shaped))).toEqual({
      code: 2,
      last: matching(
        /The table shaped\.trades_1min_agg .* has another shape: .*window_start is missing.* Rename or drop it/,
      ),
    });
  });

  it("a file where a directory is needed, a topic to write to that does not exist, a port that is taken", async () => {
    expect(await fails(streaming(empty, "--to", "candles=file:rows.ndjson"))).toEqual({
      code: 2,
      last: containing(
        "With --streaming every batch has a file of its own: name a directory, such as file:rows.ndjson/",
      ),
    });
    expect(await fails(streaming(empty, "--to", `candles=${broker.uri("quite")}`))).toEqual({
      code: 2,
      last: containing("a new topic is made with ?create=true behind the address"),
    });
    expect(await fails(streaming(empty, `--http=${services.kafka.port}`))).toEqual({
      code: 2,
      last: containing("another process listens there; choose another port, or 0 for any that is free"),
    });
  });
});
