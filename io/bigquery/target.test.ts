// What real BigQuery does and the emulator does not, against a double that speaks its REST interface: names of jobs that are
// given once, lost answers, processes that die between two steps, quotas, permissions.
import { z } from "zod";
import { BigQueryDouble, type Fault, type Refusal } from "../../test/bigquery-double";
import { RunError, UnavailableError, UsageError } from "../../schema/errors";
import { tableOf, type Row } from "../../schema/table";
import { type Address, type Batch, type Output } from "../connector";
import { sinkSettingsOf, type Environment } from "./settings";
import { BigQueryTarget } from "./target";

let double: BigQueryDouble;

beforeEach(async () => {
  double = await BigQueryDouble.start();
});

afterEach(() => double.close());

const out: Output = {
  name: "candles",
  table: tableOf("candles", z.object({ symbol: z.string(), count: z.int() }), { key: ["symbol"] }),
};
const rows: readonly Row[] = [
  { symbol: "A", count: 1 },
  { symbol: "B", count: 2 },
];

const batchOf = (number: number, epoch = 1, more: Partial<Batch> = {}): Batch => ({
  ...{ job: "j", pipeline: "p", id: `b${number}`, plan: `p${number}`, ranges: [], replays: [] },
  turn: { number, epoch },
  ...more,
});

function settings(options: Address["options"] = {}, environment: Environment = { BIGQUERY_EMULATOR_HOST: double.url }) {
  const address: Address = {
    scheme: "bigquery",
    path: "//p/d",
    options: { via: "load", "give-up": "2s", ...options },
  };
  return sinkSettingsOf(address, environment);
}

const open = (batch = batchOf(1), options: Address["options"] = {}) =>
  BigQueryTarget.open(settings(options), [out], batch);

async function run(batch = batchOf(1), some = rows, options: Address["options"] = {}): Promise<void> {
  const target = await open(batch, options);
  try {
    await target.write("candles", some);
    await target.commit();
  } finally {
    await target.abort();
  }
}

/** As far as a process gets that is killed before it commits: nobody tidies up behind it. */
async function killedBehindItsLoad(batch = batchOf(1)): Promise<void> {
  double.fault({ on: /^POST \/jobs$/, kind: "commit", times: 1, does: { refuse: forbidden } });
  const target = await open(batch);
  await target.write("candles", rows);
  await expect(target.commit()).rejects.toThrow();
}

const forbidden: Refusal = { status: 403, reason: "accessDenied", message: "Access Denied: nothing" };

describe("a job's name is given once", () => {
  test("a lost answer: the job is found again under its name, and done once", async () => {
    for (const kind of ["load", "commit"] as const)
      double.fault({ on: /^POST \/jobs$/, kind, times: 1, does: { loseAnswer: true } });
    await run();
    expect(double.jobsOf("load")).toHaveLength(1);
    expect(double.jobsOf("commit")).toHaveLength(1);
    expect(double.commits).toBe(1);
    expect(double.stagings()).toEqual([]);
  });

  test("killed between load and commit, and run again: the load is there, the commit is done once", async () => {
    await killedBehindItsLoad();
    expect(double.stagings()).toHaveLength(1);
    await run(batchOf(1, 2));
    expect(double.jobsOf("load")).toHaveLength(1);
    expect(double.commits).toBe(1);
    expect(double.records.get("candles")).toEqual({ batch: "b1", epoch: 2 });
    expect(double.stagings()).toEqual([]);
  });

  test.each([batchOf(1), batchOf(1, 1, { turn: null })])(
    "killed while the commit runs, and run again: it is waited for and taken, not begun a second time (%#)",
    async (batch) => {
      double.holds = "commit";
      const dying = await open(batch);
      await dying.write("candles", rows);
      // Nobody hears of it any more.
      const never = dying.commit().catch(() => undefined);
      await until(() => double.jobsOf("commit").length === 1);
      const again = run({ ...batch, turn: batch.turn === null ? null : { number: 1, epoch: 2 } });
      await until(() => double.requests.filter((asked) => asked.startsWith("POST /jobs")).length >= 4);
      await until(() => double.requests.filter((asked) => asked.startsWith("GET /jobs/beamline_commit")).length >= 4);
      double.release();
      await again;
      await never;
      expect(double.jobsOf("commit")).toHaveLength(1);
      expect(double.commits).toBe(1);
    },
  );

  test("other rows under the same plan are other work: a step was repaired in between", async () => {
    await killedBehindItsLoad();
    await run(batchOf(1, 2), [{ symbol: "A", count: 99 }]);
    expect(double.jobsOf("load")).toHaveLength(2);
    expect(double.commits).toBe(1);
  });

  test("and where no record of batches decides, they are merged", async () => {
    const alone = batchOf(1, 1, { turn: null });
    await run(alone);
    await run(alone, [{ symbol: "A", count: 99 }]);
    expect(double.jobsOf("commit")).toHaveLength(2);
    expect(double.commits).toBe(2);
  });

  test("a job that failed is of no use: the work goes on under the next name", async () => {
    double.fault({ on: /^POST \/jobs$/, kind: "load", times: 1, does: { failJob: backend } });
    double.fault({ on: /^POST \/jobs$/, kind: "commit", times: 1, does: { failJob: concurrent } });
    await run();
    expect(double.jobsOf("load").map(({ id }) => id.slice(-2))).toEqual(["_0", "_1"]);
    expect(double.jobsOf("commit").map(({ id }) => id.slice(-2))).toEqual(["_0", "_1"]);
    expect(double.commits).toBe(1);
  });

  test("one that failed in an earlier process is passed by", async () => {
    double.fault({ on: /^POST \/jobs$/, kind: "commit", times: 1, does: { failJob: invalid } });
    await expect(run()).rejects.toThrow("is no good");
    await run();
    expect(double.jobsOf("commit").map(({ id }) => id.slice(-2))).toEqual(["_0", "_1"]);
    expect(double.commits).toBe(1);
  });

  test("a table that was dropped and made again has nothing of what an earlier job merged", async () => {
    const alone = batchOf(1, 1, { turn: null });
    await run(alone);
    double.tables.delete("candles");
    await run(alone);
    expect(double.jobsOf("commit")).toHaveLength(2);
  });

  test("a staging table that was taken away is filled again", async () => {
    await killedBehindItsLoad();
    for (const name of double.stagings()) double.tables.delete(name);
    await run(batchOf(1, 2));
    expect(double.jobsOf("load")).toHaveLength(2);
    expect(double.commits).toBe(1);
  });

  test("what a process did in vain, since it was too old, is done by the younger one", async () => {
    const old = await open(batchOf(2, 1));
    await old.write("candles", rows);
    await run(batchOf(1, 2));
    await expect(old.commit()).rejects.toThrow("taken over");
    expect(double.records.get("candles")).toEqual({ batch: "b1", epoch: 2 });
    await run(batchOf(2, 2));
    expect(double.records.get("candles")).toEqual({ batch: "b2", epoch: 2 });
    await old.abort();
  });
});

