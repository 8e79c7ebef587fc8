// The options of an address: which there are, what is usual, and what the text of one means.
import { parseDuration } from "../schema/duration";
import { UsageError } from "../schema/errors";
import { suggestion } from "./address";

/** One option, as documentation shows it. */
export interface AddressOption {
  readonly name: string;
  /** As a person would write it; null when there is none. */
  readonly usual: string | null;
  readonly description: string;
}

/** A timer of Node's takes no more; nobody means to wait that long. */
const LONGEST = 24 * 86_400_000;

/** The options that an address was given, by the names of a list. */
export class GivenOptions<Name extends string> {
  /** Refuses what is not in the list. `shown` stands for the address in messages. */
  constructor(
    private readonly shown: string,
    private readonly given: Readonly<Record<string, string>>,
    private readonly list: readonly (AddressOption & { readonly name: Name })[],
  ) {
    const names = list.map(({ name }) => name);
    for (const name of Object.keys(given)) {
      if (!names.includes(name as Name))
        throw new UsageError(`${shown} has the option “${name}”: ${suggestion(name, names)}`);
    }
  }

  has(name: Name): boolean {
    return Object.hasOwn(this.given, name);
  }

  /** What was given, else what is usual. */
  text(name: Name): string | null {
    return this.has(name)
      ? (this.given[name] ?? null)
      : (this.list.find((option) => option.name === name)?.usual ?? null);
  }

  /** Milliseconds, more than none; null where nothing is said and nothing is usual. */
  duration(name: Name): number | null {
    const text = this.text(name);
    if (text === null) return null;
    const milliseconds = parseDuration(text);
    if (milliseconds === null || milliseconds === 0)
      throw this.refused(name, text, "write a length of time, such as 500ms, 30s or 1h30m");
    if (milliseconds > LONGEST) throw this.refused(name, text, "24 days are the most");
    return milliseconds;
  }

  whole(name: Name, least: number): number | null {
    const text = this.text(name);
    if (text === null) return null;
    const number = Number(text);
    if (!/^\d{1,15}$/.test(text) || number < least)
      throw this.refused(name, text, `write a whole number, ${least} or more`);
    return number;
  }

  choice<Choice extends string>(name: Name, choices: readonly Choice[]): Choice | null {
    const text = this.text(name);
    if (text === null) return null;
    const chosen = choices.find((choice) => choice === text);
    if (chosen === undefined) throw this.refused(name, text, suggestion(text, choices));
    return chosen;
  }

  refused(name: Name, text: string, what: string): UsageError {
    return new UsageError(`${this.shown} has the option ${name}=${text}: ${what}`);
  }
}
