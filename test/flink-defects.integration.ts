// The SDK's defects that a cluster shows, on Flink: what becomes of a job without the repair, and with it. Each repair has
// its unit test beside it, in beam/fixes; here is what it is for.
import { readdirSync } from "node:fs";
import path from "node:path";
import { startJobServer, type JobServer } from "../runners/flink/job-server";
import { runJob, type Ended } from "./defects/jobs";
import { runWithout, type EndedWithout } from "./defects/run-without";

interface Shown {
  /** What happens without it. */
  readonly defect: string;
  readonly without: (ended: EndedWithout) => void;
  readonly fixed: Partial<Ended>;
}

const done = (heard: unknown) => ({ ending: "done", error: null, heard }) as const;
const exactly = (expected: object) => (ended: Ended) => expect(ended).toMatchObject(expected);
const failing = (error: RegExp) => (ended: Ended) => {
  expect(ended.ending).toBe("failed");
  expect(ended.error).toMatch(error);
};

/** By the name of the repair. */
const shown: Readonly<Record<string, Shown>> = {
  "data-channel": {
    defect: "records are lost where reading waits, and the job succeeds",
    without: ({ ending, heard }) => {
      expect(ending).toBe("done");
      expect(heard).toBeLessThan(2_100);
    },
    fixed: done(2_100),
  },
  "data-sink": {
    defect: "what becomes more than a megabyte is sent again and again, and the job succeeds",
    without: ({ ending, heard }) => {
      expect(ending).toBe("done");
      expect(heard).toBeGreaterThan(15);
    },
    fixed: done(15),
  },
  "varint-coder": {
    defect: "keys 2^32 apart are one, and it is another",
    without: exactly(done(["[-807049216,2]", "[7,1]"])),
    fixed: done(["[1700000000000,1]", "[1704294967296,1]", "[7,1]"]),
  },
  "js-value-coder": {
    defect: "a date arrives as nothing",
    without: exactly(done(["{}"])),
    fixed: done(["date(7)"]),
  },
  "message-size": {
    defect: "a record of more than 4 MiB does not arrive, and the job waits for ever",
    without: ({ ending, heard, told }) => {
      expect(told).toContain("Received message larger than max");
      expect({ ending, heard }).toEqual({ ending: "endless", heard: [] });
    },
    fixed: done([5_000_000]),
  },
  metrics: {
    defect: "no counter comes back",
    without: exactly(done({})),
    fixed: done({ "read slowly": 10 }),
  },
  "finished-bundles": {
    defect: "each bundle leaves something in its worker",
    without: ({ ending, heard }) => {
      expect(ending).toBe("done");
      expect(heard).toBeGreaterThan(0);
    },
    fixed: done(0),
  },
  "pane-info": {
    defect: "the only pane of a window is a late one",
    without: exactly(done(["late"])),
    fixed: done(["only"]),
  },
  "sub-second-windows": {
    defect: "windows of half a second have no length, which the runner refuses",
    without: failing(/must have 0 <= offset < size/),
    fixed: done([[1_700_000_000_000, 1_700_000_000_500]]),
  },
  "pipeline-options": {
    defect: "an option that is undefined breaks the submission",
    without: failing(/Unable to parse .* from JSON undefined/),
    fixed: done([1]),
  },
  "bundle-errors": {
    defect: "a mistake of the user's comes back as a failure of the runner",
    without: failing(/^RunError: The job failed on the runner: Error received from SDK harness .*: 7 is refused/),
    fixed: { ending: "failed", error: "UsageError: 7 is refused" },
  },
};

/** Repairs of what no bounded job on Flink meets, and why. */
const notShown: Readonly<Record<string, string>> = {
  "double-coder": "the same bytes, only slower",
  "finished-requests": "Flink asks bounded jobs neither for progress nor for splits",
  "kafka-config-payload": "bounded ranges of Kafka are read here, not by Java",
  "service-start": "it is about servers that the SDK starts itself",
  "worker-entrypoint": "not a repair that can be left out, but a program of its own: flink-cluster.integration.ts",
  "worker-environment": "without it nothing gets as far as a cluster, since npm finds no such version of the SDK",
};

test("every repair is shown here, or it is said why not", () => {
  const parts = ["index", "once", "varint"];
  const repairs = readdirSync(path.join(__dirname, "../beam/fixes"))
    .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
    .map((file) => file.replace(/\.ts$/, ""))
    .filter((name) => !parts.includes(name));
  expect([...Object.keys(shown), ...Object.keys(notShown)].sort()).toEqual(repairs.sort());
});

describe("on Flink", () => {
  let flink: JobServer;

  beforeAll(async () => {
    flink = await startJobServer({ cluster: null, tell: () => undefined });
  });

  afterAll(() => flink.stop());

  test.each(Object.entries(shown).map(([name, one]) => ({ name, ...one })))(
    "without $name $defect",
    async ({ name, without, fixed }) => {
      const both = [runWithout(name, flink.endpoint), runJob(name, flink.endpoint)] as const;
      const [ended, endedFixed] = await Promise.all(both);
      without(ended);
      expect(endedFixed).toMatchObject(fixed);
    },
  );
});
