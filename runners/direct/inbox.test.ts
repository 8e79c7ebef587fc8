import { existsSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { UsageError } from "../../schema/errors";
import { type SourceRecord } from "../../schema/record";
import { openDatabase } from "../../io/sqlite/database";
import { scratchDirectory } from "../../test/scratch";
import { Inbox, inboxFile, lookInto, type Amount } from "./inbox";

const at = scratchDirectory();
const file = () => inboxFile(at(), "job", "trades");
const MANY: Amount = { records: 1_000_000, bytes: 1 << 28 };

/** Opened inboxes are closed behind each test. */
const opened = new Set<Inbox>();
function open(bounds: Partial<Amount> = {}, onFull: (held: Amount) => void = () => undefined): Inbox {
  const inbox = Inbox.open(file(), { ...MANY, ...bounds }, onFull);
  opened.add(inbox);
  return inbox;
}
function close(inbox: Inbox): void {
  opened.delete(inbox);
  inbox.close();
}
afterEach(() => opened.forEach(close));

const record = (value: SourceRecord["value"], more: Partial<SourceRecord> = {}): SourceRecord => ({
  value,
  source: "s",
  position: 0,
  key: null,
  timestamp: null,
  headers: null,
  fields: null,
  ...more,
});
const numbered = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, index) => record(String(from + index)));

function rest(inbox: Inbox, source = "s", from = 0): SourceRecord[] {
  const end = inbox.look().find((part) => part.source === source)?.end ?? 0;
  return [...inbox.read(source, from, end)].flat();
}
const seen = (inbox: Inbox, source = "s") => rest(inbox, source).map(({ position, value }) => [position, value]);

/** Whether it is done, when all that can go on without us has gone on. */
async function isDone(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  void promise.finally(() => (done = true));
  await new Promise((resolve) => setImmediate(resolve));
  return done;
}

