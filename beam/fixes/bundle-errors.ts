// The SDK's worker answers a runner, when a bundle has failed, with the bare message: no kind of error, no place where it
// arose. The fix answers with a text out of which whoever submitted the job makes the error again.
import "../node-compat";
import "apache-beam";
import { Worker } from "apache-beam/worker/worker";
import { errorText } from "../bundle-errors";
import { once } from "./once";

interface Processor {
  process(instructionId: string): Promise<void>;
}

export function tellWholeErrors(): void {
  // Only a worker answers with texts: within this process errors stay what they are.
  const worker = Worker.prototype as unknown as { aquireBundleProcessor(descriptorId: string): Processor };
  once(worker, "bundle-errors", () => {
    const { aquireBundleProcessor } = worker;
    const telling = new WeakSet<Processor>();
    worker.aquireBundleProcessor = function (descriptorId) {
      const processor = aquireBundleProcessor.call(this, descriptorId);
      // It is used again for other bundles.
      if (telling.has(processor)) return processor;
      telling.add(processor);
      const { process } = processor;
      processor.process = async function (instructionId) {
        try {
          await process.call(this, instructionId);
        } catch (error) {
          throw new Error(errorText(error), { cause: error });
        }
      };
      return processor;
    };
  });
}
