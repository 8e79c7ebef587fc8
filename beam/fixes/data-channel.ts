// The SDK handles each message of its data channel in an async call of its own: as soon as the work on one message
// waits, the next one overtakes it, the end of the bundle too, and the rest of the elements is lost while the job
// succeeds. The fix hands on the messages for one transform of one bundle one after the other, gives errors to that
// consumer, and reads no further while much is waiting, so that a slow bundle does not fill the memory.
import "../node-compat";
import "apache-beam";
import { type Elements } from "apache-beam/proto/beam_fn_api";
import { type IDataChannel, MultiplexingDataChannel } from "apache-beam/worker/data";
import { DataSourceOperator } from "apache-beam/worker/operators";
import { Worker } from "apache-beam/worker/worker";
import { once } from "./once";

const READ_NO_FURTHER_AT = 32 * 1024 * 1024;
const READ_ON_BELOW = 8 * 1024 * 1024;

/** What came for one transform of one bundle and has not been dealt with. */
class Inbox implements IDataChannel {
  ended = false;
  private open!: (consumer: IDataChannel) => void;
  private last = new Promise<IDataChannel>((resolve) => (this.open = resolve));
  private isOpen = false;
  private failed = false;
  private waiting = 0;

  /** Bytes count for the channel only when they have a consumer: a bundle that never starts must not stop the others. */
  constructor(private readonly countWaiting: (bytes: number) => void) {}

  openTo(consumer: IDataChannel): void {
    this.isOpen = true;
    this.countWaiting(this.waiting);
    this.open(consumer);
  }

  async sendData(data: Uint8Array): Promise<void> {
    this.next(data.length, (consumer) => consumer.sendData(data));
  }

  async sendTimers(family: string, timers: Uint8Array): Promise<void> {
    this.next(timers.length, (consumer) => consumer.sendTimers(family, timers));
  }

  close(): void {
    this.ended = true;
    this.next(0, (consumer) => consumer.close());
  }

  onError(error: unknown): void {
    this.next(0, () => {
      throw error;
    });
  }

  private next(bytes: number, step: (consumer: IDataChannel) => void | Promise<void>): void {
    this.waiting += bytes;
    if (this.isOpen) this.countWaiting(bytes);
    this.last = this.last.then(async (consumer) => {
      try {
        if (!this.failed) await step(consumer);
      } catch (error) {
        this.failed = true;
        consumer.onError(error);
      }
      this.waiting -= bytes;
      this.countWaiting(-bytes);
      return consumer;
    });
  }
}

class OrderedDataChannel extends MultiplexingDataChannel {
  private readonly abandoned = new Set<string>();
  private waiting = 0;
  private reads = true;

  constructor(endpoint: string, workerId: string) {
    super(endpoint, workerId);
    this.dataChannel.removeAllListeners("data");
    this.dataChannel.on("data", (elements: Elements) => this.receive(elements));
  }

  override async registerConsumer(bundleId: string, transformId: string, consumer: IDataChannel): Promise<void> {
    this.getConsumer(bundleId, transformId).openTo(consumer);
  }

  override unregisterConsumer(bundleId: string, transformId: string): void {
    // A bundle that failed still gets the data that is under way, which nobody will read.
    if (!this.getConsumer(bundleId, transformId).ended) this.abandoned.add(bundleId + transformId);
    super.unregisterConsumer(bundleId, transformId);
  }

  override getConsumer(bundleId: string, transformId: string): Inbox {
    let ofBundle = this.consumers.get(bundleId) as Map<string, Inbox> | undefined;
    if (ofBundle === undefined) this.consumers.set(bundleId, (ofBundle = new Map<string, Inbox>()));
    let inbox = ofBundle.get(transformId);
    if (inbox === undefined) ofBundle.set(transformId, (inbox = new Inbox((bytes) => this.countWaiting(bytes))));
    return inbox;
  }

  private receive({ data, timers }: Elements): void {
    for (const part of data) {
      const inbox = this.inboxFor(part);
      void inbox?.sendData(part.data);
      if (part.isLast) inbox?.close();
    }
    for (const part of timers) {
      const inbox = this.inboxFor(part);
      void inbox?.sendTimers(part.timerFamilyId, part.timers);
      if (part.isLast) inbox?.close();
    }
  }

  private inboxFor(part: { instructionId: string; transformId: string; isLast: boolean }): Inbox | undefined {
    const { instructionId, transformId } = part;
    if (!this.abandoned.has(instructionId + transformId)) return this.getConsumer(instructionId, transformId);
    if (part.isLast) this.abandoned.delete(instructionId + transformId);
    return undefined;
  }

  private countWaiting(bytes: number): void {
    this.waiting += bytes;
    if (this.reads && this.waiting >= READ_NO_FURTHER_AT) {
      this.reads = false;
      this.dataChannel.pause();
    } else if (!this.reads && this.waiting < READ_ON_BELOW) {
      this.reads = true;
      this.dataChannel.resume();
    }
  }
}

export function orderDataChannel(): void {
  const worker = Worker.prototype;
  once(worker, "data-channel", () => {
    worker.getDataChannel = function (this: { id: string } & Pick<Worker, "dataChannels">, endpoint) {
      let channel = this.dataChannels.get(endpoint);
      if (channel === undefined) this.dataChannels.set(endpoint, (channel = new OrderedDataChannel(endpoint, this.id)));
      return channel;
    };

    const source = DataSourceOperator.prototype;
    const start = source.startBundle;
    source.startBundle = async function () {
      await start.call(this);
      // The bundle looks at it only once its other sources are through; a failure until then must not end the process.
      this.endOfData.catch(() => undefined);
    };
  });
}
