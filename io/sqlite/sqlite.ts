// `sqlite:` addresses: tables in a file, one transaction a batch; and tables that are read.
import { type Connector } from "../connector";
import { localPath } from "../local-path";
import { readLetters } from "./letters";
import { checkSink, checkSource } from "./check";
import { declaredType } from "./shape";
import { readOptions, sqliteSource } from "./source";
import { checkAddress, SqliteTarget } from "./target";

export const sqlite: Connector = {
  name: "sqlite",
  about: {
    summary: "A SQLite database in a file: tables are made where they are missing; where one is read, it is named",
    examples: ["sqlite:data/app.db", "sqlite:data/app.db?table=trades"],
    readOptions,
    writeOptions: [],
    settings: [],
    typeOf: declaredType,
    provenAgainst: "SQLite itself",
    killTests: ["test/kill.integration.ts", "test/kill.e2e.ts"],
  },
  source: { ...sqliteSource, check: checkSource },
  sink: {
    deliveryClass: "keyed",
    delivery: "rows replace the row of their key, all outputs in one transaction",
    wants: "update",
    place: (address) => localPath(address.path),
    async open(address, outputs, batch) {
      checkAddress(address);
      return SqliteTarget.open(localPath(address.path), outputs, batch);
    },
    check: checkSink,
    letters: (address, table, job) => readLetters(localPath(address.path), table, job),
  },
};
