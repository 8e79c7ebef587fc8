// Kafka as a local server: one node without ZooKeeper, from Maven's jars.
import { randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { RunError } from "../../../schema/errors";
import { findJavaProgram, type Jars } from "../jars";
import { refuseWindows, withContainers } from "../other-ways";
import { freePort } from "../ports";
import { runProgram } from "../programs";
import { HOST, type ServerKind } from "../server-kind";
import { probeKafka } from "./probe";
import { proxiedListener } from "./proxied-listener";
import { kafkaSettings } from "./settings";

const jars: Jars = {
  ...{ name: "kafka", title: "Kafka", otherwise: withContainers("kafka") },
  ...{ pom: path.join(__dirname, "pom.xml"), megabytes: 45 },
};

export const kafka: ServerKind = {
  name: "kafka",
  usualPort: 19_092,
  portCount: 1,
  stopSignal: "SIGTERM",
  url: (port) => `kafka://${HOST}:${port}`,
  environment: () => ({}),
  probe: probeKafka,
  wasTooSoon: () => false,

  async find(_site, environment) {
    refuseWindows("kafka");
    const { java, classPath, fetch } = await findJavaProgram(jars, environment);
    const proxied = proxiedListener(environment);
    return {
      fetch: ({ say }) => fetch(say),

      async createData({ directory, say }, data) {
        say("formatting a new data directory");
        const settings = path.join(directory, "format.properties");
        await writeFile(settings, kafkaSettings({ data, port: 1, controllerPort: 2 }));
        // A program of a few seconds is faster without the second compiler.
        const options = ["-XX:TieredStopAtLevel=1", "-Xmx128m", ...logging, "-cp", classPath];
        const format = ["kafka.tools.StorageTool", "format", "--cluster-id", clusterId(), "--config", settings];
        const { code, output } = await runProgram(java, [...options, ...format], { environment });
        await rm(settings);
        if (code !== 0) throw new RunError(`Kafka could not format ${data}:\n${output.trimEnd()}`);
      },

      async command({ directory, data }, port) {
        const settings = path.join(directory, "server.properties");
        await writeFile(settings, kafkaSettings({ data, port, controllerPort: await freePort(), proxied }));
        const memory = ["-Xms128m", "-Xmx512m", "-XX:+ExitOnOutOfMemoryError"];
        const args = [...memory, "-Djava.awt.headless=true", ...logging, "-cp", classPath, "kafka.Kafka", settings];
        return { program: java, args, environment, user: null };
      },
    };
  },
};

const logging = [`-Dlog4j2.configurationFile=${path.join(__dirname, "log4j2.properties")}`];

/** 16 random bytes in the form that Kafka takes, which must not begin with a hyphen. */
function clusterId(): string {
  const id = randomBytes(16).toString("base64url");
  return id.startsWith("-") ? clusterId() : id;
}
