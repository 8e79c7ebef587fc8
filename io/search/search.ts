// `elasticsearch:` and `opensearch:` addresses: one index an output, one document a row. One client speaks to both servers.
import { type Connector } from "../connector";
import { settingsFor, type SearchKind } from "./access";
import { checkCluster } from "./check";
import { readLetters } from "./letters";
import { hostsOf, settingsOf, writeOptions } from "./options";
import { fieldType } from "./mapping";
import { SearchTarget } from "./target";

const connectorOf = (kind: SearchKind, product: string, against: string): Connector => ({
  name: kind,
  about: {
    summary: `${product}: an index for each output, made where it is missing; a row is the document of its key`,
    examples: [
      `${kind}://localhost:9200`,
      `${kind}://one:9200,two:9200?tls=true&replicas=1`,
      `${kind}://localhost:9200?rollover=day(window_start)&lifecycle=30d`,
    ],
    readOptions: [],
    writeOptions,
    settings: settingsFor(kind),
    typeOf: fieldType,
    provenAgainst: against,
    killTests: ["test/search.integration.ts"],
  },
  sink: {
    deliveryClass: "keyed",
    isShared: true,
    delivery:
      "rows replace the row of their key as they come, without a transaction; a batch that is there is skipped, one that is run again writes the same documents",
    wants: "update",
    place: (address) => `//${hostsOf(address).join(",")}`,
    open: (address, outputs, batch) => SearchTarget.open(settingsOf(address), outputs, batch),
    check: checkCluster,
    letters: (address, table, job) => readLetters(settingsOf(address), table, job),
  },
});

export const elasticsearch = connectorOf("elasticsearch", "Elasticsearch", "Elasticsearch 7.10");
export const opensearch = connectorOf("opensearch", "OpenSearch", "OpenSearch 2.19");
