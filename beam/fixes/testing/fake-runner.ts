// The runner's side of Beam's worker protocol on this machine: it sends a worker instructions and data, and keeps what
// comes back. For the tests of what happens between a worker and its runner.
import "../../node-compat";
import "apache-beam";
import * as grpc from "@grpc/grpc-js";
import {
  type Elements,
  type InstructionRequest,
  type InstructionResponse,
  ProcessBundleDescriptor,
  RemoteGrpcPort,
} from "apache-beam/proto/beam_fn_api";
import { beamFnControlDefinition, beamFnDataDefinition } from "apache-beam/proto/beam_fn_api.grpc-server";
import { type Coder, Environment, PCollection, PTransform } from "apache-beam/proto/beam_runner_api";
import { Context } from "apache-beam/coders/coders";
import { GeneralObjectCoder } from "apache-beam/coders/js_coders";
import { FullWindowedValueCoder, GlobalWindowCoder } from "apache-beam/coders/required_coders";
import { GlobalWindow, Timing } from "apache-beam/values";
import { Worker } from "apache-beam/worker/worker";
import Long from "long";
import { Reader, Writer } from "protobufjs";

type ControlStream = grpc.ServerDuplexStream<InstructionResponse, InstructionRequest>;
type DataStream = grpc.ServerDuplexStream<Elements, Elements>;

export const SOURCE = "source";
export const SINK = "sink";

class Deferred<T> {
  resolve!: (value: T) => void;
  readonly promise = new Promise<T>((resolve) => (this.resolve = resolve));
}

const valueCoder = new FullWindowedValueCoder(new GeneralObjectCoder(), new GlobalWindowCoder());
const pane = { isFirst: true, isLast: true, timing: Timing.ON_TIME, index: 0, onTimeIndex: 0 };

/** Values as a runner sends them, in the global window. */
export function encodeValues(...values: unknown[]): Uint8Array {
  const writer = new Writer();
  for (const value of values) {
    const element = { value, windows: [new GlobalWindow()], pane, timestamp: Long.ZERO };
    valueCoder.encode(element, writer, Context.needsDelimiters);
  }
  return writer.finish();
}

function decodeValues(bytes: Uint8Array): unknown[] {
  const reader = new Reader(bytes);
  const values: unknown[] = [];
  while (reader.pos < reader.len) values.push(valueCoder.decode(reader, Context.needsDelimiters).value);
  return values;
}

export class FakeRunner {
  address = "";
  /** The messages that the worker's sinks sent, in order. */
  readonly received: { instructionId: string; data: Uint8Array; isLast: boolean }[] = [];
  readonly control = new Deferred<ControlStream>();
  readonly data = new Deferred<DataStream>();
  private readonly server = new grpc.Server({ "grpc.max_receive_message_length": -1 });
  private readonly answers = new Map<string, Deferred<InstructionResponse>>();
  private readonly workers: Worker[] = [];
  private descriptor = ProcessBundleDescriptor.create();

