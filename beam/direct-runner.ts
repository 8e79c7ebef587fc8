// Runs a graph in this process on Beam's DirectRunner, with the operators that make it fast and keep it from losing
// the errors and the end of asynchronous work.
import Long from "long";
import { useFastGroupByKey } from "./group-by-key";
import { type Root } from "./collection";
import { setRunContext, type RunContext } from "./run-context";
import { type Clock, withClock } from "./clock";
import { directRunner, internal, operators, pipelines, pvalue, standardCoders, values, type sdk } from "./sdk";

/** What a finished run counted, by counter. */
export type Counters = Readonly<Record<string, number>>;

// The SDK's own impulse lets go of the promise that its consumer returns, so a failing read would be nobody's.
class ImpulseOperator {
  private readonly receiver: sdk.Receiver;
  private done: sdk.Done = null;

  constructor(
    readonly transformId: string,
    transform: sdk.TransformProto,
    context: sdk.OperatorContext,
  ) {
    this.receiver = context.getReceiver(Object.values(transform.outputs)[0]);
  }

  async startBundle(): Promise<void> {
    this.done = this.receiver.receive({
      value: new Uint8Array(),
      windows: [new values.GlobalWindow()],
      pane: standardCoders.PaneInfoCoder.ONE_AND_ONLY_FIRING,
      timestamp: Long.fromString("-9223372036854775"),
    });
    // It is awaited in finishBundle; until then a rejection must not count as unhandled.
    this.done?.catch(() => {});
  }

  process(): sdk.Done {
    return null;
  }

  async finishBundle(): Promise<void> {
    await this.done;
  }
}

useFastGroupByKey();
operators.registerOperator(internal.impulse.urn, ImpulseOperator as never);

/** A graph under construction. */
export interface Graph {
  readonly root: Root;
  /** The graph as Beam's runners take it. */
  proto(): sdk.PipelineProto;
}

/** An empty graph that is built for `context`. */
export function newGraph(context: RunContext): Graph {
  const pipeline = new pipelines.Pipeline();
  const root = new pvalue.Root(pipeline) as unknown as Root;
  setRunContext(root, context);
  return { root, proto: () => pipeline.getProto() };
}

/** Runs a graph and answers with its counters. */
export async function runDirect(graph: Graph, clock?: Clock): Promise<Counters> {
  const runner = directRunner.directRunner({});
  const run = () => runner.runPipeline(graph.proto());
  const result = await (clock === undefined ? run() : withClock(clock, run));
  return (await result.counters()) as Counters;
}
