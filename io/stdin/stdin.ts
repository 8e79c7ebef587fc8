// `stdin:` reads standard input: NDJSON, or CSV with ?format=csv. It gives each record once: in a run with an end it is one
// range, and a job that goes on takes what comes into its inbox.
import { type Readable } from "node:stream";
import { messageOf, RunError, UsageError } from "../../schema/errors";
import { type SourceRecord } from "../../schema/record";
import { type Address, type Connector, type SourceConnector } from "../connector";
import { fine, findingsOf } from "../findings";
import { formatOption, formatOptions, recordsOf, type Format } from "../format";

/** The name of standard input in records. */
const SOURCE = "stdin";

/** A source that reads the stream that `open` gives, when it is first asked for. */
export function readFrom(open: () => Readable & { readonly isTTY?: boolean }): SourceConnector {
  const checked = (address: Address): Format => {
    const format = formatOption(address) ?? "ndjson";
    if (address.path !== "")
      throw new UsageError(`“stdin:” takes nothing behind it: write file:${address.path} to read a file`);
    if (open().isTTY === true)
      throw new UsageError("Nothing is piped into standard input: write it like cat trades.ndjson | … --from stdin:");
    return format;
  };
  return {
    async plan(address) {
      return [{ connector: "stdin", source: SOURCE, from: 1, to: null, detail: { format: checked(address) } }];
    },
    check: (address) =>
      findingsOf(async () => {
        checked(address);
        return [fine("Something is piped into standard input")];
      }),
    async *read(range, signal) {
      yield* recordsUntil(open(), range.detail["format"] === "csv" ? "csv" : "ndjson", signal);
      signal?.throwIfAborted();
    },
    async *flow(address, signal) {
      yield* recordsUntil(open(), checked(address), signal);
    },
  };
}

/** The records of the stream to its end, or all that was taken from it when the signal says so. */
function recordsUntil(stream: Readable, format: Format, signal?: AbortSignal): AsyncIterable<SourceRecord[]> {
  return recordsOf(chunksUntil(stream, signal), SOURCE, format, () => !stream.readableEnded);
}

/**
 * The bytes of the stream. When the signal says so, what was taken from the pipe is given to the last byte, and the rest
 * stays in the pipe: the two are told apart within one turn of the event loop, in which nothing is taken.
 */
async function* chunksUntil(stream: Readable, signal: AbortSignal | undefined): AsyncGenerator<Buffer> {
  let wake = (): void => undefined;
  const onNews = () => wake();
  for (const event of ["readable", "end", "close", "error"]) stream.on(event, onNews);
  signal?.addEventListener("abort", onNews);
  try {
    for (;;) {
      if (stream.errored != null) throw new RunError(`Standard input could not be read: ${messageOf(stream.errored)}`);
      if (stream.readableEnded) return;
      if (stream.destroyed) throw new RunError("Standard input was closed before its end");
      const isStopped = signal?.aborted === true;
      const chunk = stream.read() as Buffer | null;
      if (isStopped) stream.destroy();
      if (chunk !== null) yield chunk;
      else if (!isStopped) await new Promise<void>((resolve) => (wake = resolve));
      if (isStopped) return;
    }
  } finally {
    signal?.removeEventListener("abort", onNews);
    // Nobody reads on, and whoever writes is told. The listeners stay: an error without one would end the process.
    stream.destroy();
  }
}

export const stdin: Connector = {
  name: "stdin",
  about: {
    summary: "Standard input: what another program writes into a pipe",
    examples: ["stdin:", "stdin:?format=csv"],
    readOptions: formatOptions("ndjson"),
    writeOptions: [],
    settings: [],
    killTests: [],
  },
  source: readFrom(() => process.stdin),
};
