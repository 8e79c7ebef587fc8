import { readFileSync } from "node:fs";
import { BEAM_VERSION, FLINK_VERSION, flinkJars } from "./flink-jars";
import { flinkSettings } from "./settings";

test("the versions are those of the jars", () => {
  const pom = readFileSync(flinkJars.pom, "utf8");
  expect(pom).toContain(`<beam-flink.version>${BEAM_VERSION}<`);
  expect(pom).toContain(`<artifactId>beam-runners-flink-${FLINK_VERSION}<`);
});

test("it listens on this machine only", () => {
  const text = flinkSettings({ scratch: "/srv/ü a", kept: "/srv/ü b", port: 18_081, rpcPort: 18_082 });
  expect(JSON.parse(text)).toMatchObject({
    "rest.bind-address": "127.0.0.1",
    "rest.bind-port": "18081",
    "jobmanager.bind-host": "127.0.0.1",
    "jobmanager.rpc.port": 18_082,
    "taskmanager.bind-host": "127.0.0.1",
    "io.tmp.dirs": "/srv/ü a",
    "state.savepoints.dir": "file:///srv/%C3%BC%20b/savepoints",
  });
});
