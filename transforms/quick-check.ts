// Most records are fine, and zod spends more on proving that than JSON.parse on reading them: it makes an object per
// field. For flat objects of plain fields this compiles a check that says yes only where zod would; every other
// answer, and every message, is zod's.
import { z } from "zod";

/** The object as the schema gives it, or null when only zod can tell. */
export type QuickCheck = (value: unknown) => unknown;

interface CheckDef {
  readonly check: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly value?: number;
  readonly inclusive?: boolean;
  readonly fn?: (value: unknown) => unknown;
  /** When the check is made at all. */
  readonly when?: unknown;
}

/** The quick check of a schema; null when it has anything that is not known here. */
export function quickCheckOf(schema: z.ZodType): QuickCheck | null {
  if (!(schema instanceof z.ZodObject) || schema.def.catchall !== undefined || hasChecks(schema)) return null;
  const functions: unknown[] = [];
  const reads: string[] = [];
  const conditions: string[] = [];
  const fields: string[] = [];
  for (const [name, type] of Object.entries<z.ZodType>(schema.shape)) {
    const field = `v${fields.length}`;
    const condition = name === "__proto__" ? null : conditionOf(type, field, functions);
    if (condition === null) return null;
    reads.push(`const ${field} = o[${JSON.stringify(name)}];`);
    conditions.push(` && ${condition}`);
    fields.push(`${JSON.stringify(name)}: ${field}`);
  }
  const body = `
    if (typeof o !== "object" || o === null || Array.isArray(o)) return null;
    ${reads.join(" ")}
    return true${conditions.join("")} ? { ${fields.join(", ")} } : null;`;
  try {
    // The only texts in it that are not ours are field names and literals, as JSON.
    // eslint-disable-next-line @typescript-eslint/no-implied-eval -- compiled once per schema, as zod does itself
    const compiled = new Function("f", "o", body) as (f: unknown[], o: unknown) => unknown;
    return (value) => compiled(functions, value);
  } catch {
    // Some environments forbid compiling; zod alone is right too.
    return null;
  }
}

const checksOf = (type: z.ZodType): CheckDef[] =>
  ((type.def as { checks?: { _zod: { def: CheckDef } }[] }).checks ?? []).map((check) => check._zod.def);

const hasChecks = (type: z.ZodType): boolean => checksOf(type).length > 0;

function conditionOf(type: z.ZodType, field: string, functions: unknown[]): string | null {
  if ("coerce" in type.def && type.def.coerce === true) return null;
  if (type instanceof z.ZodString) return all(`typeof ${field} === "string"`, type, field, functions);
  if (type instanceof z.ZodNumber) {
    const test = type.format === null ? "isFinite" : type.format === "safeint" ? "isSafeInteger" : null;
    return test === null ? null : all(`Number.${test}(${field})`, type, field, functions);
  }
  if (type instanceof z.ZodBoolean && !hasChecks(type)) return `typeof ${field} === "boolean"`;
  if (type instanceof z.ZodLiteral && !hasChecks(type)) {
    const values = [...type.values];
    if (!values.every((value) => typeof value === "string" || Number.isFinite(value))) return null;
    return `(${values.map((value) => `${field} === ${JSON.stringify(value)}`).join(" || ")})`;
  }
  return null;
}

function all(first: string, type: z.ZodType, field: string, functions: unknown[]): string | null {
  const conditions = [first];
  for (const def of checksOf(type)) {
    const condition = checkCondition(def, field, functions);
    if (condition === null) return null;
    conditions.push(condition);
  }
  return conditions.join(" && ");
}

function checkCondition(def: CheckDef, field: string, functions: unknown[]): string | null {
  switch (def.check) {
    case "min_length":
      return `${field}.length >= ${def.minimum}`;
    case "max_length":
      return `${field}.length <= ${def.maximum}`;
    case "greater_than":
      return typeof def.value === "number" ? `${field} ${def.inclusive === true ? ">=" : ">"} ${def.value}` : null;
    case "less_than":
      return typeof def.value === "number" ? `${field} ${def.inclusive === true ? "<=" : "<"} ${def.value}` : null;
    case "number_format":
      return def.format === "safeint" ? `Number.isSafeInteger(${field})` : null;
    case "custom":
      // A refinement is a function of the value; only one that plainly says true is taken as a yes.
      if (def.fn === undefined || def.when !== undefined) return null;
      return `f[${functions.push(def.fn) - 1}](${field}) === true`;
    default:
      return null;
  }
}
