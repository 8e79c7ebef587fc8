// Makes a sink refuse some of its rows, as those do that check each row by itself.
import { type OpenTarget, type Rejected, type SinkConnector } from "../io/connector";
import { type Row } from "../schema/table";

/** What is said of a row that is refused; null when it is taken. */
export type Refuses = (output: string, row: Row) => string | null;

/** Until the returned function is called. */
export function refuseRows(sink: SinkConnector, refuses: Refuses): () => void {
  const open = sink.open.bind(sink);
  sink.open = async (address, outputs, batch) => {
    const target = await open(address, outputs, batch);
    const refusing: OpenTarget = {
      commit: () => target.commit(),
      abort: () => target.abort(),
      async write(output, rows) {
        const rejected: Rejected[] = rows.flatMap((row) => {
          const error = refuses(output, row);
          return error === null ? [] : [{ row, reason: "not mapped", error }];
        });
        const taken = rows.filter((row) => !rejected.some((one) => one.row === row));
        return { ...(await target.write(output, taken)), rejected };
      },
    };
    return refusing;
  };
  return () => void (sink.open = open);
}
