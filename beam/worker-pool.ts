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
  /** Where it is told what the job was submitted with. */
  readonly provisionEndpoint: string;
}

/** `start` comes back when the worker runs; it ends by itself when its runner hangs up, or is ended by `stop`. */
export async function openWorkerPool(
  address: string,
  start: (wanted: WantedWorker) => Promise<void>,
  stop: (id: string) => void = () => {},
): Promise<WorkerPool> {
  const server = new Server();
  server.addService(poolApi.beamFnExternalWorkerPoolDefinition, {
    startWorker({ request }: ServerUnaryCall<sdk.StartWorkerRequest, unknown>, answer: Answer) {
      const { workerId: id, controlEndpoint, provisionEndpoint } = request;
      start({ id, controlEndpoint: controlEndpoint?.url ?? "", provisionEndpoint: provisionEndpoint?.url ?? "" }).then(
        () => answer(null, { error: "" }),
        (error: unknown) => answer(null, { error: messageOf(error) }),
      );
    },
    stopWorker({ request }: ServerUnaryCall<{ workerId: string }, unknown>, answer: Answer) {
      stop(request.workerId);
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
