// `postgres:` addresses: tables in a database, one transaction a batch; and tables that are read.
import { type Connector } from "../connector";
import { checkSink, checkSource } from "./check";
import { readLetters } from "./letters";
import { placeOf, postgresSettings, readOptions, settingsOf, shownServer, writeOptions } from "./settings";
import { declaredType } from "./shape";
import { postgresSource } from "./source";
import { PostgresTarget } from "./target";

export const postgres: Connector = {
  name: "postgres",
  about: {
    summary:
      "A PostgreSQL database: tables are made where they are missing; where a table or view is read, it is named",
    examples: ["postgres://user@host:5432/database", "postgres://user@host/database?table=trades&time=made_at"],
    readOptions,
    writeOptions,
    settings: postgresSettings,
    typeOf: declaredType,
    provenAgainst: "PostgreSQL 15",
    killTests: ["test/kill.integration.ts"],
  },
  source: { ...postgresSource, check: checkSource },
  sink: {
    deliveryClass: "keyed",
    isShared: true,
    delivery: "rows replace the row of their key, all outputs in one transaction; a batch that is there is skipped",
    wants: "update",
    place: (address) => shownServer(placeOf(address)),
    open: (address, outputs, batch) => PostgresTarget.open(settingsOf(address, "sink"), outputs, batch),
    check: checkSink,
    letters: (address, table, job) => readLetters(settingsOf(address, "sink"), table, job),
  },
};
