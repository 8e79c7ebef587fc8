// The only file that imports apache-beam at run time (its fixes and their tests apart): the order matters, because
// any "apache-beam/…" path loaded before "apache-beam" itself fails with "Class extends value undefined".
import "./node-compat";
import * as beam from "apache-beam";
import * as runnerApi from "apache-beam/proto/beam_runner_api";
import * as operators from "apache-beam/worker/operators";
import * as pvalue from "apache-beam/pvalue";
import * as values from "apache-beam/values";
import * as windowings from "apache-beam/transforms/windowings";
import * as windowing from "apache-beam/transforms/window";
import * as serialization from "apache-beam/serialization";
import * as directRunner from "apache-beam/runners/direct_runner";
import * as jsCoders from "apache-beam/coders/js_coders";
import * as standardCoders from "apache-beam/coders/standard_coders";
import * as requiredCoders from "apache-beam/coders/required_coders";
import { applyFixes } from "./fixes";

applyFixes();

export {
  beam,
  directRunner,
  jsCoders,
  operators,
  pvalue,
  requiredCoders,
  runnerApi,
  serialization,
  standardCoders,
  values,
  windowing,
  windowings,
};