  static async start(): Promise<FakeRunner> {
    const runner = new FakeRunner();
    runner.server.addService(beamFnControlDefinition, {
      control: (stream: ControlStream) => {
        stream.on("data", (answer: InstructionResponse) => runner.answerTo(answer.instructionId).resolve(answer));
        runner.control.resolve(stream);
      },
      getProcessBundleDescriptor: (_: unknown, done: grpc.sendUnaryData<ProcessBundleDescriptor>) =>
        done(null, runner.descriptor),
    });
    runner.server.addService(beamFnDataDefinition, {
      data: (stream: DataStream) => {
        stream.on("data", (elements: Elements) => runner.received.push(...elements.data));
        runner.data.resolve(stream);
      },
    });
    const port = await new Promise<number>((resolve, reject) =>
      runner.server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    runner.address = `127.0.0.1:${port}`;
    return runner;
  }

  /** Describes bundles that read from SOURCE, go through the operators registered for the URNs and end in SINK. */
  describe(...urns: string[]): void {
    const port = RemoteGrpcPort.toBinary({ coderId: "windowed", apiServiceDescriptor: { url: this.address } });
    const steps = [
      { id: SOURCE, spec: { urn: "beam:runner:source:v1", payload: port } },
      ...urns.map((urn) => ({ id: urn, spec: { urn, payload: new Uint8Array() } })),
      { id: SINK, spec: { urn: "beam:runner:sink:v1", payload: port } },
    ];
    const { transforms, pcollections, coders } = (this.descriptor = ProcessBundleDescriptor.create({ id: "bundles" }));
    steps.forEach(({ id, spec }, i) => {
      transforms[id] = PTransform.create({
        uniqueName: id,
        spec,
        inputs: i > 0 ? { in: `pc${i - 1}` } : {},
        outputs: i < steps.length - 1 ? { out: `pc${i}` } : {},
      });
      pcollections[`pc${i}`] = PCollection.create({ uniqueName: `pc${i}`, coderId: "value" });
    });
    coders["value"] = coder(GeneralObjectCoder.URN);
    coders["window"] = coder(GlobalWindowCoder.URN);
    coders["windowed"] = coder(FullWindowedValueCoder.URN, "value", "window");
  }

  /** Makes the description of the bundles as long as a big pipeline's. */
  padDescriptor(bytes: number): void {
    this.descriptor.environments["padding"] = Environment.create({ payload: new Uint8Array(bytes) });
  }

  /** Sends the worker a request and gives its answer. */
  async ask(instructionId: string, request: InstructionRequest["request"]): Promise<InstructionResponse> {
    (await this.control.promise).write({ instructionId, request });
    return this.answerTo(instructionId).promise;
  }

  /** Has the worker process a bundle; its data is sent beside. */
  process(bundle: string): Promise<InstructionResponse> {
    const processBundle = { processBundleDescriptorId: "bundles", cacheTokens: [] };
    return this.ask(bundle, { oneofKind: "processBundle", processBundle });
  }

  /** Sends a bundle's SOURCE one message. */
  async send(bundle: string, data: Uint8Array, isLast = false): Promise<void> {
    const stream = await this.data.promise;
    stream.write({ data: [{ instructionId: bundle, transformId: SOURCE, data, isLast }], timers: [] });
  }

  /** Waits until a bundle's sink has said that nothing more comes. */
  async ended(bundle: string): Promise<void> {
    while (!this.received.some((part) => part.instructionId === bundle && part.isLast)) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** The values that a bundle's sink sent until now. */
  output(bundle: string): unknown[] {
    return this.received.filter((part) => part.instructionId === bundle).flatMap((part) => decodeValues(part.data));
  }

  /** A worker of the SDK in this process, until stop(). */
  connectWorker(): Worker {
    const worker = new Worker("worker", { controlUrl: this.address });
    // Without a listener the end of the test would be the end of the process.
    worker.controlChannel.on("error", () => undefined);
    this.workers.push(worker);
    return worker;
  }

  async hangUp(): Promise<void> {
    (await this.control.promise).end();
  }

  stop(): void {
    for (const worker of this.workers) {
      worker.controlClient.close();
      for (const { dataChannel, dataClient } of worker.dataChannels.values()) {
        // The SDK would write that the call was cancelled.
        dataChannel.removeAllListeners("error").on("error", () => undefined);
        dataClient.close();
      }
    }
    this.server.forceShutdown();
  }

  private answerTo(instructionId: string): Deferred<InstructionResponse> {
    let answer = this.answers.get(instructionId);
    if (answer === undefined) this.answers.set(instructionId, (answer = new Deferred()));
    return answer;
  }
}

function coder(urn: string, ...componentCoderIds: string[]): Coder {
  return { spec: { urn, payload: new Uint8Array() }, componentCoderIds };
}
