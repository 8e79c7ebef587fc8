// What a test says about a collection, and how it is told when that is not so: what was expected, what came.
import { inspect, isDeepStrictEqual } from "node:util";
import { type Place } from "../do-fn";

/** One element of a collection, and where it lay. */
export interface Found<T> {
  readonly value: T;
  readonly place: Place;
}

type Check<T> = (found: readonly Found<T>[]) => string | null;

/** Expectations on one collection, checked when the pipeline has run. */
export class Expectation<T> {
  private readonly checks: Check<T>[] = [];

  constructor(
    private readonly name: string,
    private readonly narrowed: string = "",
    private readonly keep: (place: Place) => boolean = () => true,
    private readonly root: Expectation<T> | null = null,
  ) {}

  /** Exactly these elements, in any order. */
  containsInAnyOrder(expected: readonly T[]): this {
    return this.add((found) => compare(found.map((element) => element.value), expected));
  }

  /** No element at all. */
  isEmpty(): this {
    return this.add((found) =>
      found.length === 0 ? null : `expected no elements\n${list("came", found.map((element) => element.value))}`,
    );
  }

  /** So many elements. */
  hasSize(size: number): this {
    return this.add((found) =>
      found.length === size
        ? null
        : `expected ${size} elements, ${found.length} came\n${list("came", found.map((element) => element.value))}`,
    );
  }

  /** Whatever `check` throws is a failure; it gets all elements. */
  satisfies(check: (elements: readonly T[]) => void): this {
    return this.add((found) => {
      const elements = found.map((element) => element.value);
      try {
        check(elements);
        return null;
      } catch (error) {
        return `${error instanceof Error ? error.message : String(error)}\n${list("came", elements)}`;
      }
    });
  }

  /** Only the elements of the window that starts then. */
  inWindow(start: number | string, end?: number | string): Expectation<T> {
    const [from, to] = [millis(start), end === undefined ? null : millis(end)];
    const text = `in the window from ${iso(from)}${to === null ? "" : ` to ${iso(to)}`}`;
    return this.narrow(text, (place) => place.start === from && (to === null || place.end === to));
  }

  /** Only what the watermark's passing of the window's end sent. */
  onTime(): Expectation<T> {
    return this.narrow("on time", (place) => place.pane === "on time" || place.pane === "only");
  }

  /** Only what was sent again for late elements. */
  late(): Expectation<T> {
    return this.narrow("late", (place) => place.pane === "late");
  }

  private narrow(text: string, keep: (place: Place) => boolean): Expectation<T> {
    const narrowed = this.narrowed === "" ? text : `${this.narrowed}, ${text}`;
    return new Expectation(this.name, narrowed, (place) => this.keep(place) && keep(place), this.root ?? this);
  }

  private add(check: Check<T>): this {
    const where = this.narrowed === "" ? this.name : `${this.name}, ${this.narrowed}`;
    (this.root ?? this).checks.push((found) => {
      const complaint = check(found.filter(({ place }) => this.keep(place)));
      return complaint === null ? null : `${where}: ${complaint}`;
    });
    return this;
  }

  /** What is not as expected, in words; empty when all is. */
  complaints(found: readonly Found<T>[]): string[] {
    return this.checks.map((check) => check(found)).filter((complaint) => complaint !== null);
  }
}

function compare(actual: readonly unknown[], expected: readonly unknown[]): string | null {
  const missing = without(expected, actual);
  const unexpected = without(actual, expected);
  if (missing.length === 0 && unexpected.length === 0) return null;
  const counts = `expected ${expected.length} elements in any order, ${actual.length} came`;
  return [counts, list("expected, but did not come", missing), list("came, but was not expected", unexpected)]
    .filter((line) => line !== "")
    .join("\n");
}

/** The items of `all` left over when each item of `taken` has taken away one that is equal. */
function without(all: readonly unknown[], taken: readonly unknown[]): unknown[] {
  const rest = [...taken];
  return all.filter((item) => {
    const at = rest.findIndex((other) => isDeepStrictEqual(plain(other), plain(item)));
    if (at < 0) return true;
    rest.splice(at, 1);
    return false;
  });
}

// Under jest, literals of a test and values of the library come from different realms: compare them by content.
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return Array.from(value, plain);
  if (value === null || typeof value !== "object" || value instanceof Uint8Array || value instanceof Date) return value;
  if (Object.prototype.toString.call(value) !== "[object Object]") return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .map(([name, field]) => [name, plain(field)]),
  );
}

const SHOWN = 10;

function list(title: string, items: readonly unknown[]): string {
  if (items.length === 0) return "";
  const lines = items.slice(0, SHOWN).map((item) => `    ${inspect(item, { depth: 6, breakLength: 110 }).replaceAll("\n", "\n    ")}`);
  if (items.length > SHOWN) lines.push(`    … and ${items.length - SHOWN} more`);
  return [`  ${title}:`, ...lines].join("\n");
}

function millis(time: number | string): number {
  return typeof time === "number" ? time : Date.parse(time);
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
