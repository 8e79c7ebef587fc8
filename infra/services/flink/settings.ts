// The local cluster's settings: a JobManager and TaskManagers on this machine only, small.
import path from "node:path";
import { pathToFileURL } from "node:url";
import { HOST } from "../server-kind";

export interface FlinkPlace {
  /** For what a job needs while it runs. */
  readonly scratch: string;
  /** For checkpoints and savepoints, which outlive the cluster's processes. */
  readonly kept: string;
  /** Where jobs are submitted, and asked for. */
  readonly port: number;
  /** Where TaskManagers find the JobManager. */
  readonly rpcPort: number;
}

/** Settings by the names that Flink has for them. */
export type Settings = Readonly<Record<string, string | number | boolean>>;

export const TASK_MANAGERS = 2;
const SLOTS = 2;

/** The text of config.yaml, in which `more` stands before what is usual. JSON is YAML too. */
export function flinkSettings({ scratch, kept, port, rpcPort }: FlinkPlace, more: Settings = {}): string {
  const settings = {
    "rest.address": HOST,
    "rest.bind-address": HOST,
    "rest.port": port,
    "rest.bind-port": String(port),
    "jobmanager.rpc.address": HOST,
    "jobmanager.bind-host": HOST,
    "jobmanager.rpc.port": rpcPort,
    "taskmanager.host": HOST,
    "taskmanager.bind-host": HOST,
    "taskmanager.numberOfTaskSlots": SLOTS,
    "io.tmp.dirs": scratch,
    "state.checkpoints.dir": pathToFileURL(path.join(kept, "checkpoints")).href,
    // The last one that somebody has heard of is still there when the next one is.
    "state.checkpoints.num-retained": 3,
    "state.savepoints.dir": pathToFileURL(path.join(kept, "savepoints")).href,
    // A worker that died takes its job with it unless it is tried again; what fails every time must end at some time.
    "restart-strategy.type": "failure-rate",
    "restart-strategy.failure-rate.max-failures-per-interval": 5,
    "restart-strategy.failure-rate.failure-rate-interval": "5 min",
    "restart-strategy.failure-rate.delay": "1 s",
    // A task that waits for a worker that is frozen cannot be ended: its TaskManager ends itself then.
    "task.cancellation.timeout": 30_000,
    "heartbeat.timeout": 10_000,
    "heartbeat.interval": 2_000,
    // What Flink's own scripts would work out of the machine's size.
    "taskmanager.cpu.cores": SLOTS,
    "taskmanager.memory.framework.heap.size": "128 mb",
    "taskmanager.memory.framework.off-heap.size": "128 mb",
    "taskmanager.memory.task.heap.size": "256 mb",
    "taskmanager.memory.task.off-heap.size": "64 mb",
    "taskmanager.memory.network.min": "64 mb",
    "taskmanager.memory.network.max": "64 mb",
    "taskmanager.memory.managed.size": "128 mb",
    "taskmanager.memory.jvm-metaspace.size": "256 mb",
    "taskmanager.memory.jvm-overhead.min": "192 mb",
    "taskmanager.memory.jvm-overhead.max": "192 mb",
    ...more,
  };
  return `${JSON.stringify(settings, null, 2)}\n`;
}
