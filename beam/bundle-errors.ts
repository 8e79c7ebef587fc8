// How an error in a pipeline's own code gets from a worker to whoever submitted the job. All that a runner passes on is a
// text, of which the SDK makes the bare message; here it says which of our failures it was, and where it arose.
import { messageOf, RunError, UnavailableError, UsageError } from "../schema/errors";

const OPEN = "«beamline ";
const CLOSE = "»";
const kinds = { UsageError, RunError, UnavailableError } as const;

/** The text of an error, out of which writtenError makes it again. */
export function errorText(error: unknown): string {
  const message = messageOf(error);
  const kind = error instanceof Error && Object.hasOwn(kinds, error.name) ? error.name : "Error";
  const where = error instanceof Error && kind === "Error" ? stackOf(error) : "";
  return `${OPEN}${JSON.stringify({ kind, message, where }).replaceAll(CLOSE, "\\u00bb")}${CLOSE}`;
}

function stackOf({ stack = "" }: Error): string {
  const at = stack.search(/^\s+at /m);
  return at < 0 ? "" : stack.slice(at);
}

/** The error of a pipeline's own code that a runner tells of; null when the text has none in it. */
export function writtenError(text: string): Error | null {
  const start = text.indexOf(OPEN);
  const end = text.indexOf(CLOSE, start);
  if (start < 0 || end < 0) return null;
  const said = JSON.parse(text.slice(start + OPEN.length, end)) as { kind: string; message: string; where: string };
  const Kind = Object.hasOwn(kinds, said.kind) ? kinds[said.kind as keyof typeof kinds] : Error;
  const error = new Kind(said.message);
  if (said.where !== "") error.stack = `${error.name}: ${said.message}\n${said.where}`;
  return error;
}
