// trades-ingest and ticker-ingest, killed with SIGKILL at each point that they pass, between a simulator and Kafka. What an
// inbox has taken in is in the topic, as often as it likes under one id; what came and was not taken in is gone, one answer a
// kill, unless the exchange has a history: then nothing is. Built wrong they must fail this, or it would prove nothing.
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { startBinance, type BinanceSimulator } from "../infra/simulators/binance/binance";
import { freePort } from "../infra/services/ports";
import { startServices, stopServices, type RunningService } from "../infra/services/services";
import { parseAddress } from "../io/address";
import { EVERYTHING } from "../io/connector";
import { readRange } from "../io/kafka/read";
import { planTopic } from "../io/kafka/source";
import { openDatabase } from "../io/sqlite/database";
import { POINTS } from "../runners/direct/run-continuous";
import { type DyingJob, type FlowPoint, type JournalLine } from "./dying-job";
import { Broker, until } from "./job-scene";
import { runDying, type Ending } from "./run-dying";
import { scratchDirectory } from "./scratch";

const at = scratchDirectory();
const directory = mkdtempSync(path.join(realpathSync(os.tmpdir()), "beamline-test-"));
const options = { directory };
let services: Record<"kafka", RunningService>;
let broker: Broker;

beforeAll(async () => {
  services = await startServices(["kafka"], { ...options, ports: { kafka: await freePort() } });
  broker = await Broker.connect(new URL(services.kafka.url).host);
});

afterAll(async () => {
  await broker?.close();
  await stopServices(["kafka"], { ...options, data: true });
  rmSync(directory, { recursive: true, force: true });
});

let exchange: BinanceSimulator;
afterEach(() => exchange.close());

/** A job over several lives, and what its source gave in each. */
class Ingest {
  /** How often it was killed, and how often of these before the inbox had what came. */
  deaths = { all: 0, before: 0 };

  private constructor(
    private readonly pipeline: "trades-ingest" | "ticker-ingest",
    private readonly topic: string,
    private readonly from: () => string,
  ) {}

  static async of(pipeline: Ingest["pipeline"], topic: string, from: () => string): Promise<Ingest> {
    await broker.createTopic(topic, 3);
    return new Ingest(pipeline, topic, from);
  }

  async run(job: Partial<DyingJob>, options = "", feed?: (kill: () => void) => Promise<void>): Promise<Ending> {
    const { pipeline, topic } = this;
    const output = pipeline === "trades-ingest" ? "trades" : "ticker";
    const flags = { "state-dir": at("state"), "batch-interval": "20ms", "max-batch": "150", ...job.flags };
    const ending = await runDying(
      at(),
      {
        pipeline,
        from: `${this.from()}${options}`,
        to: [`${output}=${broker.uri(topic)}`, `dead_letters=sqlite:${at("letters.db")}`],
        journal: at("journal"),
        ...job,
        flags,
      },
      undefined,
      (_stdin, kill) => void feed?.(kill),
    );
    if (ending === "killed") {
      this.deaths.all += 1;
      if (job.die?.point === "came") this.deaths.before += 1;
    }
    return ending;
  }

  /** Killed at each point, at its first time and once more, and at random moments. */
  async killEverywhere(): Promise<void> {
    // Where it begins is the first that it took in: what came before that and was not taken in, nobody knows of.
    for (const point of ["taken in", ...POINTS, "came"] as const)
      for (const nth of [1, 4]) expect(await this.run({ die: { point, nth } })).toBe("killed");
    for (let killed = 0; killed < 4; killed += 1) {
      const before = this.journal("came").length;
      const soon = async (kill: () => void) => {
        await until(
          () => this.journal("came").length,
          (length) => length > before,
        );
        setTimeout(kill, Math.random() * 400);
      };
      expect(await this.run({}, "", soon)).toBe("killed");
    }
  }

