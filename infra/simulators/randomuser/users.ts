// Made-up users in the form of randomuser.me's API 1.4: the same seed and page give the same users in the same order.
import { createHash } from "node:crypto";
import { Chance } from "../seeded";
import { ANIMALS, COLOURS, NATIONS, PASSWORDS, TIME_ZONES, type Nation } from "./people";

interface Dated {
  readonly date: string;
  /** In whole years. */
  readonly age: number;
}

export interface User {
  readonly gender: "male" | "female";
  readonly name: { readonly title: string; readonly first: string; readonly last: string };
  readonly location: {
    readonly street: { readonly number: number; readonly name: string };
    readonly city: string;
    readonly state: string;
    readonly country: string;
    /** A number in some countries, a text in others. */
    readonly postcode: number | string;
    readonly coordinates: { readonly latitude: string; readonly longitude: string };
    readonly timezone: { readonly offset: string; readonly description: string };
  };
  readonly email: string;
  readonly login: {
    readonly uuid: string;
    readonly username: string;
    readonly password: string;
    readonly salt: string;
    readonly md5: string;
    readonly sha1: string;
    readonly sha256: string;
  };
  readonly dob: Dated;
  readonly registered: Dated;
  readonly phone: string;
  readonly cell: string;
  readonly id: { readonly name: string; readonly value: string | null };
  readonly picture: { readonly large: string; readonly medium: string; readonly thumbnail: string };
  readonly nat: string;
}

export interface UsersWanted {
  readonly seed: string;
  readonly page: number;
  readonly count: number;
  readonly nationalities: readonly string[];
  readonly gender: "male" | "female" | null;
}

/** The time that ages are reckoned from: with the real time, the same seed would give other users next year. */
const NOW = Date.UTC(2026, 0, 1);
const YEAR = 365.25 * 24 * 3_600_000;
const BORN_FROM = Date.UTC(1944, 7, 25);
const REGISTERED_FROM = Date.UTC(2002, 2, 21);

export function makeUsers({ seed, page, count, nationalities, gender }: UsersWanted): User[] {
  const chance = new Chance("users", seed, page);
  return Array.from({ length: count }, () => makeUser(chance, chance.pick(nationalities), gender));
}

function makeUser(chance: Chance, nat: string, wanted: "male" | "female" | null): User {
  const nation = NATIONS[nat] as Nation;
  const gender = wanted ?? chance.pick(["male", "female"] as const);
  const [first, last] = [chance.pick(nation[gender]), chance.pick(nation.last)];
  const portrait = `${gender === "male" ? "men" : "women"}/${chance.between(0, gender === "male" ? 99 : 96)}.jpg`;
  const portraits = "https://randomuser.me/api/portraits";
  return {
    gender,
    name: { title: gender === "male" ? "Mr" : chance.pick(["Ms", "Mrs", "Miss"]), first, last },
    location: {
      street: { number: chance.between(1, 9999), name: chance.pick(nation.streets) },
      city: chance.pick(nation.cities),
      state: chance.pick(nation.states),
      country: nation.country,
      postcode: nation.postcode === null ? chance.between(10_000, 99_999) : filled(nation.postcode, chance),
      coordinates: { latitude: degrees(chance, 90), longitude: degrees(chance, 180) },
      timezone: chance.pick(TIME_ZONES),
    },
    email: `${inAscii(`${first}.${last}`)}@example.com`,
    login: login(chance),
    dob: dated(chance, BORN_FROM, NOW - 21 * YEAR),
    registered: dated(chance, REGISTERED_FROM, NOW),
    phone: filled(nation.phone, chance),
    cell: filled(nation.cell, chance),
    id: { name: nation.id.name, value: nation.id.value === null ? null : filled(nation.id.value, chance) },
    picture: {
      large: `${portraits}/${portrait}`,
      medium: `${portraits}/med/${portrait}`,
      thumbnail: `${portraits}/thumb/${portrait}`,
    },
    nat,
  };
}

function login(chance: Chance): User["login"] {
  const [password, salt] = [
    chance.pick(PASSWORDS),
    text(chance, "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ", 8),
  ];
  const hashed = (algorithm: string) => createHash(algorithm).update(`${password}${salt}`).digest("hex");
  return {
    uuid: uuid(chance),
    username: `${chance.pick(COLOURS)}${chance.pick(ANIMALS)}${chance.between(100, 999)}`,
    password,
    salt,
    md5: hashed("md5"),
    sha1: hashed("sha1"),
    sha256: hashed("sha256"),
  };
}

function uuid(chance: Chance): string {
  const digits = text(chance, "0123456789abcdef", 30);
  const parts = [digits.slice(0, 8), digits.slice(8, 12), `4${digits.slice(12, 15)}`];
  return [...parts, `${chance.pick(["8", "9", "a", "b"])}${digits.slice(15, 18)}`, digits.slice(18)].join("-");
}

function dated(chance: Chance, from: number, to: number): Dated {
  const time = Math.floor(from + chance.next() * (to - from));
  return { date: new Date(time).toISOString(), age: yearsBetween(new Date(time), new Date(NOW)) };
}

function yearsBetween(from: Date, to: Date): number {
  const years = to.getUTCFullYear() - from.getUTCFullYear();
  const anniversary = new Date(from);
  anniversary.setUTCFullYear(to.getUTCFullYear());
  return anniversary > to ? years - 1 : years;
}

const degrees = (chance: Chance, most: number): string => ((chance.next() * 2 - 1) * most).toFixed(4);

const text = (chance: Chance, letters: string, length: number): string =>
  Array.from({ length }, () => chance.pick([...letters])).join("");

/** `#` becomes a digit, `A` a letter. */
const filled = (pattern: string, chance: Chance): string =>
  pattern.replace(/[#A]/g, (mark) => chance.pick([...(mark === "#" ? "0123456789" : "ABCEGHJKLMNPRSTVXY")]));

const CYRILLIC: Readonly<Record<string, string>> = Object.fromEntries(
  "а a б b в v г h ґ g д d е e є ie ж zh з z и y і i ї i й i к k л l м m н n о o п p р r с s т t у u ф f х kh ц ts ч ch ш sh щ shch ь - ю iu я ia"
    .split(" ")
    .flatMap((letter, at, all) => (at % 2 === 0 ? [[letter, (all[at + 1] ?? "").replace("-", "")]] : [])),
);

/** As it stands in an e-mail address. */
function inAscii(name: string): string {
  return name
    .toLowerCase()
    .replace(/[а-яєіїґ]/g, (letter) => CYRILLIC[letter] ?? "")
    .replaceAll("ß", "ss")
    .normalize("NFD")
    .replace(/[^a-z0-9.-]/g, "");
}
