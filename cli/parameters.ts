// Flags, environment variables, help and reference of a zod model: each field is one parameter, said once, in the model.
import { z } from "zod";
import { formatDuration } from "../schema/duration";
import { UsageError } from "../schema/errors";
import { suggestion } from "../io/address";

export interface Parameter {
  /** The field in the model. */
  readonly key: string;
  /** Without the two hyphens. */
  readonly flag: string;
  readonly environment: string;
  readonly kind: "text" | "number" | "boolean" | "duration" | "choice";
  readonly choices: readonly string[];
  /** What stands for the value in help. */
  readonly value: string;
  readonly repeated: boolean;
  readonly description: string;
  /** As one would write it; null when there is none. */
  readonly usual: string | null;
}

interface Meta {
  readonly kind?: "duration";
  readonly value?: string;
  readonly env?: string;
  readonly description?: string;
}

type Usual = string | number | boolean | readonly (string | number)[] | undefined;

/** The parameters of a model, in its order. */
export function parametersOf(model: z.ZodObject): Parameter[] {
  return Object.entries(model.shape).map(([key, type]) => parameterOf(key, type as z.ZodType));
}

function parameterOf(key: string, outer: z.ZodType): Parameter {
  let meta: Meta = {};
  let usual: Usual;
  let repeated = false;
  let kind: Parameter["kind"] = "text";
  let choices: readonly string[] = [];
  for (let type: z.ZodType | undefined = outer; type !== undefined;) {
    meta = { ...type.meta(), ...meta };
    const def = type.def as {
      type: string;
      innerType?: z.ZodType;
      in?: z.ZodType;
      element?: z.ZodType;
      defaultValue?: Usual;
    };
    if (def.type === "default") usual ??= def.defaultValue;
    if (def.type === "array") repeated = true;
    if (def.type === "number") kind = "number";
    if (def.type === "boolean") kind = "boolean";
    if (type instanceof z.ZodEnum) [kind, choices] = ["choice", type.options.map(String)];
    type = def.innerType ?? def.in ?? def.element;
  }
  if (meta.kind === "duration") kind = "duration";
  const flag = key.replaceAll("_", "-").replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return {
    key,
    flag,
    environment: meta.env ?? `BEAMLINE_${flag.toUpperCase().replaceAll("-", "_")}`,
    kind,
    choices,
    value: meta.value ?? (kind === "choice" ? choices.join("|") : kind === "boolean" ? "" : kind),
    repeated,
    description: meta.description ?? "",
    usual: usualText(usual, kind),
  };
}

function usualText(usual: Usual, kind: Parameter["kind"]): string | null {
  if (typeof usual === "object") return usual.length === 0 ? null : usual.join(" ");
  if (usual === undefined) return null;
  if (kind === "duration" && typeof usual === "number") return formatDuration(usual);
  return String(usual);
}

/** What was said by flags: by flag, in the order in which it was said. */
export type Said = ReadonlyMap<string, readonly string[]>;

/** The model's values: by flag, else by environment, else as before, else as usual. One sentence for what does not fit. */
export function readParameters<Model extends z.ZodObject>(
  model: Model,
  said: Said,
  environment: Readonly<Record<string, string | undefined>>,
  before: Readonly<Record<string, unknown>> = {},
): z.infer<Model> {
  const raw: Record<string, unknown> = { ...before };
  const saidBy = new Map<string, string>();
  for (const parameter of parametersOf(model)) {
    const byFlag = said.get(parameter.flag);
    const byEnvironment = environment[parameter.environment];
    if (byFlag !== undefined) {
      if (!parameter.repeated && byFlag.length > 1)
        throw new UsageError(`--${parameter.flag} is given ${byFlag.length} times`);
      const values = byFlag.map((text) => fromText(parameter, text));
      raw[parameter.key] = parameter.repeated ? values : values[0];
      saidBy.set(parameter.key, `--${parameter.flag} ${byFlag.join(", ")}`.trimEnd());
    } else if (byEnvironment !== undefined && byEnvironment !== "") {
      const values = textsOf(parameter, byEnvironment).map((text) => fromText(parameter, text));
      raw[parameter.key] = parameter.repeated ? values : values[0];
      saidBy.set(parameter.key, `${parameter.environment}=${byEnvironment}`);
    }
  }
  const checked = model.safeParse(raw);
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  if (issue === undefined) throw checked.error;
  const parameter = parametersOf(model).find(({ key }) => key === issue.path[0]);
  // A rule between several parameters belongs to none of them.
  if (parameter === undefined) throw new UsageError(issue.message);
  const bySomebody = saidBy.get(parameter.key);
  if (bySomebody === undefined) throw new UsageError(`--${parameter.flag} ${parameter.value} is missing`);
  throw new UsageError(`${bySomebody}: ${inWords(issue, parameter, raw[parameter.key])}`);
}

/** The values in the text of an environment variable. */
function textsOf({ repeated, value }: Parameter, text: string): string[] {
  if (!repeated) return [text];
  // Blanks stand between values, but a path may have some too: there, only one before a scheme parts two URIs.
  return text.trim().split(value === "URI" ? /\s+(?=(?:[a-z_][\w-]*=)?[a-z][a-z0-9+.-]+:)/i : /\s+/);
}

/** What does not fit, in plain words: the model's own words are for programmers. */
function inWords(issue: z.core.$ZodIssue, parameter: Parameter, value: unknown): string {
  switch (issue.code) {
    case "invalid_value":
      return parameter.kind === "choice" ? suggestion(String(value), parameter.choices) : issue.message;
    case "invalid_type":
      if (parameter.kind === "boolean") return "it must be true or false";
      if (parameter.kind !== "number") return issue.message;
      return `it must be a ${typeof value === "number" ? "whole " : ""}number`;
    case "too_small":
      if (issue.origin === "string") return issue.minimum === 1 ? "it must not be empty" : "it is too short";
      return `it must be ${issue.inclusive === true ? "at least" : "more than"} ${issue.minimum}`;
    case "too_big":
      if (issue.origin === "string") return "it is too long";
      return `it must be ${issue.inclusive === true ? "at most" : "less than"} ${issue.maximum}`;
    case "invalid_format":
      return issue.format === "datetime" ? "it must be a time in UTC, such as 2026-01-05T09:30:00Z" : issue.message;
    default:
      return issue.message;
  }
}

function fromText(parameter: Parameter, text: string): unknown {
  switch (parameter.kind) {
    case "number":
      return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : text;
    case "boolean":
      return text === "true" ? true : text === "false" ? false : text;
    default:
      return text;
  }
}
