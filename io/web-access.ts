// Who we are to a web server: headers with secrets, from the environment or a file, never from an address. They are for
// the hosts that are named beside them: a token in .env must not go to every server that some pipeline reads.
import { readFileSync } from "node:fs";
import { validateHeaderName, validateHeaderValue } from "node:http";
import { codeOf, messageOf, UsageError } from "../schema/errors";
import { type EnvironmentSetting } from "./about";

export const webSettings = [
  {
    name: "BEAMLINE_HTTP_HOSTS",
    description: "the hosts that the following headers go to, with commas between: host, or host:port",
    secret: false,
  },
  { name: "BEAMLINE_HTTP_AUTHORIZATION", description: "the header Authorization, such as Bearer …", secret: true },
  { name: "BEAMLINE_HTTP_AUTHORIZATION_FILE", description: "file with it, instead of it", secret: false },
  { name: "BEAMLINE_HTTP_HEADERS", description: 'more headers, as JSON: {"X-API-Key": "…"}', secret: true },
  { name: "BEAMLINE_HTTP_HEADERS_FILE", description: "file with them, instead of them", secret: false },
] as const satisfies readonly EnvironmentSetting[];

type Name = (typeof webSettings)[number]["name"];
export type Environment = Readonly<Record<string, string | undefined>>;

/** The headers that a request to a URL takes along, their names in small letters. */
export type Access = (url: URL) => Readonly<Record<string, string>>;

export const NO_ACCESS: Access = () => ({});

/** These are the protocol's own: one of them from outside would break it, or smuggle a second request. */
const PROTOCOLS_OWN =
  /^(host|connection|content-length|transfer-encoding|upgrade|te|trailer|expect|accept-encoding|sec-websocket-.*|if-none-match|if-modified-since)$/;

export function accessOf(environment: Environment = process.env): Access {
  const authorization = valueOf(environment, "BEAMLINE_HTTP_AUTHORIZATION", "BEAMLINE_HTTP_AUTHORIZATION_FILE");
  const more = valueOf(environment, "BEAMLINE_HTTP_HEADERS", "BEAMLINE_HTTP_HEADERS_FILE");
  const headers: Record<string, string> = more === null ? {} : headersOf(more.text, more.name);
  if (authorization !== null)
    headers["authorization"] = checked("authorization", authorization.text, authorization.name);
  const name = (authorization ?? more)?.name;
  if (name === undefined) return NO_ACCESS;
  const hosts = (environment["BEAMLINE_HTTP_HOSTS"] ?? "").split(",").map((host) => host.trim().toLowerCase());
  if (hosts.every((host) => host === ""))
    throw new UsageError(
      `${name} is set, but not for which hosts: set BEAMLINE_HTTP_HOSTS, such as BEAMLINE_HTTP_HOSTS=api.example.com`,
    );
  return ({ host, hostname }) => (hosts.includes(host) || hosts.includes(hostname) ? headers : {});
}

function headersOf(json: string, name: Name): Record<string, string> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    parsed = null;
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
    throw new UsageError(`${name} is not a JSON object of headers, such as {"X-API-Key": "…"}`);
  const headers: Record<string, string> = {};
  for (const [header, value] of Object.entries(parsed)) {
    if (typeof value !== "string") throw new UsageError(`${name}: the header ${header} must be text`);
    headers[header.toLowerCase()] = checked(header.toLowerCase(), value, name);
  }
  return headers;
}

/** The value is never shown: it is most likely a secret. */
function checked(header: string, value: string, name: Name): string {
  if (PROTOCOLS_OWN.test(header)) throw new UsageError(`${name}: the header ${header} is not for settings`);
  try {
    validateHeaderName(header);
    validateHeaderValue(header, value);
  } catch {
    throw new UsageError(`${name}: the header ${header} has a name or value that no header can have`);
  }
  return value;
}

/** An empty value counts as none: that is how a variable is unset in many files. */
function valueOf(environment: Environment, direct: Name, inFile: Name): { text: string; name: Name } | null {
  const text = environment[direct];
  if (text) return { text, name: direct };
  const file = environment[inFile];
  if (!file) return null;
  try {
    // An editor ends the last line of a file; no header ends so.
    return { text: readFileSync(file, "utf8").replace(/\r?\n$/, ""), name: inFile };
  } catch (error) {
    const why = codeOf(error) === "ENOENT" ? "does not exist" : `cannot be read (${messageOf(error)})`;
    throw new UsageError(`${inFile} names the file ${file}, which ${why}`);
  }
}
