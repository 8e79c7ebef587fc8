// A stand-in for randomuser.me on this machine: the API's parameters and the form of its answers, with users that a ledger
// knows.
import { z } from "zod";
import { Faults, HttpFaults } from "../faults";
import { Ledger } from "../ledger";
import { Chance } from "../seeded";
import { SimulatorServer, type Answer, type Asked } from "../simulator-server";
import { NATIONS } from "./people";
import { makeUsers, type User, type UsersWanted } from "./users";

export const RandomUserOptions = z.object({
  port: z.int().min(0).max(65_535).default(0).describe("where it listens, on 127.0.0.1 only; 0 is any that is free"),
  seed: z.int().nonnegative().default(1).describe("the same seed makes the same users and the same faults"),
  ledger: z
    .string()
    .min(1)
    .optional()
    .describe("writes everything that happened there; goes on with one that is there")
    .meta({ value: "FILE" }),
  ledgerEntries: z.int().positive().default(200_000).describe("how many entries of the ledger are kept in memory"),
});

export interface RandomUserSimulator {
  readonly url: string;
  readonly ledger: Ledger;
  readonly faults: Faults<typeof HttpFaults>;
  /** Breaks all connections, and nobody listens for so many milliseconds. */
  outage(milliseconds: number): Promise<void>;
  /** Fulfilled when it was closed; rejected when it cannot go on. */
  readonly ended: Promise<void>;
  close(): Promise<void>;
}

const VERSION = "1.4";
const MOST_USERS = 5000;
const MOST_PAGES = 10_000;

export async function startRandomUser(
  options: z.input<typeof RandomUserOptions> & { readonly faults?: Partial<z.input<typeof HttpFaults>> } = {},
): Promise<RandomUserSimulator> {
  const { faults: firstFaults, ...given } = options;
  const { port, seed, ledger: file, ledgerEntries } = RandomUserOptions.parse(given);
  const faults = new Faults(HttpFaults, firstFaults);
  const settings = { simulator: "randomuser", seed };
  const ledger = new Ledger({ file, settings, said: ["simulator", "seed"], remember: ledgerEntries });
  const remembered = () => new Set(ledger.entries("user").map(({ user }) => user.login.uuid));
  let givenAway = remembered();
  let requests = ledger.last("user")?.request ?? 0;

  const answer = (asked: Asked): Answer => {
    if (!/^\/api(\/(1\.4)?)?$/.test(asked.path))
      return { status: 404, json: { error: `There is no ${asked.path} here` } };
    const format = asked.query.get("format") ?? asked.query.get("fmt") ?? "json";
    if (!["json", "pretty", "prettyjson"].includes(format.toLowerCase()))
      return { status: 501, json: { error: `The simulator answers in JSON only, not in ${format}` } };
    const number = (requests += 1);
    const wanted = wantedBy(asked.query, () => hexadecimal(new Chance(seed, "request", number)));
    const users = makeUsers(wanted);
    const { seed: said, page, count } = wanted;
    const info = { seed: said, results: count, page, version: VERSION };
    const results = users.map(fieldsFor(asked.query));
    return {
      json: asked.query.has("noinfo") ? { results } : { results, info },
      record: () => {
        const news = users.filter(({ login }) => !givenAway.has(login.uuid));
        for (const { login } of news) givenAway.add(login.uuid);
        ledger.record(...news.map((user) => ({ kind: "user", request: number, user }) as const));
        if (givenAway.size > 4 * ledgerEntries) givenAway = remembered();
      },
    };
  };

  const service = { answer, problem: (status: number) => ({ error: problem(status) }) };
  const server = new SimulatorServer({ service, faults, ledger, seed, port });
  try {
    await server.start();
  } catch (error) {
    ledger.close();
    throw error;
  }
  return {
    url: `http://127.0.0.1:${server.port}`,
    ledger,
    faults,
    outage: (milliseconds) => server.outage(milliseconds),
    ended: server.ended,
    close: async () => {
      await server.close();
      ledger.close();
    },
  };
}

/** What a request asks for; what makes no sense is as if it were not said, as the API does it. */
function wantedBy(query: URLSearchParams, anySeed: () => string): UsersWanted {
  const number = (name: string, most: number): number => {
    const value = Number(query.get(name) ?? 1);
    return Number.isInteger(value) && value >= 1 && value <= most ? value : 1;
  };
  const said = query.get("seed") ?? "";
  const asked = (query.get("nat") ?? query.get("nationality") ?? "").toUpperCase().split(",").filter(Boolean);
  const gender = query.get("gender");
  return {
    seed: said === "" ? anySeed() : said,
    page: number("page", MOST_PAGES),
    count: number("results", MOST_USERS),
    nationalities: asked.length > 0 && asked.every((nat) => nat in NATIONS) ? asked : Object.keys(NATIONS),
    // A seed makes users of both.
    gender: said === "" && (gender === "male" || gender === "female") ? gender : null,
  };
}

/** Leaves out the fields that are not wanted: `inc` names those that are, `exc` those that are not. */
function fieldsFor(query: URLSearchParams): (user: User) => Partial<User> {
  const listed = (name: string) =>
    (query.get(name) ?? "")
      .split(",")
      .map((field) => field.trim().toLowerCase())
      .filter(Boolean);
  const [included, excluded] = [listed("inc"), listed("exc")];
  if (included.length === 0 && excluded.length === 0) return (user) => user;
  const isWanted = (field: string) => (included.length === 0 || included.includes(field)) && !excluded.includes(field);
  return (user) => Object.fromEntries(Object.entries(user).filter(([field]) => isWanted(field)));
}

const hexadecimal = (chance: Chance): string =>
  Array.from({ length: 16 }, () => chance.between(0, 15).toString(16)).join("");

function problem(status: number): string {
  if (status === 429) return "Too many users were asked for; try again later.";
  return "Something has gone wrong on our end; try again later.";
}
