// Jobs whose source gives each record once: what came is counted once, whatever happens to the job, and the job ends when
// its source does.
import fs from "node:fs";
import { PassThrough } from "node:stream";
import { readParameters } from "../../cli/parameters";
import { z } from "zod";
import { fixed, flatten, named } from "../../beam";
import { freePort } from "../../infra/services/ports";
import { parseAddress } from "../../io/address";
import { type FlowNews } from "../../io/connector";
import { openDatabase } from "../../io/sqlite/database";
import { deadLetters, definePipeline, input, table } from "../../pipelines/definition";
import { RawTrade } from "../../pipelines/trades/schemas";
import { toTrade } from "../../pipelines/trades/steps";
import { tradesAggregate } from "../../pipelines/trades/trades-aggregate";
import { timestamp } from "../../schema/table";
import { lines, scene, trade, trades } from "../../test/command-scene";
import { socketServer } from "../../test/socket-server";
import { webServer } from "../../test/web-server";
import { aggregate, clean, count, decode } from "../../transforms";
import { Log } from "../observe/log";
import { RunOptions } from "../run-options";
import { inboxFile, lookInto } from "./inbox";
import { JobObserver } from "./job-observer";
import { jobStatus, jobsIn } from "./job-status";
import { replayLetters, runContinuous, type JobEvent, type JobRequest, type Point } from "./run-continuous";

const { at, beamline, write, query } = scene();
jest.setTimeout(60_000);

const candles = "SELECT * FROM trades_1min_agg ORDER BY symbol, window_start";
const counted = () => query("SELECT sum(trade_count) AS n FROM trades_1min_agg")[0]?.["n"];
const inbox = () => lookInto(inboxFile("data/state", "trades-aggregate", "trades"));

/** What stands in for this process's standard input until the end of the test. */
const own = Object.getOwnPropertyDescriptor(process, "stdin");
function pipe(...texts: string[]): PassThrough {
  const stream = new PassThrough();
  Object.defineProperty(process, "stdin", { configurable: true, get: () => stream });
  if (texts.length > 0) stream.write(lines(...texts));
  return stream;
}
const pipeAll = (...texts: string[]): void => void pipe(...texts).end();
afterEach(() => {
  if (own !== undefined) Object.defineProperty(process, "stdin", own);
});

function request(flags: Record<string, string> = {}): JobRequest {
  const said = Object.entries({ streaming: "true", "batch-interval": "10ms", ...flags });
  return {
    pipeline: tradesAggregate,
    params: { window: 60_000, lateness: 0 },
    options: readParameters(RunOptions, new Map(said.map(([flag, value]) => [flag, [value]])), {}),
    inputs: { trades: parseAddress("stdin:") },
    outputs: { candles: parseAddress("sqlite:data/app.db"), dead_letters: parseAddress("sqlite:data/app.db") },
  };
}

const Counted = z.object({
  symbol: z.string(),
  window_start: timestamp(),
  window_end: timestamp(),
  trade_count: z.int(),
});

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 2));
}

