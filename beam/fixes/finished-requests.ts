// A runner may ask for the progress or the split of a bundle that has just finished. The SDK answers with an error (and
// for progress fails over its own typing mistake while it makes one), on which some runners fail the job. The fix
// answers with nothing: no progress, no split.
import "../node-compat";
import "apache-beam";
import { ProcessBundleProgressResponse, ProcessBundleSplitResponse } from "apache-beam/proto/beam_fn_api";
import { Worker } from "apache-beam/worker/worker";
import { once } from "./once";

interface Request {
  instructionId: string;
  request: {
    processBundleProgress?: { instructionId: string };
    processBundleSplit?: { instructionId: string };
  };
}

export function answerForFinishedBundles(): void {
  const worker = Worker.prototype;
  once(worker, "finished-requests", () => {
    const { progress, split } = worker;

    worker.progress = async function (this: Worker, asked: Request) {
      const bundle = asked.request.processBundleProgress?.instructionId ?? "";
      if (this.activeBundleProcessors.has(bundle)) return progress.call(this, asked);
      const processBundleProgress = ProcessBundleProgressResponse.create();
      const response = { oneofKind: "processBundleProgress", processBundleProgress } as const;
      return { instructionId: asked.instructionId, error: "", response };
    };

    worker.split = async function (this: Worker, asked: Request) {
      const bundle = asked.request.processBundleSplit?.instructionId ?? "";
      if (this.activeBundleProcessors.has(bundle)) return split.call(this, asked);
      const processBundleSplit = ProcessBundleSplitResponse.create();
      const response = { oneofKind: "processBundleSplit", processBundleSplit } as const;
      return { instructionId: asked.instructionId, error: "", response };
    };
  });
}
