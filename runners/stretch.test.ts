import { fixed, sessions, sliding, type Windowing } from "../beam";
import { sourceOf } from "../io/registry";
import { UsageError } from "../schema/errors";
import { count } from "../transforms";
import { type NamedAggregate } from "../transforms/aggregates-of";
import { checkAligned, checkTimes, isAll, isWithin, stretchOf, widened } from "./stretch";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const at = (time: string) => Date.parse(`2026-01-05T${time}Z`);

const windowed = (name: string, window: Windowing): NamedAggregate => ({
  name,
  plan: { by: ["key"], at: "time", window, lateness: 0, unique: null, measures: { n: count() } },
});

describe("what is said", () => {
  test("is a stretch, without a limit where nothing is said", () => {
    expect(stretchOf({ since: undefined, until: undefined })).toEqual({ since: null, until: null });
    expect(stretchOf({ since: "2026-01-05T09:30:00Z", until: undefined })).toEqual({
      since: at("09:30:00"),
      until: null,
    });
    expect(stretchOf({ since: undefined, until: "2026-01-05T09:30:00.5Z" })).toEqual({
      since: null,
      until: at("09:30:00.5"),
    });
    expect([isAll({ since: null, until: null }), isAll({ since: 0, until: null }), isAll({ since: null, until: 0 })]).toEqual([true, false, false]); // prettier-ignore
  });

  test.each(["2026-01-05T09:30:00Z", "2026-01-05T09:29:59Z"])("must not end before it begins (%s)", (until) => {
    const stretch = () => stretchOf({ since: "2026-01-05T09:30:00Z", until });
    expect(stretch).toThrow(UsageError);
    expect(stretch).toThrow(`--since 2026-01-05T09:30:00Z is not before --until ${until}: nothing lies between them`);
  });

  test("has its first moment and not its last, and nothing that has no time", () => {
    const stretch = { since: 10, until: 20 };
    expect([9, 10, 19, 20, null].map((time) => isWithin(stretch, time))).toEqual([false, true, true, false, false]);
    expect([-1, 19, 20, null].map((time) => isWithin({ ...stretch, since: null }, time))).toEqual([true, true, false, false]); // prettier-ignore
    expect([9, 10, 99, null].map((time) => isWithin({ ...stretch, until: null }, time))).toEqual([false, true, true, false]); // prettier-ignore
  });
});

describe("what is read for it", () => {
  test("is wider than it by what a source may be out of order", () => {
    expect(widened({ since: 100_000, until: 200_000 }, 10_000)).toEqual({ since: 90_000, until: 220_000 });
    expect(widened({ since: 100_000, until: null }, 10_000)).toEqual({ since: 90_000, until: null });
    expect(widened({ since: null, until: 200_000 }, 0)).toEqual({ since: null, until: 200_000 });
  });

  test("has a beginning and an end that can be written down", () => {
    const { since, until } = widened({ since: 0, until: Date.UTC(9999, 0) }, Number.MAX_SAFE_INTEGER);
    expect([since, until].map((time) => new Date(time ?? 0).toISOString())).toEqual([
      "0000-01-01T00:00:00.000Z",
      "9999-12-31T23:59:59.999Z",
    ]);
  });
});

