// A job that goes on on Flink, whose parts die while trades keep coming: workers and TaskManagers are killed at random, a worker is
// frozen and woken when another has written in its place, Kafka and the JobManager are started again, and the job goes on with
// more parts. In the end every number of the ledger counts exactly once.
// It takes minutes, so it is not among the tests of every change:
//   npm run test:nightly                      (a few kills)
//   BEAMLINE_KILLS=20 npm run test:nightly    (as many as that, and a worker frozen together with who watches over it)
import { setTimeout as sleep } from "node:timers/promises";
import { killService, startServices } from "../infra/services/services";
import { scene } from "./command-scene";
import { jobProcesses, until, type JobProcess } from "./job-scene";
import { numbersFrom } from "./numbers-from";
import { oftenBegunAgain, streamScene, workersUnder, type Sending, type ShownJob } from "./stream-scene";

const IS_LONG = process.env["BEAMLINE_KILLS"] !== undefined;
const KILLS = Number(process.env["BEAMLINE_KILLS"] ?? 3);

/** Trades that wait for Kafka to come back are as old as that when they come, and none of them may be late. */
const OUTAGE = "--disorder=60s";

const { at, beamline } = scene();
const startJob = jobProcesses();
const stream = streamScene({ ...process.env, ...oftenBegunAgain });

/** Trades that keep coming until it is told to stop. */
function keepSending(sending: Sending): { stop(): Promise<void> } {
  let isOver = false;
  const sent = (async () => {
    while (!isOver) {
      await stream.send(sending, 20);
      await sleep(200);
    }
  })();
  return {
    async stop() {
      isOver = true;
      await sent;
    },
  };
}

async function runningJob(): Promise<ShownJob | undefined> {
  const { code, stdout } = await beamline("status", "trades-aggregate", "--flink-master", stream.flink.url, "--json");
  if (code === 2 || stdout === "") return undefined;
  return (JSON.parse(stdout) as ShownJob[]).find(({ state }) => state === "RUNNING");
}

/** Waits until all of it runs, which is when it can keep where it stands. */
async function untilSteady(job: JobProcess): Promise<ShownJob> {
  const done = (one: ShownJob | undefined): number => one?.view?.checkpoints.done ?? 0;
  let first: number | null = null;
  return (await job.until(runningJob, (one) => {
    if (one?.view == null) return false;
    first ??= done(one);
    return done(one) >= first + 2;
  })) as ShownJob;
}

const kill = (pid: number, signal: NodeJS.Signals) => {
  try {
    process.kill(pid, signal);
  } catch {
    // It is gone already.
  }
};

test(
  "every number counts exactly once, whatever dies on the way",
  async () => {
    const random = numbersFrom(KILLS);
    const sending = await stream.begin("killed", 11);
    const words = (...more: string[]) => stream.words(sending, ...stream.onCluster("--json", OUTAGE, ...more));
    const first = startJob(at(), words("--parallelism=2"));
    await first.until(() => stream.candles(sending), stream.isAll(sending));
    const coming = keepSending(sending);
    const pick = <T>(all: readonly T[]): T => all[random(all.length)] as T;
    const workers = () => workersUnder(at());
    for (let n = 0; n < KILLS; n += 1) {
      await untilSteady(first);
      await sleep(random(3_000));
      const parts = pick([["worker"], ["taskmanager"], ["worker", "taskmanager"]]);
      if (parts.includes("worker")) kill(pick(await until(workers, ({ length }) => length > 0)).pid, "SIGKILL");
      if (parts.includes("taskmanager")) kill(stream.pidOf(`taskmanager-${1 + random(2)}`), "SIGKILL");
      await sleep(3_000);
    }
    const { view } = await untilSteady(first);
    expect(view?.restarts).toBeGreaterThan(0);

    // A worker that is frozen is killed by who watches over it. Frozen with that one, it is waited for until its TaskManager
    // has had enough of that; and then it wakes up behind another, which has written in its place.
    const frozen = workers().filter(({ works }) => works || IS_LONG);
    for (const { pid } of frozen) kill(pid, "SIGSTOP");
    await first.until(runningJob, (one) => Number(one?.view?.restarts) > Number(view?.restarts));
    await untilSteady(first);
    const before = await stream.candles(sending);
    await first.until(
      () => stream.candles(sending),
      (rows) => rows.length > before.length,
    );
    for (const { pid } of frozen) kill(pid, "SIGCONT");

    // Kafka comes back with all that it had.
    await killService("kafka", { directory: stream.directory });
    const port = Number(new URL(`http://${stream.broker.address}`).port);
    await startServices(["kafka"], { directory: stream.directory, ports: { kafka: port } });

    // A JobManager that is started again does not know the job: it goes on from its last checkpoint, with more parts.
    await untilSteady(first);
    kill(stream.pidOf("jobmanager"), "SIGKILL");
    const { code, stderr } = await first.ended;
    const [, checkpoint = ""] =
      /does not know the job .* any more, run it again with --from-savepoint (\S+)/.exec(stderr) ?? [];
    expect({ code, checkpoint }).toEqual({
      code: 1,
      checkpoint: expect.stringMatching(/^file:.*\/chk-\d+$/) as string,
    });
    const second = startJob(at(), words("--parallelism=4", "--from-savepoint", checkpoint));
    await second.until(runningJob, (one) => one?.view?.watermark != null);
    await coming.stop();
    await second.until(() => stream.candles(sending), stream.isAll(sending));
    const { stdout } = await second.end("SIGINT");
    expect(JSON.parse(stdout)).toMatchObject({ state: "interrupted", late: 0 });
    expect(await stream.candles(sending)).toEqual(sending.ledger.expected(5_000));
  },
  240_000 + KILLS * 60_000,
);
