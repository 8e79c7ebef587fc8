// Against a double of Flink's REST interface, for clusters that cannot be had here; real ones: test/flink-cluster.integration.ts.
import http from "node:http";
import { type AddressInfo } from "node:net";
import { UnavailableError, UsageError } from "../../schema/errors";
import { addressOf, Cluster, findCluster } from "./cluster";

const BEAM = "/opt/flink/lib/beam-runners-flink-1.19-2.62.0.jar";
const good = {
  "/config": { "flink-version": "1.19.3" },
  "/overview": { "slots-total": 4, "slots-available": 3 },
  "/jobmanager/environment": { classpath: ["/opt/flink/lib/flink-dist-1.19.3.jar", BEAM] },
  "/taskmanagers": { taskmanagers: [{ path: "pekko.tcp://flink@10.0.0.7:42069/user/rpc/taskmanager_0" }] },
};

let server: http.Server;
async function serve(answers: Readonly<Record<string, unknown>>, status = 404): Promise<string> {
  server = http.createServer((request, response) => {
    const answer = answers[request.url ?? ""];
    response
      .writeHead(answer === undefined ? status : 200)
      .end(typeof answer === "string" ? answer : JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}
afterEach(() => server?.close());

test("a cluster tells of its version, its slots, its TaskManagers, and whether it has Beam's jars", async () => {
  const cluster = await Cluster.at(await serve(good));
  expect(cluster).toMatchObject({ version: "1.19.3", hasBeam: true });
  expect(await cluster.slots()).toEqual({ all: 4, free: 3 });
  expect(await cluster.taskManagers()).toEqual(["10.0.0.7"]);
  await cluster.untilFree(3);
});

test.each([
  ["no Beam", { classpath: ["/opt/flink/lib/flink-dist-1.19.3.jar"] }],
  ["a cluster that does not tell", undefined],
])("%s: each job brings the jars", async (_which, environment) => {
  const address = await serve({ ...good, "/jobmanager/environment": environment });
  expect((await Cluster.at(address)).hasBeam).toBe(false);
  expect((await findCluster(address)).map(({ state, text }) => `${state}: ${text}`)).toEqual([
    `fine: Flink 1.19.3 at ${address}: 4 slots, 3 of them free`,
    "missing: Beam's jars are not on its class path: each job brings them, about 177 MB",
  ]);
});

test.each([
  [
    "another Flink",
    { "/config": { "flink-version": "1.20.0" } },
    /runs Flink 1\.20\.0; jobs are made for Flink 1\.19$/,
  ],
  [
    "another Beam",
    { "/jobmanager/environment": { classpath: [BEAM.replace("2.62.0", "2.60.0")] } },
    /has the jars of Beam 2\.60\.0 on its class path, and jobs come from Beam 2\.62\.0: put those of 2\.62\.0 there, or none$/,
  ],
  [
    "something else",
    { "/config": "<html>" },
    /What answers at .* is not Flink's REST interface \(\/config\): --flink-master/,
  ],
  [
    "something without it",
    { "/config": undefined },
    /What answers at .* is not Flink's REST interface: it has no \/config/,
  ],
])("%s is refused in a sentence", async (_which, answers, sentence) => {
  const finding = Cluster.at(await serve({ ...good, ...answers }));
  await expect(finding).rejects.toThrow(UsageError);
  await expect(finding).rejects.toThrow(sentence);
});

test("a cluster that listens and is not ready yet may be by and by", async () => {
  const address = await serve({}, 503);
  await expect(Cluster.at(address)).rejects.toThrow(new UnavailableError(`Flink at ${address} is not ready yet`));
  await expect(Cluster.at(address)).rejects.toBeInstanceOf(UnavailableError);
});

test("a cluster without a free slot is found wrong", async () => {
  const address = await serve({ ...good, "/overview": { "slots-total": 0, "slots-available": 0 } });
  expect((await findCluster(address))[0]).toEqual({
    state: "wrong",
    text: `Flink 1.19.3 at ${address}: no TaskManager`,
  });
});

test.each(["localhost:8081", "http://flink-jobmanager.flink:8081/", "[::1]:8081"])("%s is an address", (text) =>
  expect(addressOf(text)).toBe(text.replace("http://", "").replace(/\/$/, "")),
);

test.each([
  "",
  "localhost",
  "localhost:0",
  "localhost:99999",
  "[local]",
  "a b:8081",
  "http://x:8081/path",
  "yarn-cluster",
])("%j is none", (text) => expect(() => addressOf(text)).toThrow(/--flink-master is .*: write the host:port/));