describe("a stretch is made of whole windows", () => {
  test.each<[string, Windowing[]]>([
    ["fixed ones", [fixed(MINUTE)]],
    ["sliding ones, which begin at each period", [sliding(HOUR, 5 * MINUTE)]],
    ["those of several aggregates", [fixed(MINUTE), sliding(90_000, 30_000), fixed(30 * MINUTE)]],
    ["none at all", []],
  ])("%s", (_name, windows) => {
    const aggregates = windows.map((window, n) => windowed(`a${n}`, window));
    const ends = { since: at("09:30:00"), until: at("11:00:00") };
    expect(() => checkAligned(ends, aggregates)).not.toThrow();
    expect(() => checkAligned({ ...ends, since: null }, aggregates)).not.toThrow();
    expect(() => checkAligned({ ...ends, until: null }, aggregates)).not.toThrow();
  });

  const tail = "and a row stands for its whole window: take";
  test.each<[string, string, string, Windowing[], string]>([
    [
      "a window that begins before it",
      "09:30:30",
      "11:00:00",
      [fixed(MINUTE)],
      `--since 2026-01-05T09:30:30Z lies inside of a window of “a0” (1m), ${tail} 2026-01-05T09:30:00Z or 2026-01-05T09:31:00Z`,
    ],
    [
      "a window that ends after it",
      "09:00:00",
      "11:00:00.001",
      [fixed(HOUR)],
      `--until 2026-01-05T11:00:00.001Z lies inside of a window of “a0” (1h), ${tail} 2026-01-05T11:00:00Z or 2026-01-05T12:00:00Z`,
    ],
    [
      "a sliding window",
      "09:02:00",
      "11:00:00",
      [sliding(HOUR, 5 * MINUTE)],
      `--since 2026-01-05T09:02:00Z lies inside of a window of “a0” (1h every 5m), ${tail} 2026-01-05T09:00:00Z or 2026-01-05T09:05:00Z`,
    ],
    [
      "a window of one aggregate among several: the times that are named fit them all",
      "09:20:00",
      "12:00:00",
      [fixed(MINUTE), fixed(15 * MINUTE), fixed(20 * MINUTE)],
      `--since 2026-01-05T09:20:00Z lies inside of a window of “a1” (15m), ${tail} 2026-01-05T09:00:00Z or 2026-01-05T10:00:00Z`,
    ],
  ])("and must not cut %s", (_name, since, until, windows, sentence) => {
    const aggregates = windows.map((window, n) => windowed(`a${n}`, window));
    const check = () => checkAligned({ since: at(since), until: at(until) }, aggregates);
    expect(check).toThrow(UsageError);
    expect(check).toThrow(new UsageError(sentence));
  });

  test("also before the epoch, and where windows are so long that one neighbour is in no calendar", () => {
    const day = windowed("days", fixed(24 * HOUR));
    expect(() => checkAligned({ since: -1, until: null }, [day])).toThrow("take 1969-12-31T00:00:00Z or 1970-01-01T00:00:00Z"); // prettier-ignore
    const long = windowed("ages", fixed(Number.MAX_SAFE_INTEGER));
    expect(() => checkAligned({ since: 7, until: null }, [long, day])).toThrow(/take 1970-01-01T00:00:00Z$/);
  });

  test("and has room for one of each", () => {
    const ends = { since: at("09:00:00"), until: at("09:55:00") };
    const check = () =>
      checkAligned(ends, [windowed("a", fixed(5 * MINUTE)), windowed("b", sliding(HOUR, 5 * MINUTE))]);
    expect(check).toThrow(UsageError);
    expect(check).toThrow(
      "No window of “b” (1h every 5m) lies between --since 2026-01-05T09:00:00Z and --until 2026-01-05T09:55:00Z: they are only 55m apart",
    );
  });

  test("so it cannot be said of sessions", () => {
    const check = () => checkAligned({ since: 0, until: null }, [windowed("visits", sessions(MINUTE))]);
    expect(check).toThrow(UsageError);
    expect(check).toThrow(
      "--since and --until take whole windows, but those of “visits” are sessions, which have no fixed bounds: leave the flags out, and choose what is read by --from",
    );
  });
});

describe("without windows, the times of the source choose", () => {
  const check = (scheme: string, options: Record<string, string> = {}) => {
    const address = { scheme, path: "x", options };
    return () => checkTimes("copy", sourceOf(address), address);
  };

  test("where it has some", () => {
    expect(check("kafka")).not.toThrow();
    expect(check("postgres", { time: "at" })).not.toThrow();
  });

  test.each([
    ["file", "leave the flags out"],
    ["postgres", "name the column that has it: ?time=column"],
  ])("and where it has none, that is said (%s)", (scheme, remedy) => {
    expect(check(scheme)).toThrow(UsageError);
    expect(check(scheme)).toThrow(
      `copy has no windows, so --since and --until choose records by their times, but those of “${scheme}:” have none: ${remedy}`,
    );
  });
});
