// Runs a graph in this process on Beam's DirectRunner, with the operators that make it fast and keep it from losing
// the errors and the end of asynchronous work.
import { useFastGroupByKey } from "./group-by-key";
import { type Root } from "./collection";
import { quietSdkLogs } from "./quiet";
import { setRunContext, type RunContext } from "./run-context";
import { type Clock, withClock } from "./clock";
import { droppable } from "./failed-bundles";
import { directRunner, internal, operators, pipelines, pvalue, type sdk } from "./sdk";
import { unwindowed } from "./windows";

/** What a finished run counted, by counter. */
export type Counters = Readonly<Record<string, number>>;

// What the impulses of a run have set going, by the run's descriptor.
const underWay = new WeakMap<object, Promise<void>[]>();

// The SDK's own impulse lets go of the promise that its consumer returns, so a failing read would be nobody's.
class ImpulseOperator {
  private readonly receiver: sdk.Receiver;
  private readonly underWay: Promise<void>[];

  constructor(
    readonly transformId: string,
    transform: sdk.TransformProto,
    context: sdk.OperatorContext,
  ) {
    this.receiver = context.getReceiver(Object.values(transform.outputs)[0]);
    this.underWay = underWay.get(context.descriptor) ?? [];
    underWay.set(context.descriptor, this.underWay);
  }

  async startBundle(): Promise<void> {
    const done = this.receiver.receive(unwindowed(new Uint8Array()));
    if (done !== null) this.underWay.push(droppable(done));
  }

  process(): sdk.Done {
    return null;
  }

  async finishBundle(): Promise<void> {
    // All sources and not only this one, so that the first failure of any of them ends the run at once.
    await Promise.all(this.underWay);
  }
}

useFastGroupByKey();
operators.registerOperator(internal.impulse.urn, ImpulseOperator);

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
  quietSdkLogs();
  const runner = directRunner.directRunner({});
  const result = await withClock(clock ?? null, () => runner.runPipeline(graph.proto()));
  return await result.counters();
}