describe("a batch on record", () => {
  test("is skipped before anything is staged", async () => {
    await run();
    const before = double.jobsOf("load").length;
    await run(batchOf(1, 2));
    expect(double.jobsOf("load")).toHaveLength(before);
    expect(double.commits).toBe(1);
  });

  test("an older process is told so when it opens", async () => {
    await run(batchOf(1, 2));
    await expect(open(batchOf(2, 1))).rejects.toThrow(RunError);
  });
});

const backend = {
  reason: "backendError",
  message: "Error encountered during execution. Retrying may solve the problem.",
};
const concurrent = {
  reason: "invalidQuery",
  message: "Transaction is aborted due to concurrent update against table p:d.beamline_batches. Transaction ID: 1",
};
const invalid = { reason: "invalidQuery", message: "this is no good" };

describe("what may pass is tried again", () => {
  const busy: Refusal = {
    status: 403,
    reason: "rateLimitExceeded",
    message: "Exceeded rate limits: too many api requests per user per method",
  };

  test("being asked too often, and a server that has no time", async () => {
    double.fault({ on: /^POST/, times: 2, does: { refuse: busy } });
    double.fault({
      on: /^GET \/datasets/,
      times: 2,
      does: { refuse: { status: 503, reason: "backendError", message: "Visibility check was unavailable" } },
    });
    await run();
    expect(double.commits).toBe(1);
  });

  test.each<[string, Fault["does"], string]>([
    [
      "rate limit",
      { refuse: busy },
      "bigquery://p/d is asked too often (Exceeded rate limits: too many api requests per user per method): " +
        "try again in a moment, or run less at once",
    ],
    [
      "quota",
      {
        failJob: {
          reason: "quotaExceeded",
          message: "Quota exceeded: Your table exceeded quota for imports or query appends per table.",
        },
      },
      "bigquery://p/d has used up a quota (Quota exceeded: Your table exceeded quota for imports or query appends per " +
        "table.): try again when it is renewed, or ask Google to raise it",
    ],
    [
      "another writer",
      { failJob: concurrent },
      `bigquery://p/d gave way to another writer of the same tables (${concurrent.message}): try again`,
    ],
  ])("and given up in the end: %s", async (_what, does, says) => {
    double.fault({ on: /^POST \/jobs$/, kind: "commit", does });
    const failed = await failureOf(run(batchOf(1), rows, { "give-up": "700ms" }));
    expect(failed).toEqual(new UnavailableError(says));
    expect(double.commits).toBe(0);
    expect(double.stagings()).toEqual([]);
  });

  test("nobody there", async () => {
    const gone = settings({ "give-up": "300ms" });
    await double.close();
    expect(await failureOf(BigQueryTarget.open(gone, [out], batchOf(1)))).toEqual(
      new UnavailableError(
        `bigquery://p/d at ${gone.emulator} does not answer (ECONNREFUSED): check the network, and the address of an emulator`,
      ),
    );
    double = await BigQueryDouble.start();
  });
});