describe("a job that reads standard input", () => {
  test("ends when that does; the next start goes on, and no two records have one origin", async () => {
    pipeAll(...trades(0, 3), "bad", ...trades(3, 5));
    expect(await runContinuous(request())).toMatchObject({ state: "done", read: 6, ok: 5, dead: 1, openWindows: 1 });
    pipeAll("bad too", ...trades(5, 7));
    expect(await runContinuous(request())).toMatchObject({ state: "done", read: 3, ok: 2, dead: 1, openWindows: 1 });
    expect(query("SELECT source, position FROM dead_letters ORDER BY position")).toEqual([
      { source: "stdin", position: 3 },
      { source: "stdin", position: 6 },
    ]);
    expect(counted()).toBe(7);
    expect(inbox()).toEqual([{ source: "stdin", first: 9, end: 9 }]);
    pipeAll();
    expect(await runContinuous(request())).toMatchObject({ state: "done", read: 0 });
  });

  test("through an inbox of any size, in batches of any size: the rows of one bounded run", async () => {
    const all = Array.from({ length: 120 }, (_, id) => trade(id, { s: id % 3 === 0 ? "ETHUSDT" : "BTCUSDT" }));
    write("all.ndjson", lines(...all));
    await beamline("--from", "file:all.ndjson", "--to", "sqlite:data/bounded.db");
    const expected = query(candles, "data/bounded.db");
    for (const [job, flags] of Object.entries<Record<string, string>>({
      tiny: { "inbox-records": "1" },
      small: { "inbox-records": "7", "max-batch": "5" },
      light: { "inbox-bytes": "1000" },
      large: {},
    })) {
      fs.rmSync(at("data/app.db"), { force: true });
      const events: JobEvent[] = [];
      pipeAll(...all);
      const asked = request({ job, ...flags });
      expect(await runContinuous({ ...asked, onEvent: (event) => events.push(event) })).toMatchObject({ read: 120 });
      expect(query(candles)).toEqual(expected);
      expect(events.some(({ kind }) => kind === "inbox full")).toBe(job !== "large");
    }
  });

  test("--once and --flush read it to its end too, however slowly it comes", async () => {
    const stream = pipe(...trades(0, 2));
    const running = runContinuous(request({ once: "true" }));
    await until(() => inbox()[0]?.first === 2);
    stream.write(lines(...trades(2, 3)));
    await until(() => inbox()[0]?.first === 3);
    stream.end(lines(...trades(3, 4)));
    expect(await running).toMatchObject({ read: 4, openWindows: 1 });
    pipeAll(...trades(4, 5));
    expect(await runContinuous(request({ flush: "true" }))).toMatchObject({ read: 1, openWindows: 0 });
  });

  test("without a pause between batches, what comes still comes in", async () => {
    const stream = pipe();
    setTimeout(() => stream.end(lines(...trades(0, 2))), 20);
    expect(await runContinuous(request({ "batch-interval": "0s" }))).toMatchObject({ read: 2 });
  });

  test("a full inbox does not wait for the end of the interval", async () => {
    pipeAll(...trades(0, 30));
    const flags = { "inbox-records": "10", "batch-interval": "1h" };
    expect(await runContinuous(request(flags))).toMatchObject({ read: 30 });
  });

  test("told to end, it has in its inbox what it took, and the next start counts that", async () => {
    const stop = new AbortController();
    const stream = pipe(...trades(0, 10));
    const onEvent = (event: JobEvent) => event.kind === "planned" && stop.abort(new Error("stop"));
    const first = await runContinuous({
      ...request({ "max-batch": "4", "inbox-records": "4" }),
      signal: stop.signal,
      onEvent,
      // At once, and not only when the batch is done.
      onPoint: async (point) => {
        if (point === "run") await until(() => stream.destroyed);
      },
    });
    expect(first).toMatchObject({ state: "interrupted", read: 4 });
    expect(inbox()).toEqual([{ source: "stdin", first: 4, end: 10 }]);
    pipeAll();
    expect(await runContinuous(request())).toMatchObject({ state: "done", read: 6 });
    expect(counted()).toBe(10);
  });

  test("told to end, and the inbox cannot take what is in hand: that is no end in order", async () => {
    const stop = new AbortController();
    pipe(...trades(0, 10));
    const running = runContinuous({
      ...request({ "max-batch": "4", "inbox-records": "4" }),
      signal: stop.signal,
      onPoint: (point) => {
        if (point !== "run" || stop.signal.aborted) return;
        const database = openDatabase(at(inboxFile("data/state", "trades-aggregate", "trades")));
        database.exec("CREATE TRIGGER no BEFORE INSERT ON record BEGIN SELECT raise(ABORT, 'no'); END");
        database.close();
        stop.abort(new Error("stop"));
      },
    });
    await expect(running).rejects.toThrow(/the inbox .* could not be written: (Error: )?no/);
  });

  test("when it cannot be read the job fails, with what came in the inbox", async () => {
    const stream = pipe(...trades(0, 2));
    const running = runContinuous(request({ "batch-interval": "1h" }));
    await until(() => inbox()[0]?.end === 2);
    stream.destroy(new Error("EIO: i/o error, read"));
    await expect(running).rejects.toThrow("Standard input could not be read: EIO: i/o error, read");
    pipeAll();
    expect(await runContinuous(request())).toMatchObject({ read: 2 });
  });
});

