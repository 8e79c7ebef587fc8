// Connector URIs: `file:data/*.ndjson`, `sqlite:data/app.db`, `stdout:`. Written by people, so mistakes get an answer.
// Options stand behind a question mark. A web address has one of its own, which is for its server, and its options stand
// behind a `#`: that part of a URL no server ever sees.
import { distance } from "fastest-levenshtein";
import { UsageError } from "../schema/errors";
import { type Address } from "./connector";

const FORM = /^([a-z][a-z0-9+.-]*):(.*)$/is;
const OF_THE_WEB = ["http", "https", "ws", "wss"];

/** Takes a connector URI apart. */
export function parseAddress(uri: string): Address {
  const match = FORM.exec(uri);
  // A drive letter (C:\data) is a path that somebody forgot to put behind "file:", not a scheme of one letter.
  if (match === null || (match[1]?.length ?? 0) < 2) {
    throw new UsageError(`“${uri}” is not a connector URI: it needs a scheme, such as file:${uri}`);
  }
  const [, name = "", rest = ""] = match;
  const scheme = name.toLowerCase();
  if (OF_THE_WEB.includes(scheme)) {
    const [path = ""] = rest.split("#", 1);
    return { scheme, path, options: optionsOf(rest.slice(path.length + 1)) };
  }
  const mark = rest.lastIndexOf("?");
  // A question mark is also a glob's sign for one character; options have the form name=value.
  const query = mark < 0 ? "" : rest.slice(mark + 1);
  if (!/^[a-z][\w-]*=/.test(query)) return { scheme, path: rest, options: {} };
  return { scheme, path: rest.slice(0, mark), options: optionsOf(query) };
}

const optionsOf = (text: string): Record<string, string> => Object.fromEntries(new URLSearchParams(text));

/** The word of `known` that `word` was probably meant to be, if any is near enough. */
export function nearest(word: string, known: readonly string[]): string | null {
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of known) {
    const steps = distance(word.toLowerCase(), candidate.toLowerCase());
    if (steps < bestDistance) [best, bestDistance] = [candidate, steps];
  }
  const allowed = Math.max(1, Math.floor(word.length / 2));
  return bestDistance <= allowed ? best : null;
}

/** `: did you mean “x”?` when there is a near word, else the list of all. */
export function suggestion(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  return near === null ? `it must be one of ${known.join(", ")}` : `did you mean “${near}”?`;
}
