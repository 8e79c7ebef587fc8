// The SDK writes every instruction and every bundle to the console. This drops exactly those lines, by their whole shape
// and not by a word in them, so that what a pipeline itself writes always comes through.
import { writtenError } from "./bundle-errors";
import { once } from "./fixes/once";

type Level = "log" | "debug" | "info" | "warn" | "error";
type Chatter = (args: readonly unknown[]) => boolean;

const line =
  (...texts: string[]): Chatter =>
  ([text, ...rest]) =>
    rest.length === 0 && texts.includes(text as string);

const hasKeys = (value: unknown, ...keys: string[]) =>
  typeof value === "object" && value !== null && keys.every((key) => key in value);

/** What the worker prints before it handles an instruction, and before it answers a request to split. */
const instruction: Chatter = ([value, ...rest]) =>
  rest.length === 0 &&
  hasKeys(value, "instructionId", "request") &&
  hasKeys((value as { request: unknown }).request, "oneofKind");
const split: Chatter = ([value, unknown, ...rest]) =>
  rest.length === 0 && typeof unknown === "boolean" && hasKeys(value, "instructionId", "desiredSplits");

const bundle: Chatter = (args) => args.length === 4 && args[0] === "Processing " && args[2] === "for";
const submission = line("Preparing job.", "Staging artifacts", "Running job.", "Shutting down external workers.");
const poolStart: Chatter = (args) => args.length === 2 && args[0] === "Starting loopback workers at ";
const poolPort: Chatter = ([text, ...rest]) =>
  rest.length === 0 && typeof text === "string" && /^Server bound on port: \d+$/.test(text);

/** An error of a bundle, which goes to the runner too, and from there to whoever submitted the job. */
const bundleError: Chatter = ([text, error, ...rest]) =>
  rest.length === 0 && text === "PROCESS ERROR" && error instanceof Error && writtenError(error.message) !== null;

/** A runner that is done hangs up, and one that is killed is gone: the job's end tells, and the worker's own. */
const GONE: readonly unknown[] = ["Multiplexer hanging up", "Connection dropped"];
const hangUp: Chatter = ([text, error, ...rest]) =>
  rest.length === 0 &&
  text === "Data channel error" &&
  error instanceof Error &&
  GONE.includes((error as { details?: unknown }).details);

const chatter: Record<Level, readonly Chatter[]> = {
  log: [instruction, split],
  debug: [bundle, submission],
  info: [poolStart, poolPort],
  warn: [line("Control channel closed.")],
  error: [bundleError, hangUp],
};

export function quietSdkLogs(): void {
  once(console, "quiet", () => {
    for (const [level, shapes] of Object.entries(chatter) as [Level, readonly Chatter[]][]) {
      const write = console[level];
      console[level] = function (this: unknown, ...args: unknown[]) {
        if (!shapes.some((isChatter) => isChatter(args))) write.apply(this, args);
      };
    }
  });
}
