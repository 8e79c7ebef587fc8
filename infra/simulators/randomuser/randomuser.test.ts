import fs from "node:fs";
import { scratchDirectory } from "../../../test/scratch";
import { type User } from "./users";
import { startRandomUser, type RandomUserSimulator } from "./randomuser";

interface Body {
  readonly results: User[];
  readonly info?: { readonly seed: string; readonly results: number; readonly page: number; readonly version: string };
}

const scratch = scratchDirectory();
let simulator: RandomUserSimulator;

beforeEach(async () => {
  simulator = await startRandomUser({ seed: 3 });
});
afterEach(() => simulator.close());

async function get(path: string): Promise<Body> {
  const answer = await fetch(`${simulator.url}${path}`);
  expect(answer.status).toBe(200);
  return (await answer.json()) as Body;
}

test("one user, unless more are asked for", async () => {
  const one = await get("/api/");
  expect(one.results).toHaveLength(1);
  expect(one.info).toEqual({
    seed: expect.stringMatching(/^[0-9a-f]{16}$/) as unknown,
    results: 1,
    page: 1,
    version: "1.4",
  });
  expect((await get("/api?results=5000")).results).toHaveLength(5000);
  for (const results of ["5001", "0", "-1", "1.5", "many", ""])
    expect([results, (await get(`/api/1.4?results=${results}`)).results.length]).toEqual([results, 1]);
});

test("a seed gives the same users again, without one others come each time", async () => {
  const path = "/api/?results=3&seed=abc";
  expect(await get(path)).toEqual(await get(path));
  expect((await get(path)).info).toEqual({ seed: "abc", results: 3, page: 1, version: "1.4" });
  expect((await get(`${path}&page=2`)).results).not.toEqual((await get(path)).results);
  const [one, two] = [await get("/api/"), await get("/api/")];
  expect(one.results[0]?.login.uuid).not.toBe(two.results[0]?.login.uuid);
  // What came without a seed comes again with the one that was told.
  expect((await get(`/api/?seed=${one.info?.seed}`)).results).toEqual(one.results);
});

test("simulators of the same seed give the same, request by request", async () => {
  const other = await startRandomUser({ seed: 3 });
  const third = await startRandomUser({ seed: 4 });
  const ask = async ({ url }: { url: string }) => (await (await fetch(`${url}/api/?results=2`)).json()) as Body;
  expect(await ask(other)).toEqual(await ask(simulator));
  expect(await ask(other)).toEqual(await ask(simulator));
  expect(await ask(third)).not.toEqual(await ask(other));
  await Promise.all([other.close(), third.close()]);
});

test("nationality, gender and fields", async () => {
  const nats = async (nat: string) =>
    new Set((await get(`/api/?results=60&nat=${nat}`)).results.map((user) => user.nat));
  expect(await nats("gb,DE")).toEqual(new Set(["GB", "DE"]));
  expect((await nats("gb,xx")).size).toBeGreaterThan(4);
  const { results } = await get("/api/?results=20&gender=male");
  expect(new Set(results.map(({ gender }) => gender))).toEqual(new Set(["male"]));
  expect(Object.keys((await get("/api/?inc=name,email,nat&exc=nat")).results[0] ?? {})).toEqual(["name", "email"]);
  expect(Object.keys((await get("/api/?exc=login")).results[0] ?? {})).not.toContain("login");
  expect(await get("/api/?noinfo")).toEqual({ results: expect.any(Array) as unknown });
});

test("what it does not have", async () => {
  const status = async (path: string) => (await fetch(`${simulator.url}${path}`)).status;
  expect(await status("/api/1.3/")).toBe(404);
  expect(await status("/")).toBe(404);
  expect(await status("/api/?format=csv")).toBe(501);
  expect(await status("/api/?format=pretty")).toBe(200);
});

test("each user is in the ledger once, when it was really given", async () => {
  const { results } = await get("/api/?results=4&seed=abc");
  await get("/api/?results=6&seed=abc");
  expect(simulator.ledger.entries("user").slice(0, 4)).toEqual(
    results.map((user) => ({ kind: "user", request: 1, user })),
  );
  expect(simulator.ledger.counts["user"]).toBe(6);
  simulator.faults.change({ garbageAnswers: 1 });
  await fetch(`${simulator.url}/api/`);
  simulator.faults.change({ garbageAnswers: 0, answer429: 1 });
  const refused = await fetch(`${simulator.url}/api/`);
  expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "1"]);
  expect(((await refused.json()) as { error: string }).error).toContain("try again later");
  expect(simulator.ledger.counts).toMatchObject({ user: 6, "garbage answer": 1, "429": 1 });
});

test("a seeded answer that did not change is not sent again", async () => {
  const path = `${simulator.url}/api/?seed=abc`;
  const tag = (await fetch(path)).headers.get("etag") ?? "";
  expect((await fetch(path, { headers: { "if-none-match": tag } })).status).toBe(304);
});

test("a ledger's file is gone on with: nobody is given twice without being asked for", async () => {
  const file = scratch("users.ndjson");
  const uuids: (string | undefined)[] = [];
  for (let run = 0; run < 3; run += 1) {
    const some = await startRandomUser({ seed: 8, ledger: file });
    for (let n = 0; n < 2; n += 1)
      uuids.push(((await (await fetch(`${some.url}/api/`)).json()) as Body).results[0]?.login.uuid);
    await some.close();
  }
  expect(new Set(uuids).size).toBe(6);
  const lines = fs.readFileSync(file, "utf8").trimEnd().split("\n");
  expect(lines.slice(1).map((line) => (JSON.parse(line) as { user: User }).user.login.uuid)).toEqual(uuids);
  await expect(startRandomUser({ seed: 9, ledger: file })).rejects.toThrow("was kept with seed 8, not 9");
});
