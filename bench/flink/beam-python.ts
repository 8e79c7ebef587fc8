// Beam's Python SDK: the same graph, submitted to the same cluster; its workers are started by the TaskManagers too.
import path from "node:path";
import { findPythonEnvironment } from "../../infra/services/python";
import { startJobServer } from "../../runners/flink/job-server";
import { createCandleTables } from "../streaming/candle-table";
import { type Contender } from "./contenders";

const PEERS = path.join(__dirname, "peers");

/** Its job server is started once, before anything is measured. */
export async function beamPython(flink: string, say: (text: string) => void): Promise<Contender> {
  const packages = {
    name: "bench-flink",
    title: "Beam's Python SDK",
    otherwise: "or leave it out: --contenders beamline",
    requirements: path.join(PEERS, "requirements.txt"),
    megabytes: 140,
  };
  const { python, make } = await findPythonEnvironment(packages, process.env);
  await make(say);
  const server = await startJobServer({ cluster: { address: flink, hasBeam: true }, tell: say });
  const worker = { command: path.join(PEERS, "beam_worker.sh"), env: { BENCH_PYTHON: python } };
  return {
    name: "beam-python",
    prepare: ({ database }) => createCandleTables(database),
    command: ({ kafka, topic, database, parallelism, unique }) => ({
      program: python,
      args: [
        path.join(PEERS, "submit_beam.py"),
        ...["--kafka", kafka, "--topic", topic, "--postgres", database, "--unique", unique ? "yes" : "no"],
        ...["--runner=PortableRunner", `--job_endpoint=${server.endpoint}`, `--parallelism=${parallelism}`],
        ...["--environment_type=PROCESS", `--environment_config=${JSON.stringify(worker)}`],
        "--pickle_library=cloudpickle",
      ],
      directory: PEERS,
    }),
    close: server.stop,
  };
}
