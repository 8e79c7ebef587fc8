// The measured process: writes candles to one place, by the sink or by hand, and says how long that took.
import { parseAddress } from "../../io/address";
import { type Batch } from "../../io/connector";
import { sinkOf } from "../../io/registry";
import { ROWS_TOGETHER } from "../../runners/direct/rows-together";
import { candles, candlesUpTo } from "./candles";
import { plain } from "./plain";
import { type SinkName } from "./sinks";

export interface Work {
  readonly sink: SinkName;
  readonly how: "beamline" | "plain";
  readonly target: string;
  readonly rows: number;
}

/** Without start-up and the loading of modules. */
export interface Took {
  readonly seconds: number;
  readonly cpuSeconds: number;
}

const batch: Batch = {
  ...{ job: "bench", pipeline: "bench", id: "bench-1", plan: "bench-1", ranges: [], replays: [] },
  turn: { number: 1, epoch: 1 },
};

async function byBeamline(target: string, rows: number): Promise<void> {
  const address = parseAddress(target);
  const open = await sinkOf(address).open(address, [candles], batch);
  for (const some of candlesUpTo(rows, open.rowsTogether ?? ROWS_TOGETHER)) await open.write("candles", some);
  await open.commit();
}

async function main({ sink, how, target, rows }: Work): Promise<void> {
  const write = plain[sink];
  const started = performance.now();
  const before = process.cpuUsage();
  if (how === "plain") await write(target, candlesUpTo(rows, 2_000));
  else await byBeamline(target, rows);
  const { user, system } = process.cpuUsage(before);
  const took: Took = { seconds: (performance.now() - started) / 1000, cpuSeconds: (user + system) / 1e6 };
  process.stdout.write(JSON.stringify(took), () => process.exit(0));
}

const [, , text = ""] = process.argv;
main(JSON.parse(text) as Work).catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
