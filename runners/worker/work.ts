// A worker of a cluster's: the process that runs a pipeline's code. main.ts beside it starts it and watches over it.
import "../../pipelines/catalog";
import "../direct/open-outputs";
import "./write-gathered";
import "./write-keyed";
import "../read-range";
import { quietSdkLogs, workFor } from "../../beam";
import { messageOf } from "../../schema/errors";
import { readDotEnv } from "../dot-env";
import { ownPipelines } from "../own-pipelines";
import { ownVersion } from "../own-package";
import { ALIVE_MS } from "./watched";

const [id = "", provisionEndpoint = ""] = process.argv.slice(2);

quietSdkLogs();
// Whoever watches learns by this that it is not frozen; without anybody who watches there is nothing to work for.
setInterval(() => process.send?.("alive"), ALIVE_MS).unref();
process.once("disconnect", () => process.exit());

const code = {
  version: ownVersion(),
  load: async () => {
    readDotEnv();
    ownPipelines(process.cwd());
  },
};

workFor({ id, provisionEndpoint }, code).then(
  () => process.exit(),
  (error: unknown) => {
    process.stderr.write(`${messageOf(error)}\n`);
    process.exit(1);
  },
);