describe("an inbox", () => {
  it("keeps where records are missing, until a batch has read what comes behind", async () => {
    const inbox = open();
    inbox.miss(0);
    expect(inbox.missed("s")).toEqual([]);
    await inbox.append(numbered(0, 4));
    inbox.miss(3);
    inbox.miss(2);
    inbox.miss(4);
    // Of a record that is on its way.
    inbox.miss(6);
    const four = { number: 4, since: 2 };
    expect(inbox.missed("s")).toEqual([{ number: 0, since: 0 }, four, { number: 6, since: 6 }]);
    inbox.trim("s", 4);
    expect(inbox.missed("s")).toEqual([four, { number: 6, since: 6 }]);
    close(inbox);
    // It has not come, and another one will have its number.
    expect(open().missed("s")).toEqual([four]);
  });

  it("gives records back in their order, as they were, numbered from 0", async () => {
    const inbox = open();
    const first = record("ä\0€", { key: new Uint8Array([0xff]), timestamp: 12, headers: { h: "1" } });
    const second = record(new Uint8Array([0x61, 0xc3]), {
      key: "k",
      fields: { a: "b", __proto__x: "c" },
      position: 99,
    });
    await inbox.append([first, second]);
    await inbox.append([]);
    await inbox.append([record("")]);
    expect(rest(inbox)).toStrictEqual([
      { ...first, position: 0 },
      { ...second, position: 1 },
      record("", { position: 2 }),
    ]);
    expect([...inbox.read("s", 1, 2)].flat().map(({ position }) => position)).toEqual([1]);
    expect([...inbox.read("other", 0, 9)]).toEqual([]);
  });

  it("numbers on after a restart, and when nothing is left in it", async () => {
    let inbox = open();
    await inbox.append(numbered(0, 3));
    inbox.trim("s", 3);
    expect(inbox.look()).toEqual([{ source: "s", first: 3, end: 3 }]);
    close(inbox);
    inbox = open();
    expect(inbox.look()).toEqual([{ source: "s", first: 3, end: 3 }]);
    await inbox.append(numbered(3, 5));
    inbox.trim("s", 4);
    close(inbox);
    expect(seen((inbox = open()))).toEqual([[4, "4"]]);
    // What was let go of already, and what is not there yet.
    inbox.trim("s", 2);
    inbox.trim("unknown", 2);
    expect(inbox.look()).toEqual([{ source: "s", first: 4, end: 5 }]);
  });

  it("numbers each source by itself", async () => {
    const inbox = open();
    await inbox.append([record("a"), record("b", { source: "t" }), record("c")]);
    await inbox.append([record("d", { source: "t" })]);
    inbox.trim("s", 1);
    expect([seen(inbox), seen(inbox, "t")]).toEqual([
      [[1, "c"]],
      [
        [0, "b"],
        [1, "d"],
      ],
    ]);
  });

  it("is read in pages, by records and by bytes", async () => {
    const inbox = open();
    await inbox.append(numbered(0, 1_200));
    const large = "x".repeat(3 << 20);
    await inbox.append([record(large), record(large), record("small"), record(`${large}${large}`), record("last")]);
    const pages = [...inbox.read("s", 0, 1_205)].map((page) => page.length);
    expect(pages).toEqual([512, 512, 177, 2, 1, 1]);
    expect(rest(inbox)).toHaveLength(1_205);
  });

  it("can be asked what lies in it while a job has it, and is not made by that", async () => {
    expect(lookInto(file())).toEqual([]);
    expect(existsSync(file())).toBe(false);
    // It is just being made.
    writeFileSync(file(), "");
    expect(lookInto(file())).toEqual([]);
    const inbox = open();
    await inbox.append(numbered(0, 5));
    inbox.trim("s", 2);
    expect(lookInto(file())).toEqual([{ source: "s", first: 2, end: 5 }]);
    inbox.trim("s", 5);
    expect(lookInto(file())).toEqual([{ source: "s", first: 5, end: 5 }]);
  });

  it("keeps what is noted with records: when all of them are there, and the newest", async () => {
    const inbox = open({ records: 2 });
    expect(inbox.noted()).toBe(null);
    await inbox.append(numbered(0, 1), undefined, "one");
    const appending = inbox.append(numbered(1, 4), undefined, "four");
    expect(await isDone(appending)).toBe(false);
    expect(inbox.noted()).toBe("one");
    inbox.trim("s", 2);
    await appending;
    expect(inbox.noted()).toBe("four");
    await inbox.append([], undefined, "later");
    close(inbox);
    expect(open().noted()).toBe("later");
  });

  it("refuses a file of a later version, and one that is none", () => {
    const later = openDatabase(file());
    later.exec("PRAGMA user_version = 99");
    later.close();
    expect(() => open()).toThrow(UsageError);
    expect(() => open()).toThrow("has the format 99");
    expect(() => Inbox.open(at("no", "such", "directory.db"), MANY, () => undefined)).toThrow(
      /the inbox .*directory\.db cannot be opened/,
    );
  });

  it("keeps all or nothing of what is appended together", async () => {
    const inbox = open();
    await inbox.append(numbered(0, 2));
    const other = openDatabase(file());
    other.exec("CREATE TRIGGER no BEFORE INSERT ON record WHEN NEW.number = 4 BEGIN SELECT raise(ABORT, 'no'); END");
    await expect(inbox.append(numbered(2, 6), undefined, "six")).rejects.toThrow(
      /the inbox .* could not be written: (Error: )?no/,
    );
    expect(inbox.noted()).toBe(null);
    other.exec("DROP TRIGGER no");
    other.close();
    await inbox.append([record("next")]);
    expect(seen(inbox)).toEqual([
      [0, "0"],
      [1, "1"],
      [2, "next"],
    ]);
  });
});

