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

/** A default; lists have none but the empty one. */
type Usual = string | number | boolean | readonly never[] | undefined;

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
  if (usual === undefined || typeof usual === "object") return null;
  if (kind === "duration" && typeof usual === "number") return formatDuration(usual);
  return String(usual);
}

/** What was said by flags: by flag, in the order in which it was said. */
export type Said = ReadonlyMap<string, readonly string[]>;

/** The model's values: by flag, else by environment, else as usual. One sentence for what does not fit. */
export function readParameters<Model extends z.ZodObject>(
  model: Model,
  said: Said,
  environment: Readonly<Record<string, string | undefined>>,
): z.infer<Model> {
  const raw: Record<string, unknown> = {};
  const saidBy = new Map<string, string>();
  for (const parameter of parametersOf(model)) {
    const byFlag = said.get(parameter.flag);
    const byEnvironment = environment[parameter.environment];
    if (byFlag !== undefined) {
      if (!parameter.repeated && byFlag.length > 1)
        throw new UsageError(`--${parameter.flag} is given ${byFlag.length} times`);
      raw[parameter.key] = parameter.repeated ? byFlag : fromText(parameter, byFlag[0] ?? "");
      saidBy.set(parameter.key, `--${parameter.flag} ${byFlag.join(", ")}`);
    } else if (byEnvironment !== undefined && byEnvironment !== "") {
      raw[parameter.key] = parameter.repeated ? byEnvironment.split(/\s+/) : fromText(parameter, byEnvironment);
      saidBy.set(parameter.key, `${parameter.environment}=${byEnvironment}`);
    }
  }
  const checked = model.safeParse(raw);
  if (checked.success) return checked.data;
  const [issue] = checked.error.issues;
  const key = String(issue?.path[0] ?? "");
  const parameter = parametersOf(model).find((known) => known.key === key);
  const what = saidBy.get(key) ?? `--${parameter?.flag ?? key}`;
  const hint = parameter?.kind === "choice" ? suggestion(String(raw[key]), parameter.choices) : issue?.message;
  throw new UsageError(`${what}: ${hint}`);
}

function fromText(parameter: Parameter, text: string): unknown {
  switch (parameter.kind) {
    case "number":
      return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
    case "boolean":
      return text === "true" || text === "" ? true : text === "false" ? false : text;
    default:
      return text;
  }
}
