// Which input is read from where, and which output is written where, from what was said on the command line.
import fs from "node:fs";
import { localPath } from "../io/local-path";
import { nearest, parseAddress, suggestion } from "../io/address";
import { type Address } from "../io/connector";
import { sourceOf } from "../io/registry";
import { type Pipeline } from "../pipelines/definition";
import { UsageError } from "../schema/errors";
import { nameOfPlace } from "./several-places";

const DEFAULT_STORE = "sqlite:data/app.db";
const SAMPLE = "sample";
const STDIN = "stdin";
/** Where the system that a pipeline belongs to has its records or wants its rows. */
const LIVE = "live";

/** `name=URI` or `URI`; a scheme has no “=”, so the two cannot be mixed up. */
function split(text: string): { name: string | null; uri: string } {
  const match = /^([a-zA-Z_][\w-]*)=(.*)$/s.exec(text);
  return match === null ? { name: null, uri: text } : { name: match[1] ?? null, uri: match[2] ?? "" };
}

/** Where an input is read from. */
export interface InputAddress {
  readonly address: Address;
  /** The name that its records' origins get instead of the address, for bundled samples. */
  readonly as: string | null;
}

/** Connectors know nothing of samples, so they cannot be what tells that “smaple:” was meant to be one. */
function checkSource(address: Address): void {
  try {
    sourceOf(address);
  } catch (error) {
    const near = nearest(address.scheme, [SAMPLE, LIVE]);
    if (near === null) throw error;
    throw new UsageError(`“${address.scheme}:” is not a known kind of address; did you mean “${near}:”?`);
  }
}

/** For every input its address. */
export function inputAddresses(
  pipeline: Pipeline,
  from: readonly string[],
  params: unknown,
): Record<string, InputAddress> {
  const names = Object.keys(pipeline.inputs);
  const chosen = choose(pipeline, "input", "--from", names, from);
  const addresses = Object.entries(pipeline.inputs).map(([name, input]): [string, InputAddress] => {
    const { from: usual, sample, live } = input;
    const [uri = chosen.rest ?? usual, second] = chosen.named.get(name) ?? [];
    if (second !== undefined) throw new UsageError(`--from ${name}=… is given twice`);
    const address = addressOf(pipeline, "input", name, uri, live, params);
    if (address.scheme !== SAMPLE) {
      checkSource(address);
      return [name, { address, as: null }];
    }
    if (address.path !== "" && address.path !== name) {
      throw new UsageError(`There is no sample “${address.path}”: ${suggestion(address.path, names)}`);
    }
    return [name, { address: { scheme: "file", path: sample, options: {} }, as: `sample:${name}` }];
  });
  checkPiped(addresses.filter(([, { address }]) => address.scheme === STDIN).map(([name]) => name));
  return Object.fromEntries(addresses);
}

/** Two readers of one pipe would each get a part of what comes, and nobody could say which. */
function checkPiped([first, second]: readonly string[]): void {
  if (second === undefined) return;
  throw new UsageError(
    `Standard input cannot be both ${first} and ${second}: say where one of them is, such as --from ${second}=file:${second}.ndjson`,
  );
}

/**
 * For every output its address, and for its further places theirs, by the names that withPlaces() gives them. Dead letters
 * go beside the rows unless they are sent elsewhere by name.
 */
export function outputAddresses(pipeline: Pipeline, to: readonly string[], params: unknown): Record<string, Address> {
  const chosen = choose(pipeline, "output", "--to", Object.keys(pipeline.outputs), to);
  const rest = chosen.rest ?? DEFAULT_STORE;
  return Object.fromEntries(
    Object.entries(pipeline.outputs).flatMap(([name, { table, to: usual = DEFAULT_STORE, live = null }]) => {
      const hasOwnPlace = table.mode === "upsert" || (live !== null && parseAddress(rest).scheme === LIVE);
      const uris = chosen.named.get(name) ?? [hasOwnPlace ? (chosen.rest ?? usual) : besideRows(rest, name)];
      if (uris.length > 1 && table.mode === "by-origin")
        throw new UsageError(
          `--to ${name}=… is given twice: dead letters have one place, where they are replayed from`,
        );
      return uris.map((uri, index) => [
        nameOfPlace(name, index),
        addressOf(pipeline, "output", name, uri, live, params),
      ]);
    }),
  );
}

function addressOf(
  pipeline: Pipeline,
  what: string,
  name: string,
  uri: string,
  live: ((params: never) => string) | null,
  params: unknown,
): Address {
  const address = parseAddress(uri);
  if (address.scheme !== LIVE) return address;
  if (live === null || address.path !== "")
    throw new UsageError(`“${uri}”: the ${what} ${name} of ${pipeline.name} has no live place; give it an address`);
  return parseAddress(live(params as never));
}

function besideRows(uri: string, name: string): string {
  const { scheme, path } = parseAddress(uri);
  if (scheme === "stdout") return `file:data/${name}.ndjson`;
  // A topic takes one output only.
  if (scheme === "kafka" || scheme === LIVE) return DEFAULT_STORE;
  // A database takes the letters beside the rows, and so does a directory of files.
  if (scheme !== "file" || /[\\/]$/.test(path) || isDirectory(path)) return uri;
  const [, stem = path] = /^(.*?)\.[^./\\]+(\.gz)?$/i.exec(path) ?? [];
  return `file:${stem}.${name}.ndjson`;
}

function isDirectory(path: string): boolean {
  try {
    return fs.statSync(localPath(path)).isDirectory();
  } catch {
    // What is wrong with the path is told when it is written to.
    return false;
  }
}

function choose(
  pipeline: Pipeline,
  what: string,
  flag: string,
  names: readonly string[],
  texts: readonly string[],
): { named: Map<string, string[]>; rest: string | null } {
  const named = new Map<string, string[]>();
  let rest: string | null = null;
  for (const text of texts) {
    const { name, uri } = split(text);
    if (name === null) {
      if (rest !== null)
        throw new UsageError(`${flag} is given twice (${rest}, ${uri}): say which ${what}, ${flag} ${names[0]}=${uri}`);
      rest = uri;
    } else if (!names.includes(name)) {
      throw new UsageError(`${pipeline.name} has no ${what} “${name}”: ${suggestion(name, names)}`);
    } else {
      named.set(name, [...(named.get(name) ?? []), uri]);
    }
  }
  return { named, rest };
}
