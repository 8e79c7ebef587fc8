// What a worker does before it works: it asks what it is for, and when it has other code it makes the job fail by saying so.
import { setTimeout } from "node:timers/promises";
import { Server, ServerCredentials, type sendUnaryData, type ServerUnaryCall } from "@grpc/grpc-js";
import { ProvisionInfo } from "apache-beam/proto/beam_provision_api";
import { provisionServiceDefinition } from "apache-beam/proto/beam_provision_api.grpc-server";
import { FakeRunner, encodeValues } from "./fixes/testing/fake-runner";
import { writtenError } from "./bundle-errors";
import { quietSdkLogs } from "./quiet";
import { Struct } from "./sdk";
import { register } from "./travel";
import { neededCode, NEEDED_URN, workFor } from "./wanted-worker";

let runner: FakeRunner;
let provision: Server;
let asked: string[];
let told: Record<string, string>;
let provisionEndpoint: string;
/** As a frozen process: it takes what it is asked, and does not answer. */
let isFrozen: boolean;

register("beamline/test/a-module", { something: () => 1 });

/** A double of the provision service of a TaskManager. */
async function startProvision(): Promise<string> {
  provision = new Server();
  provision.addService(provisionServiceDefinition, {
    getProvisionInfo({ metadata }: ServerUnaryCall<unknown, unknown>, answer: sendUnaryData<unknown>) {
      asked.push(String(metadata.get("worker_id")[0]));
      if (isFrozen) return;
      const pipelineOptions = Struct.fromJson(told);
      answer(null, { info: ProvisionInfo.create({ pipelineOptions, controlEndpoint: { url: runner.address } }) });
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    provision.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  return `127.0.0.1:${port}`;
}

beforeAll(() => quietSdkLogs());
beforeEach(async () => {
  runner = await FakeRunner.start();
  asked = [];
  isFrozen = false;
  told = { [NEEDED_URN]: neededCode("1.2.3") };
  provisionEndpoint = await startProvision();
});
afterEach(() => {
  provision.forceShutdown();
  runner.stop();
});

const work = (load = async () => {}) => workFor({ id: "7", provisionEndpoint }, { version: "1.2.3", load });

test("with the code that the job needs it works until the runner hangs up", async () => {
  runner.describe();
  let isLoaded = false;
  const working = work(async () => void (isLoaded = true));
  const answer = runner.process("1");
  await runner.send("1", encodeValues("a"), true);
  expect((await answer).error).toBe("");
  await runner.hangUp();
  await working;
  expect({ asked, isLoaded }).toEqual({ asked: ["7"], isLoaded: true });
});

const others = JSON.stringify({ version: "1.2.3", modules: ["shop/steps", "shop/tables"] });
test.each([
  ["another version", neededCode("1.2.4"), /submitted by beamline 1\.2\.4, and the worker in .* has 1\.2\.3: install/],
  ["other modules", others, /needs shop\/steps, shop\/tables, and the worker in .* does not have them: put the same/],
  ["another tool's job", undefined, /was not submitted by beamline, or by an older one/],
])("%s: the job fails with the worker's own sentence", async (_which, needs, sentence) => {
  told = needs === undefined ? {} : { [NEEDED_URN]: needs };
  const working = work();
  working.catch(() => undefined);
  const { error } = await runner.process("1");
  const written = writtenError(error);
  expect(written?.name).toBe("UsageError");
  expect(written?.message).toMatch(sentence);
  await runner.hangUp();
  await expect(working).rejects.toThrow(sentence);
});

test("a runner that is frozen keeps its connections: the worker ends all the same, and not before", async () => {
  runner.describe();
  const working = workFor({ id: "7", provisionEndpoint }, { version: "1.2.3", load: async () => {}, silentMs: 600 });
  working.catch(() => undefined);
  while (asked.length < 8) await setTimeout(20);
  const answer = runner.process("1");
  await runner.send("1", encodeValues("a"), true);
  expect((await answer).error).toBe("");
  isFrozen = true;
  await expect(working).rejects.toThrow(/^The runner at .* has been silent for 0\.6 s, so the worker 7 ends$/);
});

test("so does one that is frozen before it has said anything", async () => {
  isFrozen = true;
  const working = workFor({ id: "7", provisionEndpoint }, { version: "1.2.3", load: async () => {}, silentMs: 300 });
  await expect(working).rejects.toThrow(/does not say what the worker 7 is for: .*DEADLINE_EXCEEDED/);
});

test("a project that cannot be loaded is told in the same way", async () => {
  const working = work(() => Promise.reject(new Error("steps.ts could not be loaded: no such module")));
  working.catch(() => undefined);
  expect(writtenError((await runner.process("1")).error)?.message).toBe("steps.ts could not be loaded: no such module");
  await runner.hangUp();
  await expect(working).rejects.toThrow("could not be loaded");
});

test("a runner that is not there is told of", async () => {
  const nowhere = workFor({ id: "7", provisionEndpoint: "127.0.0.1:4" }, { version: "1", load: async () => {} });
  await expect(nowhere).rejects.toThrow("The runner at 127.0.0.1:4 does not say what the worker 7 is for:");
});
