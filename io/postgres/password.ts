// Where a password comes from: the environment, or a file that it names. Never from an address, and never shown.
import { readFile, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { codeOf, messageOf, UsageError } from "../../schema/errors";
import { type Environment, type Place, shownServer } from "./settings";

/** Asked for when a server wants one. */
export async function findPassword(place: Place, environment: Environment = process.env): Promise<string> {
  const given = environment["PGPASSWORD"];
  if (given !== undefined && given !== "") return given;
  const file = environment["POSTGRES_PASSWORD_FILE"];
  if (file !== undefined && file !== "") return (await readNamed("POSTGRES_PASSWORD_FILE", file)).replace(/\r?\n$/, "");
  const found = await fromPasswordFile(place, environment);
  if (found !== null) return found;
  throw new UsageError(
    `${shownServer(place)} asks for a password: set PGPASSWORD, POSTGRES_PASSWORD_FILE or PGPASSFILE`,
  );
}

async function fromPasswordFile(place: Place, environment: Environment): Promise<string | null> {
  const named = environment["PGPASSFILE"];
  if (named !== undefined && named !== "") return passwordIn(await readNamed("PGPASSFILE", named, true), place);
  const usual =
    process.platform === "win32"
      ? path.join(environment["APPDATA"] ?? "", "postgresql", "pgpass.conf")
      : path.join(environment["HOME"] || os.homedir(), ".pgpass");
  try {
    await stat(usual);
  } catch {
    return null;
  }
  return passwordIn(await readNamed("The password file", usual, true), place);
}

async function readNamed(name: string, file: string, isPrivate = false): Promise<string> {
  try {
    const { mode } = await stat(file);
    // psql ignores such a file without a word, and then nobody understands why the password is wrong.
    if (isPrivate && process.platform !== "win32" && (mode & 0o077) !== 0)
      throw new UsageError(`${name} ${file} may be read by others, so it is not used: chmod 600 ${file}`);
    return await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${name} ${file} cannot be read: ${codeOf(error) ?? messageOf(error)}`);
  }
}

/** The password of the first line that fits: host:port:database:user:password, `*` for any, `\` before `:` and `\`. */
export function passwordIn(text: string, { host, port, database, user }: Place): string | null {
  const wanted = [host.startsWith("/") ? "localhost" : host, String(port), database, user];
  for (const line of text.split(/\r?\n/)) {
    if (line === "" || line.startsWith("#")) continue;
    const fields: string[] = [""];
    for (const [, escaped, plain] of line.matchAll(/\\(.)|(.)/gsu)) {
      // A password is all the rest, but for escapes.
      if (plain === ":" && fields.length < 5) fields.push("");
      else fields[fields.length - 1] += escaped ?? plain ?? "";
    }
    const [password] = fields.slice(4);
    if (password === undefined || password === "") continue;
    // A field that is `*` alone is any; one that was written `\*` is taken for it too, as nobody has such a name.
    if (wanted.every((value, at) => fields[at] === "*" || fields[at] === value)) return password;
  }
  return null;
}
