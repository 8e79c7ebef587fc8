// `sqlite:` addresses: tables in a file, one transaction a batch; and tables that are read.
import { UsageError } from "../../schema/errors";
import { type Connector } from "../connector";
import { localPath } from "../local-path";
import { readLetters } from "./letters";
import { readOptions, sqliteSource } from "./source";
import { SqliteTarget } from "./target";

export const sqlite: Connector = {
  name: "sqlite",
  about: {
    summary: "A SQLite database in a file: tables are made where they are missing; where one is read, it is named",
    examples: ["sqlite:data/app.db", "sqlite:data/app.db?table=trades"],
    readOptions,
    writeOptions: [],
    settings: [],
    killTests: ["test/kill.integration.ts", "test/kill.e2e.ts"],
  },
  source: sqliteSource,
  sink: {
    deliveryClass: "keyed",
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
