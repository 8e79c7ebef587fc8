// Where a cluster's workers start: one, by the words that a TaskManager starts it with, or a pool that starts them when it is
// asked to.
import { parseArgs } from "node:util";
import type * as Beam from "../../beam";
import { messageOf, UsageError } from "../../schema/errors";
import { startWatched } from "./watched";

const help = `Workers that run a pipeline's code for a cluster, with the project in this directory.

  npm run worker -- --port 50000 [--host 127.0.0.1]   a pool: beside each TaskManager, for --workers=127.0.0.1:50000

With --workers=process each TaskManager starts its workers itself.`;

async function main(words: string[]): Promise<number> {
  const { values } = parseArgs({
    args: words,
    strict: false,
    options: { host: { type: "string" }, port: { type: "string" }, help: { type: "boolean" } },
  });
  const { id, provision_endpoint: provisionEndpoint, port, host = "127.0.0.1" } = values;
  if (typeof id === "string" && typeof provisionEndpoint === "string") return one(id, provisionEndpoint);
  if (values["help"] === true || port === undefined) {
    process.stdout.write(`${help}\n`);
    return port === undefined && values["help"] !== true ? 2 : 0;
  }
  if (!/^\d{1,5}$/.test(String(port)) || Number(port) > 65_535)
    throw new UsageError(`--port is “${String(port)}”: give a number up to 65535`);
  return pool(String(host), Number(port));
}

/** Ends as the worker does. */
async function one(id: string, provisionEndpoint: string): Promise<number> {
  const worker = startWatched({ id, provisionEndpoint });
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => worker.kill());
  return (await worker.ended) ?? 1;
}

async function pool(host: string, port: number): Promise<number> {
  // Whoever watches over one worker does not need it: it would take longer to load than all else that it does.
  // eslint-disable-next-line @typescript-eslint/no-require-imports -- by it all ways of running TypeScript find the same module
  const { openWorkerPool } = require("../../beam") as typeof Beam;
  const workers = new Map<string, () => void>();
  const opened = await openWorkerPool(
    `${host}:${port}`,
    async ({ id, provisionEndpoint }) => {
      const worker = startWatched({ id, provisionEndpoint });
      workers.set(id, worker.kill);
      void worker.ended.then(() => workers.delete(id));
    },
    (id) => workers.get(id)?.(),
  );
  process.stdout.write(`Workers are started at ${opened.address}, with the project in ${process.cwd()}\n`);
  await new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  });
  for (const kill of workers.values()) kill();
  opened.close();
  return 0;
}

main(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${messageOf(error)}\n`);
    process.exit(error instanceof UsageError ? 2 : 1);
  },
);
