// Every repair of apache-beam 2.49.0 that beamline needs, one file a defect, applied once before anything else runs.
import { tellWholeErrors } from "./bundle-errors";
import { orderDataChannel } from "./data-channel";
import { sendEachBufferOnce } from "./data-sink";
import { codeDoublesInPlace } from "./double-coder";
import { forgetFinishedBundles } from "./finished-bundles";
import { answerForFinishedBundles } from "./finished-requests";
import { codeJavaScriptValues } from "./js-value-coder";
import { sendKafkaConfigAsMap } from "./kafka-config-payload";
import { liftMessageLimit } from "./message-size";
import { reportMetrics } from "./metrics";
import { firePanesOnTime } from "./pane-info";
import { passOptions } from "./pipeline-options";
import { waitForSlowServices } from "./service-start";
import { keepSubSecondWindows } from "./sub-second-windows";
import { codeWholeInt64 } from "./varint-coder";
import { nameEnvironmentWithoutNpm } from "./worker-environment";

const fixes = [
  orderDataChannel,
  sendEachBufferOnce,
  codeDoublesInPlace,
  forgetFinishedBundles,
  answerForFinishedBundles,
  codeJavaScriptValues,
  sendKafkaConfigAsMap,
  liftMessageLimit,
  reportMetrics,
  firePanesOnTime,
  passOptions,
  waitForSlowServices,
  keepSubSecondWindows,
  codeWholeInt64,
  nameEnvironmentWithoutNpm,
  tellWholeErrors,
];

export function applyFixes(): void {
  for (const fix of fixes) fix();
}
