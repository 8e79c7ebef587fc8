// `stdout:` prints rows as NDJSON, one a line. When several outputs go there, each line says which one it is of.
import { type Writable } from "node:stream";
import { codeOf, messageOf, RunError, UsageError } from "../../schema/errors";
import { type Address, type Connector, type SinkConnector } from "../connector";
import { fine, findingsOf } from "../findings";
import { ndjsonOf } from "../row-text";

/** A sink that prints to `stream`. */
export function printTo(stream: Writable): SinkConnector {
  return {
    deliveryClass: "append",
    delivery: "append: the rows of a batch that is run again are printed again",
    wants: "final",
    place: () => "",
    check: (address) =>
      findingsOf(async () => {
        checkAddress(address);
        return [fine("Rows are printed to standard output")];
      }),
    async open(address, outputs) {
      checkAddress(address);
      const several = outputs.length > 1;
      const texts = new Map(outputs.map((output) => [output.name, ndjsonOf(output.table)]));
      let failure: unknown = null;
      const onError = (error: unknown): void => {
        failure = error;
      };
      stream.on("error", onError);
      const close = async (): Promise<void> => {
        // A stream that failed says so once more a moment later, which would end the process if nobody listened.
        if (failure === null) stream.off("error", onError);
      };
      return {
        async write(name, rows) {
          const text = texts.get(name);
          if (text === undefined) throw new Error(`Output ${name} was not opened`);
          let lines = text.head;
          for (const row of rows) {
            const line = text.lineOf(row);
            lines += several ? `{"output":${JSON.stringify(name)},"row":${line.slice(0, -1)}}\n` : line;
          }
          // The callback comes when the reader has taken the lines: a slow reader slows the run and fills no memory.
          if (lines !== "" && failure === null) await print(stream, lines).catch(onError);
          // The reader, such as head, has had enough: the rows count as printed and the run goes on.
          if (failure !== null && codeOf(failure) !== "EPIPE") {
            throw new RunError(`Standard output could not be written: ${messageOf(failure)}`);
          }
          return { written: rows.length };
        },
        commit: close,
        abort: close,
      };
    },
  };
}

function checkAddress({ path, options }: Address): void {
  if (path !== "" || Object.keys(options).length > 0)
    throw new UsageError(`“stdout:” takes nothing behind it: write file:${path} for a file`);
}

function print(stream: Writable, lines: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(lines, (error) => (error ? reject(error) : resolve()));
  });
}

export const stdout: Connector = {
  name: "stdout",
  about: {
    summary: "Standard output: rows as NDJSON, each with the name of its output where there are several",
    examples: ["stdout:"],
    readOptions: [],
    writeOptions: [],
    settings: [],
    killTests: [],
  },
  sink: printTo(process.stdout),
};
