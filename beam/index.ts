// What the other rooms may use of Beam.
export { named, flatten, type KV, type PCollection, type PTransform, type Root } from "./collection";
export { create } from "./create";
export { watchCounts, type Count } from "./counts";
export { newGraph, runDirect, type Counters, type Graph } from "./direct-runner";
export { perElement, type Bounds, type Collections, type DoFn, type Emit, type Emitters, type Place } from "./do-fn";
export { canonicalJson, groupByKey, keyedInto } from "./group-by-key";
export { jobFailure, submit, type CodePlace, type PortableJob, type Submission } from "./portable";
export { quietSdkLogs } from "./quiet";
export { read, type Reader } from "./read";
export { readKafka, type KafkaRead } from "./read-kafka";
export { spread } from "./spread";
export {
  ALL_WINDOWS,
  defaultContext,
  runContextOf,
  setRunContext,
  type CoveredWindows,
  type DeadLetterLimit,
  type RunContext,
  type Unbounded,
} from "./run-context";
export { register, registeredName } from "./travel";
export { assign, alignDown, fixed, isWindowed, sessions, sliding, windowingStrategy, type Windowing } from "./windows";
export { writeBatches, writeDefaults, type BatchWriter, type FailedWrite, type WriteOptions } from "./write";
export { NEEDED_OPTION, neededCode, workFor } from "./wanted-worker";
export { windowInto } from "./window-into";
export { openWorkerPool, type WantedWorker } from "./worker-pool";
