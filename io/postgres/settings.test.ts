import { UsageError } from "../../schema/errors";
import { parseAddress } from "../address";
import { postgres } from "./postgres";
import { placeOf, postgresSettings, readOptions, settingsOf, shownServer } from "./settings";
import { tlsOptions } from "./tls";

const settings = (uri: string, environment = {}, side: "sink" | "source" = "sink") =>
  settingsOf(parseAddress(uri), side, environment);

it("has a usual value for all that an address leaves out", () => {
  expect(settings("postgres://ann@db.example:5433/shop")).toEqual({
    host: "db.example",
    port: 5433,
    user: "ann",
    database: "shop",
    schema: "public",
    tls: { mode: "disable", rootCertificates: null },
    connectTimeout: 10_000,
    answerTimeout: 8_000,
    statementTimeout: 300_000,
    lockTimeout: 30_000,
  });
});

it("takes options", () => {
  const options = "schema=my&sslmode=require&connect_timeout=1s&answer_timeout=2s&statement_timeout=0&lock_timeout=3m";
  expect(settings(`postgres://ann@h/shop?${options}`)).toMatchObject({
    schema: "my",
    tls: { mode: "require" },
    connectTimeout: 1_000,
    answerTimeout: 2_000,
    statementTimeout: 0,
    lockTimeout: 180_000,
  });
});

it("takes what an address does not say from the environment, as psql does", () => {
  const environment = { PGHOST: "h", PGPORT: "1", PGUSER: "u", PGDATABASE: "d", PGSSLMODE: "verify-full" };
  const expected = { host: "h", port: 1, user: "u", database: "d", tls: { mode: "verify-full" } };
  for (const uri of ["postgres://", "postgres:///"]) expect(settings(uri, environment)).toMatchObject(expected);
  expect(settings("postgres://a@b:2/c?sslmode=disable", environment)).toMatchObject({
    host: "b",
    port: 2,
    user: "a",
    database: "c",
    tls: { mode: "disable" },
  });
});

it.each([
  ["postgres://ann@[::1]:5433/shop", { host: "::1", user: "ann" }, "postgres://ann@[::1]:5433/shop"],
  ["postgres://a%40b@h/my%20shop", { user: "a@b", database: "my shop" }, "postgres://a%40b@h:5432/my%20shop"],
  ["postgres://a@%2Fvar%2Frun/shop", { host: "/var/run" }, "postgres://a@%2Fvar%2Frun:5432/shop"],
])("%s", (uri, expected, shown) => {
  const place = placeOf(parseAddress(uri), {});
  expect(place).toMatchObject(expected);
  expect(shownServer(place)).toBe(shown);
  expect(placeOf(parseAddress(shown), {})).toEqual(place);
});

it("is one place, however the address is written", () => {
  const place = (uri: string) => postgres.sink?.place(parseAddress(uri));
  expect(place("postgres://ann@DB.example/shop?schema=a")).toBe(place("POSTGRES://%61nn@db.example:5432/shop"));
  expect(place("postgres://ann@db/shop")).not.toBe(place("postgres://ann@db/shop2"));
});

describe("a mistake is answered in one sentence", () => {
  it.each([
    ["postgres://ann:hush@h/shop", /must not have a password in it.*PGPASSWORD, POSTGRES_PASSWORD_FILE or PGPASSFILE/],
    ["postgres://ann:hu@sh@h/shop", /must not have a password in it/],
    ["postgres://:hush@h/shop", /must not have a password in it/],
    ["postgres://ann@h/shop?password=hush", /must not have a password in it/],
    ["postgres://ann@h", /names no database: write it like postgres:\/\/user@host:5432\/database/],
    ["postgres:shop", /has the form postgres:\/\/user@host:5432\/database/],
    ["postgres://ann@h/a/b", /has the form/],
    ["postgres://ann@h:0/shop", /“0” is not a port/],
    ["postgres://ann@h:x/shop", /“x” is not a port/],
    ["postgres://ann@h/%zz", /a % that stands for no character/],
    ["postgres://ann@h/shop?scheme=a", /The option “scheme” of postgres:\/\/ann@h:5432\/shop: did you mean “schema”/],
    ["postgres://ann@h/shop?table=t", /The option “table”/],
    ["postgres://ann@h/shop?schema=", /schema= needs the name of a schema/],
    ["postgres://ann@h/shop?lock_timeout=7", /lock_timeout=7 is not a duration: write it like lock_timeout=30s/],
    ["postgres://ann@h/shop?connect_timeout=0", /connect_timeout=0 is not a duration above 0/],
    ["postgres://ann@h/shop?sslmode=verify", /sslmode=verify: did you mean “verify-(ca|full)”/],
    [
      "postgres://ann@h/shop?sslmode=prefer",
      /sslmode=prefer: encrypts only if nobody objects; choose one of disable, /,
    ],
  ])("%s", (uri, message) => {
    expect(() => settings(uri)).toThrow(UsageError);
    expect(() => settings(uri)).toThrow(message);
    expect(() => settings(uri)).not.toThrow(/hu/);
  });

  it("and so is one in the environment", () => {
    expect(() => settings("postgres://ann@h/shop", { PGSSLMODE: "on" })).toThrow(/^PGSSLMODE=on: it must be one of/);
    expect(() => settings("postgres://ann@h/shop", { PGPORT: "x" })).toThrow(/“x” is not a port/);
  });
});

describe("TLS", () => {
  const options = (uri: string, environment = {}) => tlsOptions(settings(uri, environment).tls);

  it("checks as much as libpq does", () => {
    expect(options("postgres://a@h/d")).toBe(false);
    expect(options("postgres://a@h/d?sslmode=require")).toMatchObject({ rejectUnauthorized: false });
    expect(options("postgres://a@h/d?sslmode=verify-full")).toEqual({ rejectUnauthorized: true });
    expect(options("postgres://a@h/d?sslmode=verify-ca")).toMatchObject({ rejectUnauthorized: true });
    expect(options("postgres://a@h/d?sslmode=require", { PGSSLROOTCERT: __filename })).toMatchObject({
      rejectUnauthorized: true,
      ca: expect.stringContaining("checks as much as libpq does") as string,
    });
    expect(options("postgres://a@%2Frun/d?sslmode=require")).toBe(false);
  });

  it("names a file that cannot be read", () => {
    expect(() => options("postgres://a@h/d?sslmode=verify-full", { PGSSLROOTCERT: "/no/such" })).toThrow(
      /^PGSSLROOTCERT names \/no\/such, which cannot be read/,
    );
  });
});

it("every setting is described", () => {
  const all = [...readOptions, ...postgresSettings];
  for (const { name, description } of all) expect([name, description]).toEqual([name, expect.stringMatching(/\w{3}/)]);
  expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
});
