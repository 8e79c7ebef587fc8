// The SDK leaves the operators of a failed bundle as they are: connections stay open, and reads and writes go on after
// the run has failed. Here the failure first tells every operator that wants to know, and waits for it.
import { type sdk, workers } from "./sdk";

export interface Abandonable {
  /** The bundle failed: begin nothing more, end what is under way, close what is open. */
  abandonBundle(error: unknown): Promise<void>;
}

const processor = workers.BundleProcessor.prototype;
const processBundle = processor.process;

processor.process = async function (instructionId) {
  try {
    await processBundle.call(this, instructionId);
  } catch (error) {
    const operators: readonly (sdk.Operator & Partial<Abandonable>)[] = this.topologicallyOrderedOperators;
    // What goes wrong now has its cause in the first error, which is the one to report.
    await Promise.allSettled(operators.map(async (operator) => operator.abandonBundle?.(error)));
    throw error;
  }
};

/** A promise that may be dropped when something else fails first, without ending the process by its rejection. */
export function droppable(promise: Promise<void>): Promise<void> {
  promise.catch(() => {});
  return promise;
}
