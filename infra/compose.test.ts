// The containers' file cannot be run by a unit test, but it can be held to what it promises.
import fs from "node:fs";
import path from "node:path";
import { parse } from "yaml";
import { kafkaSettings } from "./services/kafka/settings";
import { serviceNames, usualServices } from "./services/server-kind";

interface Container {
  readonly image: string;
  readonly ports?: readonly string[];
  readonly network_mode?: "host";
  readonly profiles?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly healthcheck: { readonly test: readonly string[] };
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

const text = fs.readFileSync(path.join(__dirname, "compose.yaml"), "utf8");
const compose = parse(text) as {
  readonly services: Readonly<Record<string, Container>>;
  readonly volumes: Readonly<Record<string, null>>;
};
const containers = Object.entries(compose.services);

test("it has the servers, and a page for each of the usual ones", () => {
  expect(Object.keys(compose.services).sort()).toEqual(
    [...serviceNames, "flink-taskmanager", "kafka-ui", "postgres-ui"].sort(),
  );
});

test("those that are started by name are not started by a plain up", () => {
  const named = containers.filter(([, { profiles }]) => profiles !== undefined).map(([name]) => name);
  const others = serviceNames.filter((name) => !usualServices.includes(name));
  expect(named).toEqual([...others, "flink-taskmanager"]);
});

test("no two listen at one port of this machine", () => {
  const ports = containers.flatMap(([, { ports = [], environment = {} }]) => [
    ...ports.map((port) => port.split(":")[1]),
    ...Array.from((environment["FLINK_PROPERTIES"] ?? "").matchAll(/\.port: (\d+)$/gm), ([, port]) => port),
  ]);
  // The TaskManager's are those of the JobManager that it looks for.
  expect(ports.length - new Set(ports).size).toBe(2);
});

test("it says that nobody ran it yet", () => {
  expect(text).toContain("Not yet proven: no container engine was at hand.");
});

test.each(containers)("%s: a version, ports of this machine only, a check of its health", (_name, container) => {
  expect(container.image).toMatch(/^[a-z0-9./-]+:v?\d+\.\d+(\.\d+)?$/);
  const { ports = [], network_mode: network } = container;
  expect(ports.every((port) => /^127\.0\.0\.1:\d+:\d+$/.test(port))).toBe(true);
  // Without ports of its own it has those of the machine: what listens has to say where.
  expect(ports.length > 0 || network === "host").toBe(true);
  if (network === "host")
    expect(Object.values(container.environment ?? {})[0]).toMatch(/bind-(address|host): 127\.0\.0\.1$/m);
  expect(container.healthcheck.test[0]).toBe("CMD");
  // What a container reads is text: a bare number or boolean would depend on who reads the file.
  expect(Object.values(container.environment ?? {}).every((value) => typeof value === "string")).toBe(true);
  for (const volume of container.volumes ?? []) {
    const [source = ""] = volume.split(":");
    if (source.startsWith("./")) expect(fs.existsSync(path.join(__dirname, source))).toBe(true);
    else expect(compose.volumes).toHaveProperty(source);
  }
  for (const [other, { condition }] of Object.entries(container.depends_on ?? {})) {
    expect(compose.services).toHaveProperty(other);
    expect(condition).toBe("service_healthy");
  }
});

test("Kafka is set as the local one is, and as old", () => {
  // What differs is where it listens and keeps its data.
  const places = /LISTENER|VOTERS|LOG_DIRS|HEAP/;
  const local = kafkaSettings({ data: "/", port: 1, controllerPort: 2 })
    .trim()
    .split("\n")
    .map((line) => line.split("=") as [string, string])
    .map(([name, value]) => [`KAFKA_${name.toUpperCase().replaceAll(".", "_")}`, value] as const);
  const same = (entries: readonly (readonly [string, string])[]) =>
    Object.fromEntries(entries.filter(([name]) => !places.test(name)));
  const kafka = compose.services["kafka"];
  expect(same(Object.entries(kafka?.environment ?? {}))).toEqual(same(local));
  const pom = fs.readFileSync(path.join(__dirname, "services/kafka/pom.xml"), "utf8");
  expect(kafka?.image).toBe(`apache/kafka:${/<kafka\.version>(.*?)</.exec(pom)?.[1]}`);
});

test("the others are as old as the local ones", () => {
  const pinned = (file: string, pattern: RegExp) =>
    pattern.exec(fs.readFileSync(path.join(__dirname, "services", file), "utf8"))?.[1];
  const image = (name: string) => compose.services[name]?.image.split(":")[1];
  expect(image("gcs")).toBe(pinned("gcs/requirements.txt", /fake-gcs-server (\d+\.\d+\.\d+)/));
  expect(image("s3")).toBe(pinned("s3/requirements.txt", /^moto==(.*)$/m));
  expect(image("bigquery")).toBe(pinned("bigquery/requirements.txt", /^bqemulator==(.*)$/m));
  for (const name of ["opensearch", "elasticsearch"])
    expect(image(name)).toBe(pinned(`${name}/pom.xml`, /search\.version>(\d+\.\d+\.\d+)\./));
  expect(image("flink")).toMatch(pinned("flink/pom.xml", /beam-runners-flink-(\d+\.\d+)/) ?? "none");
  expect(image("flink-taskmanager")).toBe(image("flink"));
  expect(image("cassandra")).toBe(pinned("cassandra/pom.xml", /<cassandra.version>(\d+\.\d+)\./));
});