describe("what does not pass is said in a sentence, at once", () => {
  test.each<[string, Fault, Error]>([
    [
      "a permission to run jobs",
      {
        on: /^POST \/jobs$/,
        does: {
          refuse: {
            ...forbidden,
            message: "Access Denied: Project p: User does not have bigquery.jobs.create permission in project p.",
          },
        },
      },
      new RunError(
        "bigquery://p/d does not permit this account what is needed (Access Denied: Project p: User does not have " +
          "bigquery.jobs.create permission in project p.): grant it the permission bigquery.jobs.create, such as by the " +
          "role roles/bigquery.jobUser",
      ),
    ],
    [
      "a permission on tables",
      {
        on: /^POST \/datasets\/d\/tables$/,
        does: {
          refuse: {
            ...forbidden,
            message:
              "Access Denied: Dataset p:d: Permission bigquery.tables.create denied on dataset p:d (or it may not exist).",
          },
        },
      },
      new RunError(
        "bigquery://p/d does not permit this account what is needed (Access Denied: Dataset p:d: Permission " +
          "bigquery.tables.create denied on dataset p:d (or it may not exist).): grant it the permission " +
          "bigquery.tables.create, such as by the role roles/bigquery.dataEditor",
      ),
    ],
    [
      "credentials that are not accepted",
      { on: /./, does: { refuse: { status: 401, reason: "authError", message: "Invalid Credentials" } } },
      new UsageError(
        "bigquery://p/d does not accept the credentials (401: Invalid Credentials): log in again, or check " +
          "GOOGLE_APPLICATION_CREDENTIALS",
      ),
    ],
    [
      "the sandbox",
      {
        on: /^POST \/jobs$/,
        kind: "statement",
        does: {
          failJob: {
            reason: "billingNotEnabled",
            message:
              "Billing has not been enabled for this project. Enable billing at https://console.cloud.google.com/billing. " +
              "DML queries are not allowed in the free tier. Set up a billing account to remove this restriction.",
          },
        },
      },
      new RunError(
        "bigquery://p/d is in BigQuery's sandbox, where rows can be neither merged nor streamed: enable billing for the " +
          "project p (Billing has not been enabled for this project. Enable billing at " +
          "https://console.cloud.google.com/billing. DML queries are not allowed in the free tier. Set up a billing account " +
          "to remove this restriction.)",
      ),
    ],
    [
      "an API that is off",
      {
        on: /./,
        does: {
          refuse: {
            status: 403,
            reason: "accessNotConfigured",
            message: "BigQuery API has not been used in project 1 before or it is disabled.",
          },
        },
      },
      new RunError(
        "bigquery://p/d cannot be used before the BigQuery API is enabled for the project p (BigQuery API has not been used " +
          "in project 1 before or it is disabled.)",
      ),
    ],
  ])("%s", async (_what, fault, error) => {
    double.fault(fault);
    expect(await failureOf(run())).toEqual(error);
    // Once for each step that came so far, and never again.
    expect(double.requests.length).toBeLessThan(20);
  });

  test("a dataset that is not there, which is made where that is said", async () => {
    double.hasDataset = false;
    expect(await failureOf(run())).toEqual(
      new UsageError(
        "bigquery://p/d is not there: make it with bq mk --dataset p:d, let it be made (?create=true), or check the address",
      ),
    );
    await run(batchOf(1), rows, { create: "true" });
    expect(double.commits).toBe(1);
  });

  test("a dataset that lies elsewhere", async () => {
    expect(await failureOf(run(batchOf(1), rows, { location: "US" }))).toEqual(
      new RunError("bigquery://p/d lies in EU, and not in US: leave location= out, or name another dataset"),
    );
  });

  test("a file of credentials that is not there", async () => {
    const before = process.env["GOOGLE_APPLICATION_CREDENTIALS"];
    process.env["GOOGLE_APPLICATION_CREDENTIALS"] = "/no/such/key.json";
    try {
      const failed = await failureOf(BigQueryTarget.open(settings({}, {}), [out], batchOf(1)));
      expect(failed.message).toMatch(
        /^bigquery:\/\/p\/d: GOOGLE_APPLICATION_CREDENTIALS names a file that is not there/,
      );
    } finally {
      if (before === undefined) delete process.env["GOOGLE_APPLICATION_CREDENTIALS"];
      else process.env["GOOGLE_APPLICATION_CREDENTIALS"] = before;
    }
  });
});

async function failureOf(work: Promise<unknown>): Promise<Error> {
  try {
    await work;
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
}

async function until(holds: () => boolean): Promise<void> {
  for (let looked = 0; looked < 500; looked += 1) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("it did not come to that");
}

test("a part of a job's rows leaves no record, and finds nothing of an earlier one", async () => {
  const part = batchOf(1, 1, { turn: null, isPart: true });
  await run(part);
  await run(part);
  expect([...double.tables.keys()]).toEqual(["candles"]);
  expect(double.jobsOf("load")).toHaveLength(2);
  expect(double.jobsOf("statement").map(({ sql }) => /^\w+/.exec(sql)?.[0])).toEqual(["MERGE", "MERGE"]);
  expect(double.jobsOf("commit")).toEqual([]);
});