  /**
   * Its last life, which ends with the source. The faults end before, and the exchange only when something newer of
   * everything has come: what is missing shows by what follows.
   */
  async rest(newest: () => readonly ((value: string) => boolean)[]): Promise<void> {
    const before = this.journal("came").length;
    const endFaults = async () => {
      const came = () => this.journal("came").slice(before);
      await until(came, ({ length }) => length > 0);
      exchange.faults.change({ gaps: 0, garbage: 0, garbageAnswers: 0, cut: 0, answer5xx: 0 });
      const awaited = newest();
      await until(came, (values) => awaited.every((isNewest) => values.some(isNewest)));
      exchange.trade(false);
    };
    expect(await this.run({}, "&for=6s", endFaults)).toBe("done");
  }

  /** What was written down of the source's records at a point. */
  journal(point: FlowPoint): string[] {
    if (!existsSync(at("journal"))) return [];
    // The last line may be half written.
    const lines = readFileSync(at("journal"), "utf8").split("\n").slice(0, -1);
    return lines
      .map((line) => JSON.parse(line) as JournalLine)
      .flatMap((line) => (line.point === point ? line.values : []));
  }

  async messages(): Promise<{ readonly id: string; readonly value: string }[]> {
    const found = [];
    for (const range of await planTopic(parseAddress(broker.uri(this.topic)), EVERYTHING))
      for await (const records of readRange(range))
        for (const { value, headers } of records)
          found.push({ id: String(headers?.["beamline-id"]), value: String(value) });
    return found;
  }

  /** One value for each id: however often a message is written, it says the same. */
  async published(): Promise<string[]> {
    const byId = new Map<string, string>();
    for (const { id, value } of await this.messages()) {
      expect(value).toBe(byId.get(id) ?? value);
      byId.set(id, value);
    }
    return [...byId.values()];
  }
}

function letters(): number {
  const database = openDatabase(at("letters.db"));
  try {
    return Number(database.prepare("SELECT count(*) AS n FROM dead_letters").all([])[0]?.["n"]);
  } finally {
    database.close();
  }
}

interface Known {
  readonly symbol: string;
  readonly id: number;
  readonly price: string;
}

const inOrder = (all: readonly Known[]): Known[] =>
  [...all].sort((a, b) => (a.symbol === b.symbol ? a.id - b.id : a.symbol < b.symbol ? -1 : 1));

describe("trades-ingest", () => {
  const startTrading = async () => {
    exchange = await startBinance({ rate: 50, weightLimit: 1_000_000, faults: { gaps: 0.01, garbage: 0.02 } });
  };
  const ingest = (topic: string, more = "") =>
    Ingest.of(
      "trades-ingest",
      topic,
      () => `${exchange.wsUrl}/stream?streams=btcusdt@trade/ethusdt@trade#protocol=binance&grace=300ms${more}`,
    );
  /** A trade of each symbol that was made later than now. */
  const newest = () =>
    ["BTCUSDT", "ETHUSDT"].map((symbol) => {
      const made = exchange.ledger.last("trade", symbol)?.id ?? 0;
      const trade = new RegExp(`"s":"${symbol}","t":(\\d+)`);
      return (value: string) => Number(trade.exec(value)?.[1]) > made;
    });
  const published = async (job: Ingest) =>
    inOrder(
      (await job.published()).map((value) => {
        const { s: symbol, t: id, p: price } = JSON.parse(value) as { s: string; t: number; p: string };
        return { symbol, id, price };
      }),
    );
  /** All trades that were made, from the first one of their symbol that was published. */
  const due = (from: readonly Known[]) =>
    inOrder(
      exchange.ledger
        .entries("trade")
        .filter(({ symbol, id }) => id >= (from.find((one) => one.symbol === symbol)?.id ?? 0))
        .map(({ symbol, id, price }) => ({ symbol, id, price })),
    );

  test("killed wherever it can be: every trade that was made since the first is published, under one id", async () => {
    await startTrading();
    const job = await ingest("trades_killed");
    await job.killEverywhere();
    await job.rest(newest);
    const trades = await published(job);
    expect(trades).toEqual(due(trades));
    // Or no batch would have been run again, and nothing would have been on its way when it was killed.
    expect((await job.messages()).length).toBeGreaterThan(trades.length);
    expect(job.journal("came").length).toBeGreaterThan(job.journal("taken in").length);
    // What is no trade was refused once, however often its batch was run.
    const done = trades.length + letters();
    expect(letters()).toBeGreaterThan(0);
    expect(done).toBeGreaterThanOrEqual(job.journal("taken in").length);
    expect(done).toBeLessThanOrEqual(job.journal("came").length);
  });

  test.each([
    ["without the history", "&history=none", null],
    ["built wrong (a note of records is kept before they are)", "", "inbox answers before it has the records"],
  ] as const)("%s, it loses trades", async (_how, more, wrong) => {
    await startTrading();
    const job = await ingest(`trades_${wrong === null ? "forgotten" : "wrong"}`, more);
    expect(await job.run({ die: { point: "taken in", nth: 3 } })).toBe("killed");
    expect(await job.run({ die: { point: "taken in", nth: 40 }, wrong })).toBe("killed");
    await job.rest(newest);
    const trades = await published(job);
    expect(trades.length).toBeGreaterThan(0);
    expect(trades.length).toBeLessThan(due(trades).length);
  });
});

