// Elasticsearch 7.10, the last under the Apache licence, as a local server.
import path from "node:path";
import { searchServer } from "../search/search-server";

export const elasticsearch = searchServer({
  name: "elasticsearch",
  title: "Elasticsearch",
  pom: path.join(__dirname, "pom.xml"),
  megabytes: 37,
  usualPort: 19_220,
  runner: "org.codelibs.elasticsearch.runner.ElasticsearchClusterRunner",
});
