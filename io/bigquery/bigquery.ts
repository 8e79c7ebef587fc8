// `bigquery:` addresses: tables of a dataset, one transaction a batch; and tables and queries that are read.
import { type Connector } from "../connector";
import { checkSink } from "./check";
import { readLetters } from "./letters";
import { bigquerySettings, placeOf, readOptions, shownPlace, sinkSettingsOf, writeOptions } from "./settings";
import { storedType } from "./shape";
import { bigquerySource } from "./source";
import { BigQueryTarget } from "./target";

export const bigquery: Connector = {
  name: "bigquery",
  about: {
    summary:
      "A dataset of BigQuery: tables are made where they are missing; where a table, view or query is read, it is named",
    examples: [
      "bigquery://project/dataset",
      "bigquery://project/dataset?staging=gs://bucket/prefix&location=EU",
      "bigquery://project/dataset?table=trades&time=made_at",
    ],
    readOptions,
    writeOptions,
    settings: bigquerySettings,
    typeOf: storedType,
    provenAgainst: "an emulator (bqemulator), and a double for what that does not do; never BigQuery itself",
    killTests: ["test/bigquery.integration.ts"],
  },
  source: bigquerySource,
  sink: {
    deliveryClass: "keyed",
    isShared: true,
    gathers: (address) => sinkSettingsOf(address).gathering,
    delivery: "rows replace the row of their key, all outputs in one transaction; a batch that is there is skipped",
    wants: "update",
    place: (address) => shownPlace(placeOf(address)),
    open: (address, outputs, batch) => BigQueryTarget.open(sinkSettingsOf(address), outputs, batch),
    check: (address, outputs) => checkSink(address, outputs),
    letters: (address, table, job) => readLetters(sinkSettingsOf(address), table, job),
  },
};
