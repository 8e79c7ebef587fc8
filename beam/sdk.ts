// The only file that imports apache-beam at run time (its fixes and their tests apart): the order matters, because
// any "apache-beam/…" path loaded before "apache-beam" itself fails with "Class extends value undefined".
import "./node-compat";
import * as beam from "apache-beam";
import * as runnerApi from "apache-beam/proto/beam_runner_api";
import * as jobApi from "apache-beam/proto/beam_job_api";
import { type MonitoringInfo as SdkMonitoringInfo } from "apache-beam/proto/metrics";
import * as provisionApi from "apache-beam/proto/beam_provision_api.grpc-client";
import { type GetProvisionInfoResponse as SdkProvisionInfo } from "apache-beam/proto/beam_provision_api";
import { Struct } from "apache-beam/proto/google/protobuf/struct";
import * as fnApi from "apache-beam/proto/beam_fn_api";
import * as fnClients from "apache-beam/proto/beam_fn_api.grpc-client";
import * as poolApi from "apache-beam/proto/beam_fn_api.grpc-server";
import {
  type InstructionRequest as SdkInstructionRequest,
  type ProcessBundleDescriptor as SdkProcessBundleDescriptor,
  type StartWorkerRequest as SdkStartWorkerRequest,
} from "apache-beam/proto/beam_fn_api";
import * as operators from "apache-beam/worker/operators";
import * as workers from "apache-beam/worker/worker";
import * as pvalue from "apache-beam/pvalue";
import * as values from "apache-beam/values";
import * as windowPayloads from "apache-beam/proto/standard_window_fns";
import * as windowing from "apache-beam/transforms/window";
import * as internal from "apache-beam/transforms/internal";
import * as serialization from "apache-beam/serialization";
import * as portable from "apache-beam/runners/portable_runner/runner";
import * as directRunner from "apache-beam/runners/direct_runner";
import * as jsCoders from "apache-beam/coders/js_coders";
import * as standardCoders from "apache-beam/coders/standard_coders";
import * as requiredCoders from "apache-beam/coders/required_coders";
import * as coders from "apache-beam/coders/coders";
import * as pipelines from "apache-beam/internal/pipeline";
import { applyFixes } from "./fixes";

applyFixes();

export {
  beam,
  coders,
  directRunner,
  fnApi,
  fnClients,
  internal,
  jobApi,
  jsCoders,
  operators,
  pipelines,
  poolApi,
  portable,
  provisionApi,
  pvalue,
  requiredCoders,
  runnerApi,
  serialization,
  standardCoders,
  Struct,
  values,
  windowing,
  windowPayloads,
  workers,
};

/** The SDK's own types, for the files of this room. */
// eslint-disable-next-line @typescript-eslint/no-namespace -- a namespace of types alone keeps them apart from ours
export namespace sdk {
  export type AnyCollection = pvalue.PCollection<unknown>;
  export type Pipeline = pipelines.Pipeline;
  export type PipelineProto = runnerApi.Pipeline;
  export type Coder = coders.Coder<unknown>;
  export type TransformProto = runnerApi.PTransform;
  export type WindowingStrategy = runnerApi.WindowingStrategy;
  export type WindowedValue = values.WindowedValue<unknown>;
  export type Window = values.Window;
  export type Receiver = operators.Receiver;
  export type OperatorContext = operators.OperatorContext;
  export type Operator = operators.IOperator;
  export type PortableRunner = portable.PortableRunner;
  export type MonitoringInfo = SdkMonitoringInfo;
  export type InstructionRequest = SdkInstructionRequest;
  export type ProcessBundleDescriptor = SdkProcessBundleDescriptor;
  export type GetProvisionInfoResponse = SdkProvisionInfo;
  export type StartWorkerRequest = SdkStartWorkerRequest;
  /** null when an operator is done at once, else the promise of its being done. */
  export type Done = null | Promise<void>;
}
