// OpenSearch and Elasticsearch as local servers: one node from Maven's jars, started by codelibs' runner, without security
// and with few plugins. What it answered survives a kill.
import { copyFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { makeDirectory } from "../../../io/local-path";
import { findJavaProgram, type Jars } from "../jars";
import { refuseWindows, withContainers } from "../other-ways";
import { HOST, type ServerKind, type ServiceName } from "../server-kind";

export interface SearchServer {
  readonly name: Extract<ServiceName, "opensearch" | "elasticsearch">;
  readonly title: string;
  readonly pom: string;
  readonly megabytes: number;
  readonly usualPort: number;
  /** The class of its runner. */
  readonly runner: string;
}

const program = path.join(__dirname, "SearchServer.java");
const logging = path.join(__dirname, "log4j2.properties");

export function searchServer({ name, title, pom, megabytes, usualPort, runner }: SearchServer): ServerKind {
  const jars: Jars = { name, title, otherwise: withContainers(name), pom, megabytes, java: { compiler: true } };
  return {
    name,
    usualPort,
    portCount: 2,
    stopSignal: "SIGTERM",
    url: (port) => `elasticsearch://${HOST}:${port}`,
    environment: () => ({}),
    probe: probeSearch,
    wasTooSoon: () => false,

    async find(_site, environment) {
      refuseWindows(name);
      const { java, classPath, fetch } = await findJavaProgram(jars, environment);
      return {
        fetch: ({ say }) => fetch(say),

        createData: () => Promise.resolve(),

        async command({ directory, data }, port) {
          const configuration = path.join(directory, "config");
          await makeDirectory(configuration);
          await writeFile(path.join(configuration, `${name}.yml`), searchSettings(port + 1));
          await copyFile(logging, path.join(configuration, "log4j2.properties"));
          // The second compiler would take longer than it saves, for as long as such a server runs.
          const memory = [
            "-Xms256m",
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:+ExitOnOutOfMemoryError",
          ];
          const properties = ["-Djava.awt.headless=true", `-Dlog4j2.configurationFile=${logging}`];
          const places = ["-basePath", directory, "-confPath", configuration, "-dataPath", data];
          const words = [...places, "-logsPath", path.join(directory, "logs"), "-clusterName", "beamline"];
          // Its first node takes the port after the base port.
          const node = ["-numOfNode", "1", "-baseHttpPort", String(port - 1)];
          const args = [...memory, ...properties, "-cp", classPath, program, runner, ...words, ...node];
          return { program: java, args, environment, user: null };
        },
      };
    },
  };
}

/** The text of the node's settings: alone, on this machine only. JSON is YAML too. */
export function searchSettings(transportPort: number): string {
  const settings = {
    "network.host": HOST,
    "transport.port": String(transportPort),
    "discovery.type": "single-node",
    // A disk that is nearly full is no reason to keep test data off it.
    "cluster.routing.allocation.disk.threshold_enabled": false,
  };
  return `${JSON.stringify(settings, null, 2)}\n`;
}

/** Waits until all that is stored can be read and written. */
async function probeSearch(port: number): Promise<void> {
  const response = await fetch(`http://${HOST}:${port}/_cluster/health?wait_for_status=yellow&timeout=5s`);
  const { status } = (await response.json()) as { readonly status?: unknown };
  if (!response.ok) throw new Error(`its cluster's health is ${String(status)}`);
}
