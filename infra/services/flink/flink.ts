// Flink as a local cluster: a JobManager and two TaskManagers from Maven's jars, with all that Beam's jobs need.
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { makeDirectory } from "../../../io/local-path";
import { findJavaProgram, type Jars } from "../jars";
import { refuseWindows, withContainers } from "../other-ways";
import { HOST, type ServerKind } from "../server-kind";
import { flinkJars } from "./flink-jars";
import { flinkSettings, TASK_MANAGERS } from "./settings";

const jars: Jars = { ...flinkJars, title: "Flink", otherwise: withContainers("flink") };

export const flink: ServerKind = {
  name: "flink",
  usualPort: 18_081,
  portCount: 2,
  stopSignal: "SIGTERM",
  url: (port) => `http://${HOST}:${port}`,
  environment: () => ({}),
  probe: probeFlink,
  wasTooSoon: () => false,

  async find(_site, environment) {
    refuseWindows("flink");
    const { java, classPath, fetch } = await findJavaProgram(jars, environment);
    return {
      fetch: ({ say }) => fetch(say),

      createData: () => Promise.resolve(),

      async command({ directory }, port) {
        const scratch = path.join(directory, "scratch");
        await makeDirectory(scratch);
        const settings = flinkSettings({ scratch, kept: directory, port, rpcPort: port + 1 });
        await writeFile(path.join(directory, "config.yaml"), settings);
        const logging = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=info", "-Dorg.slf4j.simpleLogger.showDateTime=true"];
        const args = [java, "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError", ...opened, ...logging, "-cp", classPath];
        const program = path.join(__dirname, "cluster.sh");
        return {
          program: "/bin/sh",
          args: [program, directory, String(TASK_MANAGERS), ...args],
          environment,
          user: null,
        };
      },
    };
  },
};

/** What Flink's own scripts open to it. */
const opened = [
  ...["io", "lang", "lang.reflect", "net", "nio", "text", "time", "util"].map((name) => `java.${name}`),
  ...["java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks", "sun.nio.ch"],
].map((name) => `--add-opens=java.base/${name}=ALL-UNNAMED`);

/** Waits until every TaskManager has reported. */
async function probeFlink(port: number): Promise<void> {
  const response = await fetch(`http://${HOST}:${port}/overview`);
  const { taskmanagers } = (await response.json()) as { readonly taskmanagers?: unknown };
  if (taskmanagers !== TASK_MANAGERS)
    throw new Error(`${String(taskmanagers)} of its ${TASK_MANAGERS} TaskManagers are there`);
}
