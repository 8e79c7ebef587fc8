// PostgreSQL as a local server: the system's programs, a data directory of our own.
import { readFileSync } from "node:fs";
import { chown, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { Client } from "pg";
import { RunError, UsageError } from "../../../schema/errors";
import { refuseWindows } from "../other-ways";
import { identityOf, type ProcessIdentity } from "../process-identity";
import { runProgram, type Environment, type User } from "../programs";
import { HOST, type ServerKind } from "../server-kind";
import { findPostgres } from "./find-postgres";

/** The user and the database are both called so. */
const NAME = "beamline";
const url = (port: number): string => `postgres://${NAME}@${HOST}:${port}/${NAME}`;

export const postgres: ServerKind = {
  name: "postgres",
  usualPort: 15_432,
  portCount: 1,
  // SIGTERM would wait until every client has gone away by itself.
  stopSignal: "SIGINT",
  url,
  environment: () => ({}),
  probe: probePostgres,
  // The children of a server that was killed need a moment to notice.
  wasTooSoon: (log) => log.includes("pre-existing shared memory block"),

  async find({ data }, environment) {
    refuseWindows("postgres");
    const programs = await findPostgres(data, environment);
    const user = otherUser();
    // What it says is looked through for words in English.
    const settled: Environment = { ...environment, LC_ALL: "C" };
    return {
      fetch: () => Promise.resolve(),

      async createData({ say }, directory) {
        say(`creating a new PostgreSQL ${programs.version} database`);
        const settings = { cwd: directory, environment: settled, user };
        if (user !== null) {
          await chown(directory, user.uid, user.gid);
          const { code } = await runProgram("/bin/sh", ["-c", 'cd "$1"', "sh", directory], { cwd: "/", user });
          if (code !== 0)
            throw new UsageError(
              `PostgreSQL does not run as root, and the user ${user.name} may not enter ${directory}: set BEAMLINE_SERVICES_DIR to a directory that all may enter`,
            );
        }
        const initdb = ["-D", directory, "-U", NAME, "--auth=trust", "--encoding=UTF8", "--locale=C"];
        const made = await runProgram(programs.initdb, initdb, settings);
        if (made.code !== 0) throw new RunError(`initdb could not fill ${directory}:\n${made.output.trimEnd()}`);
        // As a single process, so that a database exists before anybody can connect.
        const single = ["--single", "-D", directory, "postgres"];
        const input = `create database ${NAME}\n`;
        const named = await runProgram(programs.postgres, single, { ...settings, input });
        if (named.code !== 0)
          throw new RunError(`The database ${NAME} could not be created:\n${named.output.trimEnd()}`);
      },

      async command({ data: directory }, port, ended) {
        await releaseLockFile(path.join(directory, "postmaster.pid"), ended);
        const settings = [`listen_addresses=${HOST}`, "unix_socket_directories=", "timezone=UTC", "log_timezone=UTC"];
        const args = ["-D", directory, "-p", String(port), ...settings.flatMap((setting) => ["-c", setting])];
        return { program: programs.postgres, args, environment: settled, user };
      },
    };
  },
};

/**
 * After a crash PostgreSQL believes that its pid still runs when the system gave it out again, or when nobody has buried
 * the process yet. It never takes its parent for another server, so our own pid tells it otherwise. The file stays, since
 * its other lines are how it notices children of the old server that are still at work.
 */
export async function releaseLockFile(file: string, ended: ProcessIdentity | null): Promise<void> {
  const text = await readFile(file, "utf8").catch(() => null);
  const pid = Number.parseInt(text ?? "", 10);
  if (text === null || (pid !== ended?.pid && identityOf(pid) !== null)) return;
  await writeFile(file, text.replace(/^\d+/, String(process.pid)));
}

async function probePostgres(port: number): Promise<void> {
  // Variables such as PGSSLMODE are about other servers.
  const client = new Client({
    connectionString: url(port),
    ssl: false,
    connectionTimeoutMillis: 5000,
    query_timeout: 5000,
  });
  // A connection that breaks later makes the query fail, or does not matter any more.
  client.on("error", () => undefined);
  try {
    await client.connect();
    await client.query("select 1");
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** As whom to run it: PostgreSQL refuses to run as root. Null is as ourselves. */
function otherUser(): User | null {
  if (process.getuid?.() !== 0) return null;
  const users = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"));
  for (const wanted of ["postgres", "nobody"]) {
    const [name, , uid, gid] = users.find(([found]) => found === wanted) ?? [];
    if (name !== undefined) return { name, uid: Number(uid), gid: Number(gid) };
  }
  throw new UsageError("PostgreSQL does not run as root, and there is no user postgres: run this as another user");
}
