// A pool of workers as Beam's runners know it: a service that is asked to start a worker, and to stop it.
import { Server, ServerCredentials, type sendUnaryData, type ServerUnaryCall } from "@grpc/grpc-js";
import { messageOf } from "../schema/errors";
import { poolApi, type sdk } from "./sdk";

export interface WorkerPool {
  /** host:port. */
  readonly address: string;
  close(): void;
}

/** What a runner says of a worker that it wants. */
export interface WantedWorker {
  readonly id: string;
  readonly controlEndpoint: string;
}

/** `start` comes back when the worker runs; it ends by itself when its runner hangs up. */
export async function openWorkerPool(
  address: string,
  start: (wanted: WantedWorker) => Promise<void>,
): Promise<WorkerPool> {
  const server = new Server();
  server.addService(poolApi.beamFnExternalWorkerPoolDefinition, {
    startWorker({ request }: ServerUnaryCall<sdk.StartWorkerRequest, unknown>, answer: Answer) {
      start({ id: request.workerId, controlEndpoint: request.controlEndpoint?.url ?? "" }).then(
        () => answer(null, { error: "" }),
        (error: unknown) => answer(null, { error: messageOf(error) }),
      );
    },
    stopWorker(_call: unknown, answer: Answer) {
      answer(null, { error: "" });
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { address: address.replace(/:\d+$/, `:${port}`), close: () => server.forceShutdown() };
}

type Answer = sendUnaryData<{ error: string }>;
