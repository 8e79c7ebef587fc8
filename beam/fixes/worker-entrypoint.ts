// The SDK's worker process stays for eleven days after its runner has hung up, dies of an unhandled error when the
// connection breaks, and looks for a project's modules beside the SDK, where they need not be. The fix is an entrypoint
// of our own: it loads the modules as the project itself would, and ends when the runner is gone.
import "../node-compat";
import "apache-beam";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { status, type StatusObject } from "@grpc/grpc-js";
import { Worker } from "apache-beam/worker/worker";

export interface WorkerStart {
  /** The name by which the runner knows this worker. */
  readonly id: string;
  readonly controlEndpoint: string;
  /** The modules that a pipeline's functions are registered in, by the names that they are imported by. */
  readonly modules: readonly string[];
  /** The folder whose package.json and node_modules give those names their meaning; else the current one. */
  readonly projectDir?: string;
  readonly options?: object;
}

async function load(require: NodeJS.Require, name: string): Promise<unknown> {
  try {
    return require(name);
  } catch (error) {
    if ((error as { code?: string }).code !== "ERR_REQUIRE_ESM") throw error;
    return import(pathToFileURL(require.resolve(name)).href);
  }
}

async function loadModules(names: readonly string[], projectDir: string): Promise<void> {
  const project = createRequire(path.resolve(projectDir, "package.json"));
  // A project may have another copy of the SDK; what is registered there this worker would not see.
  const sdk = createRequire(__filename);
  for (const name of names) {
    try {
      await load(/^apache-beam(\/|$)/.test(name) ? sdk : project, name);
    } catch (cause) {
      const hint = "is it in the project's package exports and built?";
      throw new Error(`The worker cannot load ${name} from ${projectDir}, which the pipeline needs: ${hint}`, {
        cause,
      });
    }
  }
}

/** Resolves when the runner hangs up or is gone; rejects when it was never there. */
function hungUp(worker: Worker, endpoint: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let wasThere = false;
    worker.controlClient.waitForReady(Infinity, (error) => (wasThere = error === undefined));
    worker.controlChannel
      // The status says the same; without a listener the error would end the process.
      .on("error", () => undefined)
      .on("status", ({ code, details }: StatusObject) => {
        if (wasThere || code === status.OK) resolve();
        else reject(new Error(`The worker cannot reach its runner at ${endpoint}: ${details}`));
      });
  });
}

function close(worker: Worker): void {
  worker.controlClient.close();
  for (const { dataClient, dataChannel } of worker.dataChannels.values()) {
    // The SDK would write an error that nobody has to know: there is no one left to send to.
    dataChannel.removeAllListeners("error").on("error", () => undefined);
    dataClient.close();
  }
  for (const { stateClient } of worker.stateChannels.values()) stateClient.close();
}

/** Runs a worker until its runner hangs up. */
export async function startWorker(start: WorkerStart): Promise<void> {
  await loadModules(start.modules, start.projectDir ?? process.cwd());
  const worker = new Worker(start.id, { controlUrl: start.controlEndpoint }, start.options);
  try {
    await hungUp(worker, start.controlEndpoint);
  } finally {
    close(worker);
  }
}
