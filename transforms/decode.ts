// The usual first step: the record's text as an object that a zod schema has checked. NDJSON and CSV give the same.
import { z } from "zod";
import { register } from "../beam";
import { quickCheckOf, type QuickCheck } from "./quick-check";
import { dead, ok, type StepContext, type StepObject, type StepResult } from "./step";
import { type Raw } from "../schema/record";
import { messageOf } from "../schema/errors";

export class Decode<T> implements StepObject<Raw, T> {
  readonly name = "decode";
  private quick?: QuickCheck | null;
  constructor(readonly schema: z.ZodType<T>) {}

  run(value: Raw, { record }: StepContext): StepResult<T> {
    if (typeof value !== "string") return dead("not text", "the bytes are not valid UTF-8");
    let parsed: unknown;
    if (record.fields !== null) {
      parsed = fromColumns(record.fields, this.schema);
    } else {
      try {
        parsed = JSON.parse(value);
      } catch (error) {
        return dead("not JSON", messageOf(error));
      }
    }
    if (this.quick === undefined) this.quick = quickCheckOf(this.schema);
    const quick = this.quick === null ? null : this.quick(parsed);
    if (quick !== null) return ok(quick as T);
    const checked = this.schema.safeParse(parsed);
    if (checked.success) return ok(checked.data);
    return dead("invalid", describe(checked.error));
  }
}

/** Parses JSON, or takes the columns of CSV, and checks the object by a registered schema. */
export function decode<T>(schema: z.ZodType<T>): Decode<T> {
  return new Decode(schema);
}

/** What is wrong, by field, for people. */
export function describe(error: z.ZodError): string {
  return error.issues
    .slice(0, 5)
    .map((issue) => (issue.path.length === 0 ? issue.message : `${issue.path.join(".")}: ${issue.message}`))
    .join("; ");
}

/** CSV knows only text: fields become what the schema wants there, where the text is a plain form of that. */
function fromColumns(columns: Readonly<Record<string, string>>, schema: z.ZodType): Record<string, unknown> {
  const shape = schema instanceof z.ZodObject ? (schema.shape as Record<string, z.ZodType>) : {};
  const object: Record<string, unknown> = {};
  for (const [name, text] of Object.entries(columns)) {
    const type = Object.hasOwn(shape, name) ? shape[name] : undefined;
    const value = type === undefined ? text : fromText(text, type);
    if (value !== undefined) object[name] = value;
  }
  return object;
}

function fromText(text: string, type: z.ZodType): unknown {
  const { type: kind, innerType } = type.def as { type: string; innerType?: z.ZodType };
  if (text === "" && (kind === "optional" || kind === "default" || kind === "prefault")) return undefined;
  if (text === "" && kind === "nullable") return null;
  if (innerType !== undefined) return fromText(text, innerType);
  switch (kind) {
    case "number":
      return /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text) ? Number(text) : text;
    case "boolean":
      return text === "true" ? true : text === "false" ? false : text;
    case "literal":
      return [...(type as z.ZodLiteral).values].find((value) => String(value) === text) ?? text;
    default:
      return text;
  }
}

register("beamline/transforms/decode", { Decode });
