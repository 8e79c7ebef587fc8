// The SDK's data sink empties its buffer only after it has waited for the sending of it: one element that becomes more
// than a megabyte sends the growing buffer again with every further element, which duplicates data and looks like a
// hang. The fix takes a new buffer before it sends the old one, and lets whoever waits feel that the runner reads slowly.
import "../node-compat";
import "apache-beam";
import { type Coder, Context } from "apache-beam/coders/coders";
import { RemoteGrpcPort } from "apache-beam/proto/beam_fn_api";
import { type PTransform } from "apache-beam/proto/beam_runner_api";
import { type WindowedValue } from "apache-beam/values";
import { type IDataChannel, MultiplexingDataChannel } from "apache-beam/worker/data";
import {
  type IOperator,
  NonPromise,
  type OperatorContext,
  type ProcessResult,
  registerOperator,
} from "apache-beam/worker/operators";
import { Writer } from "protobufjs";
import { once } from "./once";

type Stream = MultiplexingDataChannel["dataChannel"];

/** What the SDK's writer knows of its length and does not declare. */
type MeasuredWriter = Writer & { len: number };

const SEND_AT = 1_000_000;
const newBuffer = () => new Writer() as MeasuredWriter;

class DataSink implements IOperator {
  private readonly dataChannel: MultiplexingDataChannel;
  private readonly getBundleId: () => string;
  private readonly coder: Coder<WindowedValue<unknown>>;
  private channel: IDataChannel | undefined;
  private buffer = newBuffer();

  constructor(
    readonly transformId: string,
    transform: PTransform,
    context: OperatorContext,
  ) {
    const port = RemoteGrpcPort.fromBinary(transform.spec!.payload);
    this.dataChannel = context.getDataChannel(port.apiServiceDescriptor!.url);
    this.getBundleId = context.getBundleId;
    this.coder = context.pipelineContext.getCoder(port.coderId);
  }

  async startBundle(): Promise<void> {
    this.channel = this.dataChannel.getSendChannel(this.getBundleId(), this.transformId);
    this.buffer = newBuffer();
  }

  process(element: WindowedValue<unknown>): ProcessResult {
    this.coder.encode(element, this.buffer, Context.needsDelimiters);
    return this.buffer.len > SEND_AT ? this.send() : NonPromise;
  }

  async finishBundle(): Promise<void> {
    if (this.buffer.len > 0) await this.send();
    this.channel!.close();
  }

  private send(): Promise<void> {
    const full = this.buffer;
    this.buffer = newBuffer();
    return this.channel!.sendData(full.finish());
  }
}

const draining = new WeakMap<Stream, Promise<void>>();

/** Waits until a stream takes more, or never will: then the bundle fails by other means. */
function drained(stream: Stream): Promise<void> {
  if (!stream.writable) return Promise.resolve();
  let wait = draining.get(stream);
  if (wait === undefined) {
    wait = new Promise((resolve) => {
      const done = () => {
        stream.off("drain", done).off("status", done);
        draining.delete(stream);
        resolve();
      };
      stream.once("drain", done).once("status", done);
    });
    draining.set(stream, wait);
  }
  return wait;
}

function sendChannel(stream: Stream, instructionId: string, transformId: string): IDataChannel {
  const write = (data: Uint8Array, isLast: boolean) =>
    stream.write({ data: [{ instructionId, transformId, data, isLast }], timers: [] });
  return {
    sendData: (data) => (write(data, false) ? Promise.resolve() : drained(stream)),
    sendTimers: () => Promise.reject(new Error("A worker cannot send timers")),
    close: () => void write(new Uint8Array(), true),
    onError: (error) => {
      throw error;
    },
  };
}

export function sendEachBufferOnce(): void {
  const channel = MultiplexingDataChannel.prototype;
  once(channel, "data-sink", () => {
    registerOperator("beam:runner:sink:v1", DataSink);
    channel.getSendChannel = function (bundleId, transformId) {
      return sendChannel(this.dataChannel, bundleId, transformId);
    };
  });
}