describe("after a crash", () => {
  test.each<Point>(["planned", "run", "target committed", "committed"])(
    "at “%s” each record of the inbox counts once",
    async (point) => {
      pipeAll(...trades(0, 6));
      let died = false;
      const dying = {
        ...request({ "max-batch": "4" }),
        onPoint: (reached: Point) => {
          if (reached !== point || died) return;
          died = true;
          throw new Error("the power is gone");
        },
      };
      await expect(runContinuous(dying)).rejects.toThrow("the power is gone");
      pipeAll(...trades(6, 9));
      await runContinuous(request());
      expect(counted()).toBe(9);
      const [totals] = query("SELECT value FROM meta WHERE name = 'totals'", "data/state/trades-aggregate.db");
      expect(JSON.parse(String(totals?.["value"]))).toMatchObject({ read: 9, ok: 9, duplicate: 0 });
      expect(inbox()).toEqual([{ source: "stdin", first: 9, end: 9 }]);
    },
  );

  test("a full inbox of which all was committed is no end of the job", async () => {
    pipeAll(...trades(0, 3));
    const flags = { "inbox-records": "3" };
    const onPoint = (point: Point) => {
      if (point === "committed") throw new Error("the power is gone");
    };
    await expect(runContinuous({ ...request(flags), onPoint })).rejects.toThrow("the power is gone");
    expect(inbox()).toEqual([{ source: "stdin", first: 0, end: 3 }]);
    pipeAll(...trades(3, 5));
    expect(await runContinuous(request(flags))).toMatchObject({ read: 2 });
    expect(counted()).toBe(5);
  });

  test("an inbox that is gone, or a state that is gone, is told, and not taken for a new job", async () => {
    pipeAll(...trades(0, 3));
    await runContinuous(request());
    const file = inboxFile("data/state", "trades-aggregate", "trades");
    const move = (from: string, to: string) => {
      for (const end of ["", "-wal", "-shm"]) {
        fs.rmSync(at(to + end), { force: true });
        if (fs.existsSync(at(from + end))) fs.renameSync(at(from + end), at(to + end));
      }
    };
    move(file, "kept");
    pipeAll();
    await expect(runContinuous(request())).rejects.toThrow("was read up to 3, but is not there any more");
    pipeAll(...trades(3, 4));
    // What came by then is in a new inbox, which is not the one that was read.
    await expect(runContinuous(request())).rejects.toThrow(/was read up to 3, but (is not there|ends at 1)/);
    move("kept", file);
    fs.rmSync(at("data/state/trades-aggregate.db"));
    pipeAll();
    await expect(runContinuous(request())).rejects.toThrow("but its state is missing");
  });

  test("--reset keeps what no batch has read; --start-at latest begins with what comes now", async () => {
    const dying = (flags: Record<string, string>): JobRequest => ({
      ...request(flags),
      onPoint: () => {
        throw new Error("the power is gone");
      },
    });
    pipeAll(...trades(0, 3));
    await expect(runContinuous(dying({ "batch-interval": "300ms" }))).rejects.toThrow("the power is gone");
    pipeAll(...trades(3, 4));
    expect(await runContinuous(request({ reset: "true" }))).toMatchObject({ read: 4 });
    pipeAll(...trades(4, 6));
    await expect(runContinuous(dying({ "batch-interval": "300ms" }))).rejects.toThrow("the power is gone");
    pipeAll(...trades(6, 7));
    expect(await runContinuous(request({ reset: "true", "start-at": "latest" }))).toMatchObject({ read: 1 });
  });
});

describe("who only asks", () => {
  /** Whoever touches it now fails. */
  const locked = () =>
    Object.defineProperty(process, "stdin", {
      configurable: true,
      get: () => {
        throw new Error("standard input was opened");
      },
    });
  const crashed = async () => {
    pipeAll(...trades(0, 3), "bad");
    const onPoint = () => {
      throw new Error("the power is gone");
    };
    await expect(runContinuous({ ...request({ "batch-interval": "300ms" }), onPoint })).rejects.toThrow();
    locked();
  };

  test("status tells how much waits in the inbox, and takes the inbox for no job", async () => {
    await crashed();
    expect(jobsIn("data/state")).toEqual(["trades-aggregate"]);
    expect(await jobStatus("data/state", "trades-aggregate")).toMatchObject({
      lag: [{ input: "trades", source: "stdin", records: 4 }],
      lagError: null,
    });
    fs.rmSync(at(inboxFile("data/state", "trades-aggregate", "trades")));
    expect(await jobStatus("data/state", "trades-aggregate")).toMatchObject({ lag: [], lagError: null });
    expect(inbox()).toEqual([]);
  });

  test("replay runs the batch that a crash left, and its letters, without reading on", async () => {
    await crashed();
    expect(await replayLetters(request(), { reasons: [], since: null })).toMatchObject({ letters: 1, dead: 1 });
    expect(counted()).toBe(3);
  });

  test("a name that is that of another job's inbox is no name for a job", async () => {
    await expect(runContinuous(request({ job: "trades-aggregate.trades.inbox" }))).rejects.toThrow(
      "is no name for a job",
    );
  });
});

