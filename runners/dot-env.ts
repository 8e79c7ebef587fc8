// The settings of a .env file, for the command and for workers.
import fs from "node:fs";
import { parseEnv } from "node:util";
import { messageOf, UsageError } from "../schema/errors";

/** The file's settings become the environment's, where connectors look for secrets; what is set already wins. */
export function readDotEnv(): void {
  if (!fs.existsSync(".env")) return;
  let text: string;
  try {
    text = fs.readFileSync(".env", "utf8");
  } catch (error) {
    throw new UsageError(`.env cannot be read: ${messageOf(error)}`);
  }
  // The options of a web address stand behind a “#”: they would be gone without a word.
  const cut = /^\s*(?:export\s+)?(\w+)\s*=\s*[^\s"'`#]*:\/\/[^\s#]*#/m.exec(text);
  if (cut !== null)
    throw new UsageError(`.env: behind the “#” in ${cut[1]} all is a comment: put quotes around the whole value`);
  for (const [name, value] of Object.entries(parseEnv(text))) process.env[name] ??= value;
}
