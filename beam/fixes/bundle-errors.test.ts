import "../node-compat";
import "apache-beam";
import { registerOperator } from "apache-beam/worker/operators";
import { RunError } from "../../schema/errors";
import { writtenError } from "../bundle-errors";
import { quietSdkLogs } from "../quiet";
import { tellWholeErrors } from "./bundle-errors";
import { encodeValues, FakeRunner } from "./testing/fake-runner";

class Failing {
  async startBundle(): Promise<void> {}
  process(): null {
    throw new RunError("the disk is full");
  }
  async finishBundle(): Promise<void> {}
}
registerOperator("test:failing", Failing as never);

let runner: FakeRunner;

beforeAll(() => {
  jest.spyOn(console, "error").mockImplementation(() => undefined);
  quietSdkLogs();
});

beforeEach(async () => {
  runner = await FakeRunner.start();
  runner.describe("test:failing");
  runner.connectWorker();
});

afterEach(() => runner.stop());

async function failure(bundle: string): Promise<string> {
  const answer = runner.process(bundle);
  await runner.send(bundle, encodeValues("a"), true);
  return (await answer).error;
}

test("without the fix the runner gets the bare message", async () => {
  const text = await failure("1");
  expect(text).toContain("the disk is full");
  expect(writtenError(text)).toBeNull();
});

test("with the fix it gets what the error is made of again, for every bundle", async () => {
  tellWholeErrors();
  tellWholeErrors();
  for (const bundle of ["1", "2"]) {
    const written = writtenError(await failure(bundle));
    expect(written).toBeInstanceOf(RunError);
    expect(written?.message).toBe("the disk is full");
  }
});