test("beside a source that goes on, the end of standard input is not the job's; with --once both are read to their ends", async () => {
  const { trades: raw } = tradesAggregate.inputs;
  const pipeline = definePipeline({
    name: "two-ways",
    summary: "",
    inputs: {
      piped: input(RawTrade, { sample: raw?.sample ?? "" }),
      filed: input(RawTrade, { sample: raw?.sample ?? "" }),
    },
    outputs: { counts: table(Counted, { name: "counts", key: ["symbol", "window_start"] }), dead_letters: deadLetters },
    params: z.object({}),
    build({ piped, filed }, { counts, dead_letters }) {
      const one = piped.apply(named("piped", clean(decode(RawTrade), toTrade)));
      const other = filed.apply(named("filed", clean(decode(RawTrade), toTrade)));
      const measures = { trade_count: count() };
      flatten([one.good, other.good], "all")
        .apply(aggregate({ by: ["symbol"], at: "time", window: fixed(60_000), unique: "id", measures }))
        .apply(counts);
      flatten([one.bad, other.bad], "all bad").apply(dead_letters);
    },
  });
  write("in.ndjson", lines(...trades(0, 3)));
  const both = (flags = {}) => ({
    ...request(flags),
    pipeline,
    params: {},
    outputs: { counts: parseAddress("sqlite:data/app.db"), dead_letters: parseAddress("sqlite:data/app.db") },
    inputs: { piped: parseAddress("stdin:"), filed: parseAddress("file:in.ndjson") },
  });
  pipeAll(...trades(3, 5));
  expect(await runContinuous(both({ once: "true" }))).toMatchObject({ state: "done", read: 5 });
  pipeAll(...trades(5, 6));
  const stop = new AbortController();
  const inboxOf = () => lookInto(inboxFile("data/state", "two-ways", "piped"))[0];
  // The job looks about and finds nothing, but for what may come to the file.
  let foundNothing = 0;
  const onEvent = (event: JobEvent) => {
    if (event.kind === "looked" && event.lag.every(({ records }) => records === 0)) foundNothing += 1;
  };
  const running = runContinuous({ ...both(), signal: stop.signal, onEvent });
  await until(() => inboxOf()?.first === 3);
  foundNothing = 0;
  await until(() => foundNothing > 2);
  fs.appendFileSync(at("in.ndjson"), lines(...trades(6, 8)));
  await until(() => query("SELECT sum(trade_count) AS n FROM counts")[0]?.["n"] === 8);
  stop.abort(new Error("stop"));
  expect(await running).toMatchObject({ state: "interrupted", read: 3 });
});

test("how full the inbox is can be seen: in the log once, and in the metrics", async () => {
  const printed: string[] = [];
  const http = await freePort();
  const asked = request({ "inbox-records": "3", "max-batch": "2", http: String(http), log: "json" });
  const out = { write: (line: string) => void printed.push(line), isTTY: false };
  const observer = new JobObserver(
    asked,
    "trades-aggregate",
    new Log({ job: "trades-aggregate", pipeline: "trades-aggregate", form: "json", out }),
  );
  await observer.listen();
  const seen: string[] = [];
  try {
    pipeAll(...trades(0, 8));
    await runContinuous({
      ...asked,
      onEvent: (event) => observer.tell(event),
      onPoint: async (point) => {
        if (point !== "planned") return;
        const metrics = await (await fetch(`http://127.0.0.1:${http}/metrics`)).text();
        seen.push(/^beamline_inbox_records\{.*\} (\d+)$/m.exec(metrics)?.[1] ?? "none");
      },
    });
  } finally {
    await observer.close();
  }
  const events = printed.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(events.filter(({ event }) => event === "inbox full")).toMatchObject([
    { input: "trades", records: 3, limit: 3, limit_bytes: 268_435_456 },
  ]);
  expect(seen[0]).toBe("3");
});

