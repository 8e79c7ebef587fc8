// A job that reads a pipe, killed with SIGKILL while trades come. What its inbox had taken in counts exactly once, however
// often it was killed. What was on its way is lost, and only that: the last bytes that were written, as many as a pipe and
// the process's buffers hold. A job that empties its inbox too early must fail this, or the test would prove nothing.
import { setTimeout as sleep } from "node:timers/promises";
import { openDatabase } from "../io/sqlite/database";
import { inboxFile, lookInto } from "../runners/direct/inbox";
import { POINTS } from "../runners/direct/run-continuous";
import { type DyingJob } from "./dying-job";
import { candlesOf, Ledger, type Expected } from "./ledger";
import { runDying, type Ending } from "./run-dying";
import { scratchDirectory } from "./scratch";

const at = scratchDirectory();

/** What a pipe of the system, the job's buffers and one write of the feeder hold at most, in bytes. */
const ON_ITS_WAY = 512 * 1024;

interface Pipe {
  /** Answers when the system has taken it all; false when nobody will ever read it. */
  readonly write: (values: readonly string[]) => Promise<boolean>;
  readonly end: () => void;
  readonly kill: () => void;
}

const sizeOf = (values: readonly string[]): number => values.reduce((sum, value) => sum + value.length + 1, 0);

/** A job over several lives, and what its inbox has taken in of what was piped into each. */
class PipedJob {
  private readonly taken: string[] = [];

  constructor(private readonly flags: Readonly<Record<string, string>> = {}) {}

  /** Bytes of records that one life of the job was given and did not take in, at most. */
  lost = 0;

  async run(job: Partial<DyingJob>, feed: (pipe: Pipe) => void): Promise<Ending> {
    const sent: string[] = [];
    const before = this.acknowledged();
    const ending = await runDying(
      at(),
      {
        from: "stdin:",
        to: `sqlite:${at("out.db")}`,
        ...job,
        flags: { "state-dir": at("state"), "batch-interval": "20ms", ...this.flags, ...job.flags },
      },
      undefined,
      (stdin, kill) => {
        const write = async (values: readonly string[]) => {
          sent.push(...values);
          const text = values.map((value) => `${value}\n`).join("");
          return new Promise<boolean>((resolve) => stdin.write(text, (error) => resolve(error == null)));
        };
        feed({ write, end: () => stdin.end(), kill });
      },
    );
    const took = sent.slice(0, this.acknowledged() - before);
    this.taken.push(...took);
    this.lost = Math.max(this.lost, sizeOf(sent) - sizeOf(took));
    return ending;
  }

  /** Runs it on what lies in the inbox, to its end. */
  async rest(): Promise<void> {
    expect(await this.run({}, ({ end }) => end())).toBe("done");
    expect(lookInto(this.file())).toMatchObject([{ first: this.taken.length, end: this.taken.length }]);
  }

  expected(): Expected[] {
    return candlesOf(this.taken);
  }

  check(): void {
    expect(candles()).toEqual(this.expected());
    // The same record again would be removed as a duplicate, and not be seen in the candles.
    expect(this.read()).toBe(this.taken.length);
    expect(this.lost).toBeLessThan(ON_ITS_WAY);
  }

  private file(): string {
    return inboxFile(at("state"), "trades-aggregate", "trades");
  }

  /** How many records the inbox ever took in. */
  acknowledged(): number {
    return lookInto(this.file())[0]?.end ?? 0;
  }

  private read(): number {
    const [row] = select(at("state", "trades-aggregate.db"), "SELECT value FROM meta WHERE name = 'totals'");
    return (JSON.parse(String(row?.["value"])) as { read: number }).read;
  }
}

function select(file: string, sql: string): Record<string, unknown>[] {
  const database = openDatabase(file);
  try {
    return database.prepare(sql).all([]);
  } finally {
    database.close();
  }
}

const candles = () =>
  select(
    at("out.db"),
    "SELECT symbol, window_start, trade_count, volume FROM trades_1min_agg ORDER BY symbol, window_start",
  ) as unknown as Expected[];

const valuesOf = (ledger: Ledger, count: number) => ledger.take(count).map(({ value }) => value);

test("killed at each point of a batch: what the inbox has taken in counts exactly once", async () => {
  const ledger = new Ledger(11);
  const job = new PipedJob({ "max-batch": "150" });
  for (const point of POINTS) {
    for (const nth of [1, 2]) {
      // The pipe stays open: it is not its end that ends the job.
      expect(await job.run({ die: { point, nth } }, ({ write }) => void write(valuesOf(ledger, 600)))).toBe("killed");
    }
  }
  await job.rest();
  job.check();
});

test.each([
  ["of its usual size", {}],
  ["that is always full", { "inbox-records": "120", "max-batch": "50" }],
])("killed at random moments while trades come, with an inbox %s", async (_size, flags) => {
  const ledger = new Ledger(12);
  const job = new PipedJob(flags);
  for (let killed = 0; killed < 12; killed += 1) {
    const before = job.acknowledged();
    const feed = async ({ write, kill }: Pipe) => {
      let dies = false;
      while (await write(valuesOf(ledger, 60))) {
        await sleep(5);
        if (dies || job.acknowledged() === before) continue;
        dies = true;
        setTimeout(kill, Math.random() * 400);
      }
    };
    const ending = await job.run({}, (pipe) => void feed(pipe));
    expect(ending).toBe("killed");
  }
  await job.rest();
  job.check();
  // Or nothing would have been on its way, and the job would not have been killed in the midst of anything.
  expect(job.lost).toBeGreaterThan(0);
});

test("built wrong (the inbox is emptied before the commit), it does not count exactly once", async () => {
  const ledger = new Ledger(13);
  // The job would notice that records are gone, and end: here it is told to do without.
  const job = new PipedJob({ "on-gap": "continue" });
  const ending = await job.run({ wrong: "inbox emptied before the commit" }, ({ write, end }) => {
    void write(valuesOf(ledger, 500));
    end();
  });
  expect(ending).toBe("killed");
  expect(await job.run({}, ({ end }) => end())).toBe("done");
  expect(candles()).not.toEqual(job.expected());
});
