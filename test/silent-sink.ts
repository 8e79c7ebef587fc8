// Makes a sink fail as one does whose server is not there, at the moment that a test says.
import { type OpenTarget, type SinkConnector } from "../io/connector";
import { UnavailableError } from "../schema/errors";

export type Moment = "open" | "write" | "commit" | "after the commit";

/** Until the returned function is called. */
export function silence(sink: SinkConnector, isSilent: (moment: Moment, output: string) => boolean): () => void {
  const open = sink.open.bind(sink);
  const check = (moment: Moment, output = ""): void => {
    if (isSilent(moment, output)) throw new UnavailableError(`Nobody answers (${moment})`);
  };
  sink.open = async (address, outputs, batch) => {
    check("open", outputs[0]?.name);
    const target = await open(address, outputs, batch);
    const silent: OpenTarget = {
      abort: () => target.abort(),
      async write(output, rows) {
        check("write", output);
        return target.write(output, rows);
      },
      async commit() {
        check("commit");
        await target.commit();
        check("after the commit");
      },
    };
    return silent;
  };
  return () => void (sink.open = open);
}