test("a source that is lost makes the job unready until it is back, and what it tells can be seen", async () => {
  const http = await freePort();
  const asked = request({ http: String(http) });
  const printed: string[] = [];
  const out = { write: (line: string) => void printed.push(line), isTTY: false };
  const names = { job: "trades-aggregate", pipeline: "trades-aggregate" };
  const observer = new JobObserver(asked, "trades-aggregate", new Log({ ...names, form: "json", out }));
  await observer.listen();
  const missing = async () => {
    const { missing: of } = (await (await fetch(`http://127.0.0.1:${http}/ready`)).json()) as {
      missing: { sources: string[] };
    };
    return of.sources;
  };
  try {
    observer.tell({ kind: "connected", what: "sources" });
    expect(await missing()).toEqual([]);
    observer.tell({ kind: "flow lost", input: "trades" });
    expect(await missing()).toEqual(["trades"]);
    observer.tell({ kind: "flow back", input: "trades" });
    expect(await missing()).toEqual([]);
    const news: FlowNews = { kind: "lost", count: 3, text: "3 records will not come" };
    observer.tell({ kind: "flow news", input: "trades", news });
    const metrics = await (await fetch(`http://127.0.0.1:${http}/metrics`)).text();
    expect(metrics).toMatch(/^beamline_retries_total\{what="source".*\} 1$/m);
    expect(metrics).toMatch(/^beamline_source_news_total\{input="trades",what="lost".*\} 3$/m);
    expect(metrics).toMatch(/^beamline_records_lost_total\{.*\} 3$/m);
  } finally {
    await observer.close();
  }
  expect(printed.map((line) => JSON.parse(line) as object)).toMatchObject([
    { event: "listening" },
    { event: "source news", what: "lost", count: 3, said: "3 records will not come" },
  ]);
});

