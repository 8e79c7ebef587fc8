import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { scratchDirectory } from "../../test/scratch";
import { findPassword, passwordIn } from "./password";
import { type Place } from "./settings";

const scratch = scratchDirectory();
const place: Place = { host: "h", port: 5432, database: "d", user: "u" };

function fileWith(text: string, ...name: string[]): string {
  const file = scratch(...(name.length === 0 ? ["secret"] : name));
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

it("comes from the environment, a file, or psql's file, in this order", async () => {
  const environment = {
    PGPASSWORD: "one",
    POSTGRES_PASSWORD_FILE: fileWith("t wo \n"),
    PGPASSFILE: fileWith("h:5432:d:u:three\n", "pgpass"),
    HOME: scratch("home"),
  };
  mkdirSync(scratch("home"));
  fileWith("*:*:*:*:four", "home", ".pgpass");
  const found: string[] = [];
  for (const name of ["PGPASSWORD", "POSTGRES_PASSWORD_FILE", "PGPASSFILE", "HOME"] as const) {
    found.push(await findPassword(place, environment));
    environment[name] = "";
    if (name === "PGPASSFILE") environment.HOME = scratch("home");
  }
  expect(found).toEqual(["one", "t wo ", "three", "four"]);
});

it("is asked for in one sentence when there is none", async () => {
  await expect(findPassword(place, { HOME: scratch() })).rejects.toThrow(
    "postgres://u@h:5432/d asks for a password: set PGPASSWORD, POSTGRES_PASSWORD_FILE or PGPASSFILE",
  );
  await expect(findPassword(place, { PGPASSFILE: fileWith("other:5432:d:u:x") })).rejects.toThrow(
    /asks for a password/,
  );
});

it("is not taken from a file that is missing, or that others may read", async () => {
  await expect(findPassword(place, { POSTGRES_PASSWORD_FILE: scratch("none") })).rejects.toThrow(
    /^POSTGRES_PASSWORD_FILE .*none cannot be read: ENOENT$/,
  );
  const file = fileWith("*:*:*:*:x");
  chmodSync(file, 0o644);
  await expect(findPassword(place, { PGPASSFILE: file })).rejects.toThrow(
    /^PGPASSFILE .* may be read by others.*chmod 600/,
  );
});

it.each<[string, string | null]>([
  ["h:5432:d:u:x", "x"],
  ["*:*:*:*:x", "x"],
  ["# a comment\n\nh2:5432:d:u:x\nh:*:d:u:y\n*:*:*:*:z", "y"],
  ["h:5432:d:u:a:b\\\\c\\:d\r\n", "a:b\\c:d"],
  ["h:5432:d:u:", null],
  ["h:5432:d", null],
  ["h:5433:d:u:x", null],
  ["h:5432:D:u:x", null],
  ["", null],
])("%j", (text, expected) => {
  expect(passwordIn(text, place)).toBe(expected);
});

it("of a local socket is that of localhost", () => {
  expect(passwordIn("localhost:5432:d:u:x", { ...place, host: "/var/run/postgresql" })).toBe("x");
});