describe("a full inbox", () => {
  it("lets who appends wait until a batch is committed, and says once that it is full", async () => {
    const told: Amount[] = [];
    const inbox = open({ records: 4 }, (held) => told.push(held));
    const appending = inbox.append(numbered(0, 7));
    expect(await isDone(appending)).toBe(false);
    expect(seen(inbox)).toHaveLength(4);
    inbox.trim("s", 1);
    expect(await isDone(appending)).toBe(false);
    expect(inbox.look()).toEqual([{ source: "s", first: 1, end: 5 }]);
    inbox.trim("s", 3);
    await appending;
    expect(seen(inbox).map(([position]) => position)).toEqual([3, 4, 5, 6]);
    expect(told).toEqual([{ records: 4, bytes: expect.any(Number) as number }]);
  });

  it("says so again only when it was not full for a minute", async () => {
    let told = 0;
    let now = 1_000_000;
    jest.spyOn(performance, "now").mockImplementation(() => now);
    try {
      const inbox = open({ records: 4 }, () => (told += 1));
      const toldAfter = [];
      for (const later of [0, 59_000, 59_000, 61_000]) {
        now += later;
        const end = inbox.look()[0]?.end ?? 0;
        const appending = inbox.append(numbered(0, 5));
        await isDone(appending);
        // It counts from when there was room again.
        now += 100_000;
        inbox.trim("s", end + 4);
        await appending;
        inbox.trim("s", end + 5);
        toldAfter.push(told);
      }
      expect(toldAfter).toEqual([1, 1, 1, 2]);
    } finally {
      jest.restoreAllMocks();
    }
  });

  it("counts what is left in it from before a restart", async () => {
    const before = open();
    await before.append(numbered(0, 4));
    before.trim("s", 1);
    close(before);
    const inbox = open({ records: 4 });
    await inbox.append(numbered(4, 5));
    const appending = inbox.append(numbered(5, 6));
    expect(await isDone(appending)).toBe(false);
    inbox.trim("s", 2);
    await appending;
  });

  it("is full by bytes too, but takes a record of any size when it is empty", async () => {
    const inbox = open({ bytes: 1_000 });
    await inbox.append([record("x".repeat(5_000))]);
    const appending = inbox.append([record("small"), record("y".repeat(5_000)), record("small")]);
    expect(await isDone(appending)).toBe(false);
    expect(inbox.look()).toMatchObject([{ first: 0, end: 1 }]);
    inbox.trim("s", 1);
    expect(await isDone(appending)).toBe(false);
    expect(inbox.look()).toMatchObject([{ first: 1, end: 2 }]);
    inbox.trim("s", 2);
    expect(await isDone(appending)).toBe(false);
    expect(inbox.look()).toMatchObject([{ first: 2, end: 3 }]);
    inbox.trim("s", 3);
    await appending;
  });

  it("takes what is in hand when the job is told to end: it would be lost", async () => {
    const stop = new AbortController();
    const inbox = open({ records: 2 });
    const appending = inbox.append(numbered(0, 5), stop.signal);
    expect(await isDone(appending)).toBe(false);
    stop.abort();
    await appending;
    await inbox.append(numbered(5, 7), stop.signal);
    expect(seen(inbox).map(([position]) => position)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });
});

describe("whatever is appended, let go of and opened again", () => {
  type Act =
    | { readonly kind: "append"; readonly sources: readonly string[] }
    | { readonly kind: "trim"; readonly source: string; readonly by: number }
    | { readonly kind: "reopen" };
  const source = fc.constantFrom("s", "t");
  const acts: fc.Arbitrary<Act[]> = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant("append" as const), sources: fc.array(source, { maxLength: 8 }) }),
      fc.record({ kind: fc.constant("trim" as const), source, by: fc.nat(6) }),
      fc.constant({ kind: "reopen" as const }),
    ),
    { maxLength: 25 },
  );

  test("the numbers follow each other, and what is there is what was not let go of", async () => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(acts, async (done) => {
        const name = at(`${(run += 1)}.inbox.db`);
        let inbox = Inbox.open(name, MANY, () => undefined);
        const expected = new Map<string, { first: number; values: string[] }>();
        let next = 0;
        for (const act of done) {
          if (act.kind === "append") {
            const records = act.sources.map((of) => record(String((next += 1)), { source: of }));
            for (const { source: of, value } of records) {
              if (!expected.has(of)) expected.set(of, { first: 0, values: [] });
              expected.get(of)?.values.push(String(value));
            }
            await inbox.append(records);
          } else if (act.kind === "trim") {
            const part = expected.get(act.source);
            if (part !== undefined) part.first = Math.min(part.values.length, part.first + act.by);
            inbox.trim(act.source, part?.first ?? act.by);
          } else {
            inbox.close();
            inbox = Inbox.open(name, MANY, () => undefined);
          }
          const parts = [...expected].map(([of, { first, values }]) => ({ source: of, first, end: values.length }));
          const bySource = (a: { source: string }, b: { source: string }) => (a.source < b.source ? -1 : 1);
          expect(inbox.look().sort(bySource)).toEqual(parts.sort(bySource));
          for (const { source: of, first, end } of parts) {
            const all = expected.get(of)?.values ?? [];
            expect([...inbox.read(of, 0, end)].flat().map(({ position, value }) => [position, value])).toEqual(
              all.slice(first).map((value, index) => [first + index, value]),
            );
          }
        }
        inbox.close();
      }),
      { numRuns: 60 },
    );
  });
});