describe("ticker-ingest", () => {
  const startTickers = async () => {
    const faults = { answer5xx: 0.05, cut: 0.02, garbageAnswers: 0.2 };
    exchange = await startBinance({ rate: 100, tickerEvery: "1ms", weightLimit: 1_000_000, faults });
  };
  const ingest = (topic: string) =>
    Ingest.of("ticker-ingest", topic, () => `${exchange.url}/api/v3/ticker/24hr?symbol=BTCUSDT#every=40ms`);
  /** An answer that was given later than now. */
  const newest = () => {
    const given = exchange.ledger.last("ticker")?.closeTime ?? 0;
    return [(value: string) => Number(/"closeTime":(\d+)/.exec(value)?.[1]) > given];
  };
  const published = async (job: Ingest) =>
    inOrder(
      (await job.published()).map((value) => {
        const { symbol, closeTime, lastPrice } = JSON.parse(value) as Record<"symbol" | "lastPrice", string> & {
          closeTime: number;
        };
        return { symbol, id: closeTime, price: lastPrice };
      }),
    );
  const given = () =>
    exchange.ledger
      .entries("ticker")
      .map(({ symbol, closeTime, lastPrice }) => ({ symbol, id: closeTime, price: lastPrice }));

  test("killed wherever it can be: a kill costs one answer at most, and what was taken in is published, under one id", async () => {
    await startTickers();
    const job = await ingest("ticker_killed");
    await job.killEverywhere();
    await job.rest(newest);
    const tickers = await published(job);
    expect(given()).toEqual(expect.arrayContaining(tickers));
    expect((await job.messages()).length).toBeGreaterThan(tickers.length);
    const done = tickers.length + letters();
    expect(letters()).toBeGreaterThan(0);
    expect(done).toBeGreaterThanOrEqual(job.journal("taken in").length);
    const lost = job.journal("came").length - done;
    expect(lost).toBeGreaterThanOrEqual(job.deaths.before);
    expect(lost).toBeLessThanOrEqual(job.deaths.all);
  });

  test("built wrong (its source goes on before the inbox has what came), it loses what was taken in", async () => {
    await startTickers();
    const job = await ingest("ticker_wrong");
    const wrong = "inbox answers before it has the records";
    expect(await job.run({ die: { point: "taken in", nth: 3 }, wrong })).toBe("killed");
    await job.rest(newest);
    expect((await published(job)).length + letters()).toBeLessThan(job.journal("taken in").length);
  });
});
