import { createHash } from "node:crypto";
import { NATIONS } from "./people";
import { makeUsers, type User, type UsersWanted } from "./users";

const all = Object.keys(NATIONS);
const users = (more: Partial<UsersWanted> = {}): User[] =>
  makeUsers({ seed: "abc", page: 1, count: 400, nationalities: all, gender: null, ...more });

test("the same seed and page make the same users, however many are asked for", () => {
  expect(users()).toEqual(users());
  expect(users({ count: 7 })).toEqual(users().slice(0, 7));
  expect(users({ page: 2 })[0]).not.toEqual(users()[0]);
  expect(users({ seed: "abd" })[0]).not.toEqual(users()[0]);
  expect(new Set([...users(), ...users({ page: 2 })].map(({ login }) => login.uuid)).size).toBe(800);
});

test("each field has its form", () => {
  for (const user of users({ count: 50 })) {
    expect(user).toEqual({
      gender: expect.stringMatching(/^(fe)?male$/) as unknown,
      name: {
        title: expect.stringMatching(/^(Mr|Ms|Mrs|Miss)$/) as unknown,
        first: expect.any(String) as unknown,
        last: expect.any(String) as unknown,
      },
      location: {
        street: { number: expect.any(Number) as unknown, name: expect.any(String) as unknown },
        city: expect.any(String) as unknown,
        state: expect.any(String) as unknown,
        country: NATIONS[user.nat]?.country,
        postcode: expect.anything() as unknown,
        coordinates: {
          latitude: expect.stringMatching(/^-?\d{1,2}\.\d{4}$/) as unknown,
          longitude: expect.stringMatching(/^-?\d{1,3}\.\d{4}$/) as unknown,
        },
        timezone: {
          offset: expect.stringMatching(/^[+-]?\d+:\d\d$/) as unknown,
          description: expect.any(String) as unknown,
        },
      },
      email: expect.stringMatching(/^[a-z0-9-]+\.[a-z0-9-]+@example\.com$/) as unknown,
      login: {
        uuid: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/) as unknown,
        username: expect.stringMatching(/^[a-z]+\d{3}$/) as unknown,
        password: expect.any(String) as unknown,
        salt: expect.stringMatching(/^[a-zA-Z]{8}$/) as unknown,
        md5: expect.stringMatching(/^[0-9a-f]{32}$/) as unknown,
        sha1: expect.stringMatching(/^[0-9a-f]{40}$/) as unknown,
        sha256: createHash("sha256").update(`${user.login.password}${user.login.salt}`).digest("hex"),
      },
      dob: { date: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as unknown, age: expect.any(Number) as unknown },
      registered: {
        date: expect.stringMatching(/^20\d\d-\d\d-\d\dT.*Z$/) as unknown,
        age: expect.any(Number) as unknown,
      },
      phone: expect.stringMatching(/^[^#]+$/) as unknown,
      cell: expect.stringMatching(/^[^#]+$/) as unknown,
      id: { name: expect.any(String) as unknown, value: user.id.name === "" ? null : (expect.any(String) as unknown) },
      picture: {
        large: expect.stringMatching(/\/portraits\/(wo)?men\/\d+\.jpg$/) as unknown,
        medium: expect.stringMatching(/\/portraits\/med\/(wo)?men\/\d+\.jpg$/) as unknown,
        thumbnail: expect.stringMatching(/\/portraits\/thumb\/(wo)?men\/\d+\.jpg$/) as unknown,
      },
      nat: expect.stringMatching(/^[A-Z]{2}$/) as unknown,
    });
  }
});

test("ages are whole years, and the same next year", () => {
  for (const { dob, registered } of users({ count: 100 })) {
    expect(dob.age).toBeGreaterThanOrEqual(20);
    expect(dob.age).toBeLessThanOrEqual(81);
    expect(new Date(`${2026 - dob.age}-01-01T00:00:00Z`) >= new Date(dob.date)).toBe(true);
    expect(new Date(`${2025 - dob.age}-01-01T00:00:00Z`) < new Date(dob.date)).toBe(true);
    expect(registered.age).toBeLessThanOrEqual(24);
  }
});

test("post codes are texts in some countries and numbers in others", () => {
  const kinds = new Map(users().map(({ nat, location }) => [nat, typeof location.postcode]));
  expect(Object.fromEntries(kinds)).toEqual({
    ...Object.fromEntries(all.map((nat) => [nat, "number"])),
    CA: "string",
    GB: "string",
  });
});

test("names in their own letters, addresses in plain ones", () => {
  const [umlaut] = users({ nationalities: ["DE"] }).filter(
    ({ name }) => name.last === "Weiß" && name.first === "Käthe",
  );
  expect(umlaut?.email).toBe("kathe.weiss@example.com");
  const [other] = users({ nationalities: ["UA"] }).filter(
    ({ name }) => name.last === "Шевченко" && name.first === "Юрій",
  );
  expect(other?.email).toBe("iurii.shevchenko@example.com");
  const [apostrophe] = users({ nationalities: ["GB"] }).filter(
    ({ name }) => name.last === "O'Neill" && name.first === "Siân",
  );
  expect(apostrophe?.email).toBe("sian.oneill@example.com");
});

test("of one nation, of one gender", () => {
  expect(new Set(users({ nationalities: ["FR", "ES"] }).map(({ nat }) => nat))).toEqual(new Set(["FR", "ES"]));
  expect(new Set(users({ gender: "female" }).map(({ gender }) => gender))).toEqual(new Set(["female"]));
});
