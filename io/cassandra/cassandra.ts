// `cassandra:` addresses: tables of a keyspace, each row written by itself in the place of that of its key.
import { type Connector } from "../connector";
import { declaredType } from "./cells";
import { checkKeyspace } from "./check";
import { readLetters } from "./letters";
import { cassandraSettings, placeOf, settingsOf, shownPlace, writeOptions } from "./options";
import { CassandraTarget } from "./target";

export const cassandra: Connector = {
  name: "cassandra",
  about: {
    summary: "A keyspace of Apache Cassandra: it and its tables are made where they are missing",
    examples: [
      "cassandra://localhost:9042/market",
      "cassandra://one:9042,two:9042/market?datacenter=east&replication=east:3,west:2",
    ],
    readOptions: [],
    writeOptions,
    settings: cassandraSettings,
    typeOf: declaredType,
    provenAgainst: "Apache Cassandra 5",
    killTests: ["test/cassandra.integration.ts"],
  },
  sink: {
    deliveryClass: "keyed",
    isShared: true,
    delivery:
      "rows replace the row of their key as they come, without a transaction; a batch that is there is skipped, one that is run again writes the same rows",
    wants: "update",
    place: (address) => shownPlace(placeOf(address)),
    open: (address, outputs, batch) => CassandraTarget.open(settingsOf(address), outputs, batch),
    check: checkKeyspace,
    letters: (address, table, job) => readLetters(settingsOf(address), table, job),
  },
};
