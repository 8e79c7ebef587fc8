// The verb doctor on a real PostgreSQL and Kafka: it says who we are there and what we may not do, and changes nothing.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { freePort } from "../infra/services/ports";
import { startServices, stopServices, type RunningService } from "../infra/services/services";
import { closePools } from "../io/postgres/pool";
import { scene } from "./command-scene";
import { Broker, inPostgres } from "./job-scene";

const { beamline } = scene();
const directory = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), "beamline-doctor-"));
// The server may run as another user.
fs.chmodSync(directory, 0o755);
const options = { directory };
const names = ["kafka", "postgres"] as const;
let services: Record<(typeof names)[number], RunningService>;
let broker: Broker;

beforeAll(async () => {
  services = await startServices(names, { ...options, ports: { kafka: await freePort(), postgres: await freePort() } });
  broker = await Broker.connect(new URL(services.kafka.url).host);
});
afterAll(async () => {
  await broker?.close();
  await closePools();
  await stopServices(names, { ...options, data: true });
  fs.rmSync(directory, { recursive: true, force: true });
});

async function doctor(...words: string[]) {
  const { code, stdout } = await beamline("doctor", "trades-aggregate", "--json", ...words);
  const { findings } = JSON.parse(stdout) as { findings: { about: string; state: string; text: string }[] };
  const of = (state: string) => findings.filter((one) => one.state === state).map(({ text }) => text);
  return { code, fine: of("fine"), missing: of("missing"), wrong: of("wrong") };
}
const tables = () =>
  inPostgres<{ name: string }>(
    services.postgres.url,
    "select tablename as name from pg_tables where schemaname = 'public'",
  );
const containing = (text: string) => expect.stringContaining(text) as string;

test("PostgreSQL: who we are, what is missing, and what we may not do", async () => {
  const { url } = services.postgres;
  const empty = await doctor("--to", url);
  expect(empty).toMatchObject({
    ...{ code: 0, wrong: [], fine: expect.arrayContaining([containing(" answers: PostgreSQL ")]) as string[] },
    missing: [containing("The tables trades_1min_agg, dead_letters, ")],
  });
  expect(await tables()).toEqual([]);

  const user = new URL(url);
  [user.username, user.password] = ["nearly_nobody", ""];
  await inPostgres(url, "create role nearly_nobody login; revoke create on schema public from public");
  expect((await doctor("--to", user.toString())).wrong).toEqual([
    containing("nearly_nobody may not make trades_1min_agg, dead_letters, "),
  ]);
  expect((await beamline("run", "trades-aggregate", "--to", url)).code).toBe(0);
  expect(await doctor("--to", url)).toMatchObject({ code: 0, missing: [], wrong: [] });
  expect((await doctor("--to", user.toString())).wrong).toEqual([
    containing("nearly_nobody may not write trades_1min_agg, dead_letters, "),
  ]);
});

test("Kafka: a topic that is there, one that the first run makes, one that is missing", async () => {
  await broker.createTopic("there", 2);
  await broker.send("there", [{ value: "{}" }, { value: "{}", partition: 1 }]);
  const said = await doctor("--from", broker.uri("there"), "--to", `candles=${broker.uri("new")}?create=true`);
  expect(said).toMatchObject({
    ...{ code: 0, wrong: [] },
    fine: expect.arrayContaining([containing("can be read: about 2 records")]) as string[],
    missing: expect.arrayContaining([containing("The topic new at ")]) as string[],
  });
  expect((await broker.admin.listTopics()).includes("new")).toBe(false);
  expect((await doctor("--to", `candles=${broker.uri("new")}`)).wrong).toEqual([containing("?create=true")]);
  expect((await doctor("--from", broker.uri("none"))).wrong).toEqual([containing("none")]);
});
