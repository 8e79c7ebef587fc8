// What a test says about a collection, and how it is told when that is not so: what was expected, what came.
import { inspect, types } from "node:util";
import { messageOf } from "../../schema/errors";
import { type Place } from "../do-fn";
import { millisOf } from "./time";

/** One element of a collection, and where it lay. */
export interface Found<T> {
  readonly value: T;
  readonly place: Place;
}

type Check<T> = (found: readonly Found<T>[]) => string | null;

/** Expectations on one collection, checked when the pipeline has run. */
export class Expectation<T> {
  private readonly checks: Check<T>[] = [];
  private isChecked = false;

  constructor(
    private readonly name: string,
    private readonly narrowed: string = "",
    private readonly keep: (place: Place) => boolean = () => true,
    private readonly root: Expectation<T> | null = null,
  ) {}

  /** Exactly these elements, in any order. */
  containsInAnyOrder(expected: readonly T[]): this {
    return this.add((found) =>
      compare(
        found.map((element) => element.value),
        expected,
      ),
    );
  }

  /** No element at all. */
  isEmpty(): this {
    return this.add((found) =>
      found.length === 0 ? null : `expected no elements, ${found.length} came${listed(found)}`,
    );
  }

  /** So many elements. */
  hasSize(size: number): this {
    return this.add((found) =>
      found.length === size ? null : `expected ${elements(size)}, ${found.length} came${listed(found)}`,
    );
  }

  /** Whatever `check` throws is a failure; it gets all elements. */
  satisfies(check: (elements: readonly T[]) => void): this {
    return this.add((found) => {
      try {
        const answer: unknown = check(found.map((element) => element.value));
        if (!types.isPromise(answer)) return null;
        answer.catch(() => {});
        return "satisfies takes a check that is not async: its promise would not be waited for";
      } catch (error) {
        return `${messageOf(error)}${listed(found)}`;
      }
    });
  }

  /** Only the elements of the window that starts then. */
  inWindow(start: number | string, end?: number | string): Expectation<T> {
    const [from, to] = [millisOf(start), end === undefined ? null : millisOf(end)];
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
    if ((this.root ?? this).isChecked)
      throw new Error(`${this.name}: the pipeline has run; say before run() what to expect`);
    const where = this.narrowed === "" ? this.name : `${this.name}, ${this.narrowed}`;
    (this.root ?? this).checks.push((found) => {
      const complaint = check(found.filter(({ place }) => this.keep(place)));
      return complaint === null ? null : `${where}: ${complaint}`;
    });
    return this;
  }

  /** What is not as expected, in words; empty when all is. */
  complaints(found: readonly Found<T>[]): string[] {
    this.isChecked = true;
    return this.checks.map((check) => check(found)).filter((complaint) => complaint !== null);
  }
}

function compare(actual: readonly unknown[], expected: readonly unknown[]): string | null {
  const missing = without(expected, actual);
  const unexpected = without(actual, expected);
  if (missing.length === 0 && unexpected.length === 0) return null;
  const counts = `expected ${elements(expected.length)} in any order, ${actual.length} came`;
  return [counts, list("expected, but did not come", missing), list("came, but was not expected", unexpected)]
    .filter((line) => line !== "")
    .join("\n");
}

/** The items of `all` left over when each item of `taken` has taken away one that is equal. */
function without(all: readonly unknown[], taken: readonly unknown[]): unknown[] {
  const counts = new Map<string, number>();
  for (const item of taken) {
    const text = contentOf(item);
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  return all.filter((item) => {
    const text = contentOf(item);
    const count = counts.get(text) ?? 0;
    if (count > 0) counts.set(text, count - 1);
    return count === 0;
  });
}

/** A text that tells all there is to tell of a value, so that thousands of elements compare in no time. */
function contentOf(value: unknown): string {
  return inspect(plain(value), {
    depth: Infinity,
    maxArrayLength: Infinity,
    maxStringLength: Infinity,
    breakLength: Infinity,
    compact: true,
    sorted: true,
  });
}

// Classes and realms do not count, only content: literals of a test are plain, and jest's realm is not the library's.
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return Array.from(value, plain);
  if (types.isUint8Array(value)) return new Uint8Array(value);
  if (Object.prototype.toString.call(value) !== "[object Object]") return value;
  return Object.fromEntries(
    Object.entries(value as object)
      .filter(([, field]) => field !== undefined)
      .map(([name, field]) => [name, plain(field)]),
  );
}

const SHOWN = 10;

const elements = (count: number) => `${count} ${count === 1 ? "element" : "elements"}`;

/** All that came, below what is said about it. */
function listed(found: readonly Found<unknown>[]): string {
  const values = found.map((element) => element.value);
  return values.length === 0 ? "" : `\n${list("came", values)}`;
}

function list(title: string, items: readonly unknown[]): string {
  if (items.length === 0) return "";
  const lines = items
    .slice(0, SHOWN)
    .map((item) => `    ${inspect(item, { depth: 6, breakLength: 110 }).replaceAll("\n", "\n    ")}`);
  if (items.length > SHOWN) lines.push(`    … and ${items.length - SHOWN} more`);
  return [`  ${title}:`, ...lines].join("\n");
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
