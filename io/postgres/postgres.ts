// `postgres:` addresses: tables in a database, one transaction a batch; and tables that are read.
import { type Connector } from "../connector";
import { readLetters } from "./letters";
import { placeOf, settingsOf, shownServer } from "./settings";
import { postgresSource } from "./source";
import { PostgresTarget } from "./target";

export const postgres: Connector = {
  name: "postgres",
  source: postgresSource,
  sink: {
    delivery: "rows replace the row of their key, all outputs in one transaction; a batch that is there is skipped",
    wants: "update",
    place: (address) => shownServer(placeOf(address)),
    open: (address, outputs, batch) => PostgresTarget.open(settingsOf(address, "sink"), outputs, batch),
    letters: (address, table, job) => readLetters(settingsOf(address, "sink"), table, job),
  },
};