describe("a job over a stream that nobody gives from its beginning", () => {
  const web = webServer();
  const sockets = socketServer(web);
  const windows = () =>
    query("SELECT window_start, trade_count FROM trades_1min_agg ORDER BY window_start").map((row) => [
      /T(.{5})/.exec(String(row["window_start"]))?.[1],
      row["trade_count"],
    ]);

  /** A job that waits for what does not come ends with its test. */
  const going = new Set<AbortController>();
  afterEach(() => going.forEach((stop) => stop.abort(new Error("the test is over"))));

  interface Life {
    readonly flags?: Record<string, string>;
    readonly params?: JobRequest["params"];
    readonly options?: string;
    readonly onEvent?: (event: JobEvent) => void;
  }
  /** Runs the job until it has heard so much or named so many windows as not whole; answers these. */
  async function live({ read = 0, named = 0 }: { read?: number; named?: number }, life: Life = {}) {
    const stop = new AbortController();
    going.add(stop);
    const names: (string | undefined)[] = [];
    let heard = 0;
    const onEvent = (event: JobEvent) => {
      if (event.kind === "committed") heard += event.counts.read;
      if (event.kind === "partial") names.push(...event.windows.map((name) => /T(.{5})/.exec(name)?.[1]));
      life.onEvent?.(event);
      // Once more looked at, it has nothing more to say.
      if (event.kind === "looked" && heard >= read && names.length >= named) stop.abort(new Error("stop"));
    };
    const inputs = { trades: parseAddress(`ws://${web.host}/${life.options ?? ""}`) };
    const asked = { ...request(life.flags), ...(life.params === undefined ? {} : { params: life.params }) };
    await runContinuous({ ...asked, inputs, signal: stop.signal, onEvent });
    return [...new Set(names)];
  }
  /** Each connection gets what is next, and is ended behind it, but for the last one. */
  const say = (...turns: readonly (readonly string[])[]): void => {
    const before = sockets.callers.length;
    sockets.greet(({ client, number }) => {
      for (const text of turns[number - before - 1] ?? []) client.send(text);
      if (number - before < turns.length) client.close();
    });
  };

  test("does not write the window that its start has cut, and names it", async () => {
    say(trades(30, 200));
    expect(await live({ read: 170 })).toEqual(["09:30"]);
    expect(windows()).toEqual([
      ["09:31", 60],
      ["09:32", 60],
      ["09:33", 20],
    ]);
  });

  test("writes it when it is told to", async () => {
    say(trades(30, 70));
    expect(await live({ read: 40 }, { flags: { "partial-windows": "write" } })).toEqual([]);
    expect(windows()).toEqual([
      ["09:30", 30],
      ["09:31", 10],
    ]);
  });

  test("names what it has written of windows that it lacks the rest of, and writes none that begin in its absence", async () => {
    // Whatever may still come of older windows, they lack nothing.
    const life = { params: { window: 60_000, lateness: 3_600_000 } };
    say(trades(30, 150));
    await live({ read: 120 }, life);
    // It is known without a record that came behind, and so before time that only goes on closes the window.
    say([]);
    expect(await live({ named: 1 }, life)).toEqual(["09:32"]);
    say(trades(3620, 3720));
    expect(await live({ read: 100 }, life)).toEqual(["10:30"]);
    expect(windows()).toEqual([
      ["09:31", 60],
      ["09:32", 30],
      ["10:31", 60],
    ]);
  });

  test("does the same when its connection breaks", async () => {
    say(trades(30, 150), trades(380, 500));
    expect(await live({ read: 240, named: 3 })).toEqual(["09:30", "09:32", "09:36"]);
    expect(windows()).toEqual([
      ["09:31", 60],
      ["09:32", 30],
      ["09:37", 60],
      ["09:38", 20],
    ]);
  });

  test("does not wait between breaks, so that many of them do not make it fall behind", async () => {
    say(["bad 1", "bad 2"], ["bad 3", "bad 4"], ["bad 5"]);
    const dying = {
      ...request(),
      inputs: { trades: parseAddress(`ws://${web.host}/`) },
      onPoint: async () => {
        await until(() => inbox()[0]?.end === 5);
        throw new Error("the power is gone");
      },
    };
    await expect(runContinuous(dying)).rejects.toThrow("the power is gone");
    say([]);
    await live({ read: 4 }, { flags: { reset: "true", "batch-interval": "1h" } });
    expect(inbox()[0]?.first).toBe(4);
  });

  test("names a window that was over before it showed that trades of it will not come", async () => {
    let said = false;
    say(trades(30, 100));
    const onEvent = (event: JobEvent) => {
      if (event.kind !== "committed" || said) return;
      said = true;
      // The window that lacks a trade is closed by those that follow in the same moment.
      for (const text of trades(101, 200)) sockets.callers[0]?.client.send(text);
    };
    const life = { options: "#protocol=binance&history=none&grace=200ms", onEvent };
    expect(await live({ read: 169, named: 4 }, life)).toEqual(["09:30", "09:31", "09:32", "09:33"]);
    expect(windows()).toEqual([
      ["09:31", 59],
      ["09:32", 60],
      ["09:33", 20],
    ]);
  });

  test("also when its windows are closed by the definition before, before it looks at anything", async () => {
    say(trades(30, 150));
    await live({ read: 120 });
    say([]);
    const closing: JobEvent[] = [];
    const life = { flags: { migrate: "true" }, params: { window: 120_000, lateness: 0 } };
    const onEvent = (event: JobEvent) => event.kind === "partial" && closing.push(event);
    await live({ named: 1 }, { ...life, onEvent });
    expect(closing).toMatchObject([{ windows: [expect.stringContaining("09:32:00")] }]);
  });
});

test.each(["http", "ws"])(
  "a job gives an address of %s up, at which nothing listens, when it was told to",
  async (scheme) => {
    const place = `127.0.0.1:${await freePort()}`;
    const run = (from: string, giveUpAfter: string, job: string) =>
      beamline("--streaming", "--from", from, "--give-up-after", giveUpAfter, "--job", job);
    const { code, stderr } = await run(`${scheme}://${place}/trades`, "1s", "one");
    expect(code).toBe(1);
    expect(stderr).toMatch(
      new RegExp(`job failed — No server answers at ${place} .*; given up after [1-3] attempts\n`),
    );
    // What the address says is nearer.
    expect((await run(`${scheme}://${place}/trades#give-up=1s`, "1h", "other")).code).toBe(1);
  },
);
