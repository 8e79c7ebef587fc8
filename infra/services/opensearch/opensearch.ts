// OpenSearch 2, as a local server.
import path from "node:path";
import { searchServer } from "../search/search-server";

export const opensearch = searchServer({
  name: "opensearch",
  title: "OpenSearch",
  pom: path.join(__dirname, "pom.xml"),
  megabytes: 55,
  usualPort: 19_200,
  runner: "org.codelibs.opensearch.runner.OpenSearchRunner",
});
