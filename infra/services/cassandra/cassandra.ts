// Cassandra as a local server: one node from Maven's jars. What it answered survives a kill.
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { clientOf, endClient } from "../../../io/cassandra/driver";
import { findJavaProgram, type Jars } from "../jars";
import { refuseWindows, withContainers } from "../other-ways";
import { HOST, type ServerKind } from "../server-kind";
import { cassandraSettings } from "./settings";

const jars: Jars = {
  name: "cassandra",
  title: "Cassandra",
  otherwise: withContainers("cassandra"),
  pom: path.join(__dirname, "pom.xml"),
  megabytes: 70,
  // It replaces Java's security policy, which later ones refuse.
  java: { newest: 23 },
};

export const cassandra: ServerKind = {
  name: "cassandra",
  usualPort: 19_042,
  portCount: 2,
  stopSignal: "SIGTERM",
  url: (port) => `cassandra://${HOST}:${port}`,
  environment: () => ({}),
  probe: probeCassandra,
  wasTooSoon: () => false,

  async find(_site, environment) {
    refuseWindows("cassandra");
    const { java, classPath, jar, fetch } = await findJavaProgram(jars, environment);
    return {
      fetch: ({ say }) => fetch(say),

      createData: () => Promise.resolve(),

      async command({ directory, data }, port) {
        const settings = path.join(directory, "cassandra.yaml");
        await writeFile(settings, cassandraSettings({ data, port, storagePort: port + 1 }));
        // The second compiler would take longer than it saves, for as long as such a server runs.
        const memory = [
          "-Xms256m",
          "-Xmx512m",
          "-XX:+UseSerialGC",
          "-XX:TieredStopAtLevel=1",
          "-XX:+ExitOnOutOfMemoryError",
        ];
        const properties = {
          "java.awt.headless": "true",
          "java.security.manager": "allow",
          "jdk.attach.allowAttachSelf": "true",
          "logback.configurationFile": path.join(__dirname, "logback.xml"),
          "cassandra.config": pathToFileURL(settings).href,
          "cassandra.storagedir": data,
          // There is nobody to wait for.
          "cassandra.skip_wait_for_gossip_to_settle": "0",
          "cassandra.ring_delay_ms": "0",
        };
        const args = [
          ...memory,
          ...opened,
          `-javaagent:${await jar("jamm")}`,
          ...Object.entries(properties).map(([name, value]) => `-D${name}=${value}`),
          ...["-cp", classPath, "org.apache.cassandra.service.CassandraDaemon"],
        ];
        return { program: java, args, environment, user: null };
      },
    };
  },
};

/** What Cassandra's own launcher opens to it, but for Java's compiler, which only the JDK has. */
const opened = [
  ...[
    ...["jdk.internal.misc", "jdk.internal.ref", "sun.nio.ch", "java.lang.ref", "java.lang.reflect"].map(
      (name) => `java.base/${name}`,
    ),
    ...["java.management.rmi/com.sun.jmx.remote.internal.rmi", "java.rmi/sun.rmi.registry", "java.rmi/sun.rmi.server"],
    ...["java.rmi/sun.rmi.transport.tcp", "java.sql/java.sql", "jdk.unsupported/sun.misc"],
  ].flatMap((name) => ["--add-exports", `${name}=ALL-UNNAMED`]),
  ...[
    ...["java.io", "java.lang", "java.lang.module", "java.lang.ref", "java.lang.reflect", "java.nio", "java.util"],
    ...["java.util.concurrent", "java.util.concurrent.atomic", "jdk.internal.loader", "jdk.internal.math"],
    ...["jdk.internal.module", "jdk.internal.ref", "jdk.internal.reflect", "jdk.internal.util.jar", "sun.nio.ch"],
  ].flatMap((name) => ["--add-opens", `java.base/${name}=ALL-UNNAMED`]),
  ...["--add-opens", "jdk.management/com.sun.management.internal=ALL-UNNAMED"],
];

/** Asks the node for its release. */
async function probeCassandra(port: number): Promise<void> {
  const client = clientOf({
    contactPoints: [`${HOST}:${port}`],
    localDataCenter: "datacenter1",
    socketOptions: { connectTimeout: 2000, readTimeout: 5000 },
  });
  try {
    await client.execute("select release_version from system.local");
  } finally {
    await endClient(client);
  }
}
