// A process of its own that writes a batch of events, and is killed in the midst of it.
import { spawn } from "node:child_process";
import { parseAddress } from "../../io/address";
import { sinkOf } from "../../io/registry";
import { fromSource } from "../../infra/systems/systems";
import { batchOf, eventOf, events } from "./rows";

export interface DyingWriter {
  readonly address: string;
  /** The batch's number. */
  readonly number: number;
  readonly rows: { readonly from: number; readonly to: number };
  /** After it opened, after so many rows were written, or so many milliseconds into the commit. */
  readonly die:
    | { readonly at: "opened" }
    | { readonly at: "written"; readonly rows: number }
    | { readonly at: "commit"; readonly after: number };
}

/** Until it is killed, or done before that. */
export function writeAndDie(writer: DyingWriter): Promise<"killed" | "done" | "failed"> {
  const { program, args } = fromSource("test/conformance/write-and-die.ts");
  // Under jest, what a test sets in the environment does not reach a child by itself.
  const child = spawn(program, [...args, JSON.stringify(writer)], {
    env: process.env,
    stdio: ["ignore", "ignore", "inherit"],
  });
  return new Promise((resolve) =>
    child.once("exit", (code, signal) => resolve(signal === "SIGKILL" ? "killed" : code === 0 ? "done" : "failed")),
  );
}

async function writeUntilDeath({ address, number, rows, die }: DyingWriter): Promise<void> {
  const parsed = parseAddress(address);
  const target = await sinkOf(parsed).open(parsed, [events], batchOf(number));
  if (die.at === "opened") kill();
  for (let at = rows.from; at < rows.to; at += 500) {
    if (die.at === "written" && at - rows.from >= die.rows) kill();
    await target.write(
      "events",
      Array.from({ length: Math.min(500, rows.to - at) }, (_, index) => eventOf(at + index)),
    );
  }
  if (die.at === "commit") setTimeout(kill, die.after);
  await target.commit();
}

const kill = (): void => void process.kill(process.pid, "SIGKILL");

if (require.main === module) {
  const [, , text = ""] = process.argv;
  void writeUntilDeath(JSON.parse(text) as DyingWriter).then(
    () => process.exit(0),
    (error: unknown) => {
      console.error(error);
      process.exit(1);
    },
  );
}
