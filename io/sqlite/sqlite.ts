// `sqlite:` addresses: tables in a file, one transaction a batch; and tables that are read.
import { UsageError } from "../../schema/errors";
import { type Connector } from "../connector";
import { localPath } from "../local-path";
import { readLetters } from "./letters";
import { sqliteSource } from "./source";
import { SqliteTarget } from "./target";

export const sqlite: Connector = {
  name: "sqlite",
  source: sqliteSource,
  sink: {
    delivery: "rows replace the row of their key, all outputs in one transaction",
    wants: "update",
    place: (address) => localPath(address.path),
    async open(address, outputs, batch) {
      if (address.path === "") throw new UsageError("“sqlite:” needs a file behind it, such as sqlite:data/app.db");
      const [option] = Object.keys(address.options);
      if (option !== undefined)
        throw new UsageError(`“sqlite:${address.path}” has the option “${option}”, but sqlite: takes none`);
      return SqliteTarget.open(localPath(address.path), outputs, batch);
    },
    letters: (address, table, job) => readLetters(localPath(address.path), table, job),
  },
};
