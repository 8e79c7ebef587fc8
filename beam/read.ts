// Asynchronous reading as a Beam transform: each element (a range, a request) is read as a stream of chunks, a bounded
// number of elements at a time, and never faster than what comes after can take.
import { countsOf, type Count } from "./counts";
import { parDo, type PCollection, type PTransform } from "./collection";
import { operatorByUrn } from "./operator-registry";
import { droppable, type Abandonable } from "./failed-bundles";
import { type sdk } from "./sdk";
import { packBytes, unpackBytes } from "./travel";
import { wholeAtLeast } from "./options";

export const READ_URN = "beamline:read:v1";

/** An instance of a registered class with its options as plain public fields. */
export interface Reader<In, Out> {
  /** How many elements are read at the same time; 1 keeps them in order. */
  readonly concurrency: number;
  /** The counter that grows by what is read. */
  readonly counter: string;
  read(element: In): AsyncIterable<readonly Out[]>;
}

export function read<In, Out>(name: string, reader: Reader<In, Out>): PTransform<PCollection<In>, PCollection<Out>> {
  wholeAtLeast(1, `${name}: concurrency`, reader.concurrency);
  return parDo(name, READ_URN, packBytes(reader), (collection) => collection() as PCollection<Out>);
}

/** How long a failed run waits, in milliseconds, for reads that do not end; then it leaves them to themselves. */
const PATIENCE = 5_000;

class ReadOperator implements Abandonable {
  private running = 0;
  private readonly waiting: (() => void)[] = [];
  private failure: { readonly error: unknown } | null = null;
  private ended: (() => void) | null = null;
  private readonly count: Count;

  constructor(
    readonly transformId: string,
    private readonly reader: Reader<unknown, unknown>,
    private readonly receiver: sdk.Receiver | undefined,
    context: sdk.OperatorContext,
  ) {
    this.count = countsOf(transformId, context);
  }

  async startBundle(): Promise<void> {
    this.failure = null;
  }

  /** The promise is done when the element is read to its end; whoever feeds us waits for it. */
  process(element: sdk.WindowedValue): Promise<void> {
    return droppable(this.readInTurn(element));
  }

  private async readInTurn(element: sdk.WindowedValue): Promise<void> {
    // A fan-out above us sends many elements at once without waiting: they queue here.
    if (this.running < this.reader.concurrency) this.running += 1;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      if (this.failure === null) await this.readAll(element);
    } catch (error) {
      this.failure ??= { error };
      throw error;
    } finally {
      // The place goes straight to the next in the queue, so that nobody can slip in between.
      const next = this.waiting.shift();
      if (next !== undefined) next();
      else this.running -= 1;
      if (this.running === 0) this.ended?.();
    }
  }

  private async readAll({ value: range, windows, pane, timestamp }: sdk.WindowedValue): Promise<void> {
    const { receiver } = this;
    for await (const chunk of this.reader.read(range)) {
      if (this.failure !== null) return;
      this.count(this.reader.counter, chunk.length);
      if (receiver === undefined) continue;
      for (const value of chunk) {
        const done = receiver.receive({ value, windows, pane, timestamp });
        if (done !== null) await done;
      }
    }
  }

  async abandonBundle(error: unknown): Promise<void> {
    this.failure ??= { error };
    if (this.running === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, PATIENCE);
      this.ended = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  async finishBundle(): Promise<void> {}
}

operatorByUrn(READ_URN, (id, payload, receivers, context) => {
  const [receiver] = receivers.values();
  return new ReadOperator(id, unpackBytes(payload) as Reader<unknown, unknown>, receiver, context);
});
