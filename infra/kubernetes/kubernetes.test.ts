// No unit test can run a cluster, but what these files say must fit together, and fit the project.
import fs from "node:fs";
import path from "node:path";
import { parse } from "yaml";
import { flinkSettings } from "../services/flink/settings";
import { BEAM_VERSION, FLINK_VERSION } from "../services/flink/flink-jars";

interface Container {
  readonly name: string;
  readonly image?: string;
  readonly command?: readonly string[];
}
interface Deployment {
  readonly spec: {
    readonly image: string;
    readonly flinkVersion: string;
    readonly mode: string;
    readonly flinkConfiguration: Readonly<Record<string, string>>;
    readonly taskManager: { readonly podTemplate: { readonly spec: { readonly containers: readonly Container[] } } };
  };
}

const read = (name: string) => fs.readFileSync(path.join(__dirname, name), "utf8");
const { spec } = parse(read("flink.yaml")) as Deployment;
const workers = spec.taskManager.podTemplate.spec.containers.find(({ name }) => name === "workers");

test.each(["Dockerfile", "flink.yaml", "README.md"])("%s says that nobody ran it yet", (name) => {
  expect(read(name)).toContain("Not yet proven");
});

test("Flink and Beam are those that jobs are made for", () => {
  expect(spec.flinkVersion).toBe(`v${FLINK_VERSION.replace(".", "_")}`);
  expect(read("Dockerfile")).toContain(`FROM flink:${FLINK_VERSION}.`);
  expect(fs.readFileSync(path.join(__dirname, "../services/flink/pom.xml"), "utf8")).toContain(`>${BEAM_VERSION}<`);
});

test("one image, built by the command that is named, with the worker that is started", () => {
  expect([spec.image, workers?.image]).toEqual([spec.image, spec.image]);
  for (const name of ["Dockerfile", "README.md"]) expect(read(name)).toContain(`--tag ${spec.image} .`);
  const [, program = "", ...words] = workers?.command ?? [];
  expect(words).toEqual(["--port", "50000"]);
  const source = program.replace(/^\/project\/dist\//, "../../").replace(/\.js$/, ".ts");
  expect(fs.existsSync(path.join(__dirname, source))).toBe(true);
  expect(read("README.md")).toContain("--workers=127.0.0.1:50000");
});

test("its slots are there before a job comes, and it gives a job up as the local cluster does", () => {
  expect(spec.mode).toBe("standalone");
  const text = flinkSettings({ port: 1, rpcPort: 2, scratch: "scratch", kept: "/kept" });
  const local = JSON.parse(text) as Record<string, unknown>;
  const said = Object.entries(spec.flinkConfiguration);
  expect(said).toEqual(said.map(([name]) => [name, String(local[name])]));
});
