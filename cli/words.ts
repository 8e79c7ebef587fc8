// The words of a command line: verb, names, and flags with their values. Which flags there are is known only when the
// pipeline is, so this goes in two steps: split first, then check the flags.
import { UsageError } from "../schema/errors";
import { nearest } from "../io/address";
import { type Parameter, type Said } from "./parameters";

export interface Word {
  readonly kind: "name" | "flag" | "flag with value";
  readonly text: string;
  readonly value: string;
}

/** Words in order; everything behind `--` is a name. */
export function splitWords(args: readonly string[]): Word[] {
  const words: Word[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at] ?? "";
    if (arg === "--") {
      return [...words, ...args.slice(at + 1).map((text) => ({ kind: "name", text, value: "" }) as const)];
    }
    const flag = /^--([^=]+)(?:=(.*))?$/s.exec(arg);
    if (flag !== null) {
      const [, text = "", value] = flag;
      words.push(value === undefined ? { kind: "flag", text, value: "" } : { kind: "flag with value", text, value });
    } else if (arg === "-h") {
      words.push({ kind: "flag", text: "help", value: "" });
    } else if (/^-[a-zA-Z]/.test(arg)) {
      throw new UsageError(`“${arg}” is not a flag: flags have two hyphens, such as --${arg.slice(1)}`);
    } else {
      words.push({ kind: "name", text: arg, value: "" });
    }
  }
  return words;
}

/** The names among the words, before it is known which pipeline's flags there are: `parameters` are all there could be. */
export function namesIn(words: readonly Word[], parameters: readonly Parameter[]): string[] {
  const takesValue = (flag: string) =>
    parameters.some((parameter) => parameter.flag === flag && parameter.kind !== "boolean");
  return words
    .filter(({ kind }, at) => {
      const before = words[at - 1];
      return kind === "name" && !(before?.kind === "flag" && takesValue(before.text));
    })
    .map(({ text }) => text);
}

/** Names, and what was said by flags; `switches` are the flags that stand alone. A flag that is not known is a mistake, with the nearest one that is. */
export function sortWords(
  words: readonly Word[],
  parameters: readonly Parameter[],
  switches: readonly string[],
): { names: string[]; said: Said } {
  const known = [...parameters.map((parameter) => parameter.flag), ...switches];
  const names: string[] = [];
  const said = new Map<string, string[]>();
  const say = (flag: string, value: string) => said.set(flag, [...(said.get(flag) ?? []), value]);
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] as Word;
    if (word.kind === "name") {
      names.push(word.text);
      continue;
    }
    if (!known.includes(word.text)) {
      const near = nearest(word.text, known);
      throw new UsageError(
        `There is no flag --${word.text}${near === null ? "; --help lists all" : `: did you mean --${near}?`}`,
      );
    }
    const parameter = parameters.find(({ flag }) => flag === word.text);
    if (parameter === undefined && word.kind === "flag with value")
      throw new UsageError(`--${word.text} stands alone: it takes no value`);
    if (parameter === undefined || parameter.kind === "boolean") {
      say(word.text, word.kind === "flag" ? "true" : word.value);
      continue;
    }
    if (word.kind === "flag with value") {
      say(word.text, word.value);
      continue;
    }
    const next = words[at + 1];
    if (next === undefined || next.kind !== "name")
      throw new UsageError(`--${word.text} needs a value: --${word.text} ${parameter.value}`);
    say(word.text, next.text);
    at += 1;
  }
  return { names, said };
}
