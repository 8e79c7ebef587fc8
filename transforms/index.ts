// What a pipeline is made of.
export { aggregate, type AggregateSpec, type Aggregated } from "./aggregate";
export { clean, timesCleaned, type Cleaned } from "./clean";
export { DeadLetter, deadLettersTable, DeadLetterLimitError, WINDOW_CLOSED } from "./dead-letter";
export { decode } from "./decode";
export { avg, count, first, last, max, min, sum, sumProduct, vwap, type Measure, type Measures } from "./measures";
export {
  dead,
  drop,
  ok,
  type Step,
  type StepContext,
  type StepFunction,
  type StepObject,
  type StepResult,
} from "./step";
