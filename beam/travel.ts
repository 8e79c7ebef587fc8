// How functions, options and schemas travel to a worker: by name, never by source text. What is registered goes as a
// reference; plain data goes as itself; an instance of a registered class goes as its name and its fields.
import { types } from "node:util";
import { serialization } from "./sdk";

const byName = new Map<string, unknown>();
const names = new Map<object, string>();

/**
 * Makes values known under `<module>#<name>` here and in every worker, which loads `module` by that name before it
 * starts. Call it at the end of the module that exports them.
 */
export function register(module: string, values: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(values)) {
    const full = `${module}#${name}`;
    byName.set(full, value);
    // Numbers and texts go as themselves: by reference, every equal one would become this one.
    if (isReferable(value)) names.set(value, full);
  }
  serialization.requireForSerialization(module, { ...values });
}

/** The modules that have registered something in this process. */
export const registeredModules = (): readonly string[] =>
  [...new Set([...byName.keys()].map((name) => name.slice(0, name.indexOf("#"))))].sort();

/** The name that a value was registered under, without its module. */
export function registeredName(value: unknown): string | null {
  const full = nameOf(value);
  return full === undefined ? null : full.slice(full.indexOf("#") + 1);
}

function isReferable(value: unknown): value is object {
  return typeof value === "function" || (typeof value === "object" && value !== null);
}

function nameOf(value: unknown): string | undefined {
  return isReferable(value) ? names.get(value) : undefined;
}

type Packed =
  | null
  | boolean
  | number
  | string
  | readonly Packed[]
  | { readonly $: string; readonly of?: Packed; readonly in?: Packed }
  | { readonly [name: string]: Packed };

/** Plain JSON for anything that may travel. Throws with the path of what may not. */
export function pack(value: unknown, path = "options"): Packed {
  const name = nameOf(value);
  if (name !== undefined) return { $: "ref", of: name };
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      if (Object.is(value, -0)) return { $: "number", of: "-0" };
      return Number.isFinite(value) ? value : { $: "number", of: String(value) };
    case "bigint":
      return { $: "bigint", of: String(value) };
    case "undefined":
      return { $: "undefined" };
    case "object":
      return value === null ? null : packObject(value, path);
    default:
      throw new Error(
        `${path} (${typeof value} ${describe(value)}) cannot travel to a worker: export it, and name it with register("<package>/<module>", { … })`,
      );
  }
}

function packObject(value: object, path: string): Packed {
  // Not by instanceof: under jest these may come from another realm, whose classes are not ours.
  if (Array.isArray(value)) return Array.from(value, (item, at) => pack(item, `${path}[${at}]`));
  if (types.isDate(value)) return { $: "date", of: pack(value.getTime()) };
  if (types.isRegExp(value)) return { $: "regexp", of: [value.source, value.flags] };
  if (types.isUint8Array(value)) return { $: "bytes", of: Buffer.from(value).toString("base64") };
  if (types.isMap(value)) return { $: "map", of: Array.from(value, (pair, at) => pack(pair, `${path}.entry(${at})`)) };
  if (types.isSet(value)) return { $: "set", of: Array.from(value, (item, at) => pack(item, `${path}.value(${at})`)) };
  const prototype = Object.getPrototypeOf(value) as { constructor?: unknown } | null;
  if (prototype === null || isPlain(prototype)) {
    const fields = packFields(value, path);
    return Object.hasOwn(fields, "$") ? { $: "object", of: fields } : fields;
  }
  const instance = `${path} (an instance of ${describe(prototype.constructor)})`;
  const name = nameOf(prototype.constructor);
  if (name === undefined) {
    throw new Error(
      `${instance} cannot travel to a worker: export the class, and name it with register("<package>/<module>", { … })`,
    );
  }
  if (hasPrivateNames(prototype)) {
    throw new Error(
      `${instance} cannot travel to a worker: nothing can copy a #private field; write “private” instead`,
    );
  }
  return { $: "new", of: name, in: packFields(value, path) };
}

function isPlain(prototype: object): boolean {
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "isPrototypeOf");
}

/** Whether a class or one it extends uses this.#something: only its source text tells, and the copy would not have it. */
function hasPrivateNames(prototype: object): boolean {
  for (
    let at: object | null = prototype;
    at !== null && !isPlain(at);
    at = Object.getPrototypeOf(at) as object | null
  ) {
    if (/\bthis\.#[\w$]/.test(String(at.constructor))) return true;
  }
  return false;
}

function packFields(value: object, path: string): Record<string, Packed> {
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(fields.map(([name, field]) => [name, pack(field, `${path}.${name}`)]));
}

function describe(value: unknown): string {
  return typeof value === "function" && value.name !== "" ? `“${value.name}”` : "without a name";
}

/** The value that `pack` was given. */
export function unpack(packed: unknown): unknown {
  if (packed === null || typeof packed !== "object") return packed;
  if (Array.isArray(packed)) return packed.map(unpack);
  const { $: tag, of, in: fields } = packed as { $?: string; of?: unknown; in?: Record<string, unknown> };
  switch (tag) {
    case undefined:
      return unpackFields(packed as Record<string, unknown>, {});
    case "ref":
      return lookUp(of as string);
    case "new": {
      const constructor = lookUp(of as string) as { prototype: object };
      return unpackFields(fields ?? {}, Object.create(constructor.prototype) as Record<string, unknown>);
    }
    case "object":
      return unpackFields(of as Record<string, unknown>, {});
    case "number":
      return Number(of);
    case "bigint":
      return BigInt(of as string);
    case "undefined":
      return undefined;
    case "date":
      return new Date(unpack(of) as number);
    case "regexp": {
      const [source = "", flags] = of as string[];
      return new RegExp(source, flags);
    }
    case "bytes":
      return new Uint8Array(Buffer.from(of as string, "base64"));
    case "map":
      return new Map((of as unknown[]).map((pair) => unpack(pair) as [unknown, unknown]));
    case "set":
      return new Set((of as unknown[]).map(unpack));
    default:
      throw new Error(`Unknown packed value “${tag}”: packed by another version of beamline?`);
  }
}

function unpackFields<T extends Record<string, unknown>>(fields: Record<string, unknown>, target: T): T {
  // Defined and not assigned: a field called __proto__ stays a field.
  for (const [name, field] of Object.entries(fields)) {
    Object.defineProperty(target, name, { value: unpack(field), writable: true, enumerable: true, configurable: true });
  }
  return target;
}

function lookUp(name: string): unknown {
  if (!byName.has(name)) {
    const module = name.slice(0, name.indexOf("#"));
    throw new Error(
      `This worker does not know “${name}”: is ${module} the same version here, and does it register it?`,
    );
  }
  return byName.get(name);
}

/** Bytes of `pack`, for a payload. */
export function packBytes(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(pack(value)));
}

/** The reverse of packBytes. */
export function unpackBytes(bytes: Uint8Array): unknown {
  return unpack(JSON.parse(new TextDecoder().decode(bytes)));
}
