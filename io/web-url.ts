// The URLs of web addresses: checked, changed without writing them anew, and shown without what nobody may see.
import { UsageError } from "../schema/errors";
import { type Range } from "../schema/record";
import { type Address } from "./connector";

/** Names of query parameters whose values are most likely secrets. It rather hides too much. */
const SECRET_NAME =
  /key$|token|secret|passw|passphrase|^pwd$|^pass$|signature|^sig$|credential|session|auth|jwt|^code$/i;

/** The URL that an address means. Its query is the server's, as it was written. */
export function urlOf({ scheme, path }: Address): URL {
  const form = `${scheme}://host/path`;
  // Not shown: what stands before an @ is most likely a password.
  if (/^\/*[^/?]*@/.test(path))
    throw new UsageError(
      `The ${scheme}: address has a user before its host, but a user and password never stand in an address: set BEAMLINE_HTTP_AUTHORIZATION and BEAMLINE_HTTP_HOSTS`,
    );
  const url = URL.canParse(`${scheme}:${path}`) ? new URL(`${scheme}:${path}`) : null;
  if (url === null || !path.startsWith("//") || url.hostname === "")
    throw new UsageError(`“${scheme}:${path.split("?", 1)[0]}” is not a web address: it has the form ${form}`);
  return url;
}

/** The address as one text, which parseAddress takes apart again. */
export function uriOf({ scheme, path, options }: Address): string {
  const fragment = new URLSearchParams(options).toString();
  return `${scheme}:${path}${fragment === "" ? "" : `#${fragment}`}`;
}

/**
 * What a run with an end reads of a web address: one range. Nothing can be read there twice, so no two plans have the same
 * positions: they count from the time of the plan, in microseconds, and nobody is as fast as that.
 */
export function rangeOf(address: Address, source: string, now = Date.now()): Range {
  return { connector: address.scheme, source, from: now * 1000, to: null, detail: { uri: uriOf(address) } };
}

/** The URL for people and records, with *** for what looks like a secret. */
export function shownUrl(url: URL): string {
  const query = parametersOf(url).map(({ name, text }) =>
    SECRET_NAME.test(name) ? `${text.split("=", 1)[0]}=***` : text,
  );
  return `${url.protocol}//${url.host}${url.pathname}${query.length === 0 ? "" : `?${query.join("&")}`}`;
}

/** The value of a query parameter; null when there is none. */
export const parameterOf = (url: URL, name: string): string | null => url.searchParams.get(name);

/** The same URL with one query parameter set. The others stay as they were written: a service may be particular. */
export function withParameter(url: URL, name: string, value: string | number): URL {
  const others = parametersOf(url).filter((parameter) => parameter.name !== name);
  const changed = new URL(url);
  changed.search = [...others.map(({ text }) => text), `${encodeURIComponent(name)}=${encodeURIComponent(value)}`].join(
    "&",
  );
  return changed;
}

function parametersOf(url: URL): { readonly name: string; readonly text: string }[] {
  const texts = url.search.slice(1).split("&");
  return texts.flatMap((text) => {
    const [name = ""] = new URLSearchParams(text).keys();
    return text === "" ? [] : [{ name, text }];
  });
}
