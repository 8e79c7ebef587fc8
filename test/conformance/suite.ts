// What every sink must do, whatever it writes to: one suite, which each runs against its real server or the best stand-in
// for it. A place is read back by a client of the test's own, never by the connector that wrote there.
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { parseAddress } from "../../io/address";
import { type Batch, type Finding, type Output, type Rejected } from "../../io/connector";
import { sinkOf } from "../../io/registry";
import { RunError, UnavailableError, UsageError } from "../../schema/errors";
import { type Row, type Table } from "../../schema/table";
import { type FaultProxy } from "../fault-proxy";
import { batchOf, eventOf, events, kinds, normalOf, someKinds, type Normal } from "./rows";
import { writeAndDie, type DyingWriter } from "./write-and-die";

export interface Place {
  /** The address of a target of that name, which no other test uses. Nothing is there yet. */
  readonly address: (name: string) => Promise<string>;
  /**
   * What an independent client finds there, in the order in which it was written where the place has one. Nothing when the
   * target was not made yet. Of a place that appends, rows that have the same `beamline-id` are to be given once.
   */
  readonly rows: (address: string, table: Table) => Promise<readonly Normal[]>;
  /** Rows that are there when each copy counts: for places that append. */
  readonly copies?: (address: string, table: Table) => Promise<number>;
  /** Absent where there is no server, which is then said by `without`. */
  readonly server?: {
    /** Stands in front of it. */
    readonly proxy: FaultProxy;
    /** The same target, reached by way of the proxy. */
    readonly through: (address: string) => string;
    /** Stops it and starts it again with what it had. */
    readonly restart: () => Promise<void>;
  };
  /** What cannot be opened or written, and what is said. */
  readonly wrong: readonly WrongPlace[];
  /** A row that the place refuses while it takes others, and the reason it is counted under; null where it has none such. */
  readonly refuses: { readonly output: Output; readonly row: Row; readonly reason: string } | null;
  /** An address where there is little room, less than for 60,000 events. Absent where that cannot be had in a test. */
  readonly full?: () => Promise<{
    readonly address: string;
    readonly says: RegExp;
    /** Takes the room away; absent where there was little to begin with. */
    readonly fill?: () => Promise<void>;
    readonly free: () => Promise<void>;
  }>;
}

export interface WrongPlace {
  /** Such as “credentials”, “schema”, “server”. */
  readonly what: string;
  readonly address: (name: string) => Promise<string>;
  /** Undefined: not set. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** The sentence of the failure; `doctor` finds the same place wrong. */
  readonly says: RegExp;
}

export interface Conformance {
  /** The connector's name. */
  readonly sink: string;
  /** What stands for the place: “PostgreSQL 15”, “fake-gcs-server”. */
  readonly against: string;
  readonly start: () => Promise<Place>;
  readonly stop: () => Promise<void>;
  /** Whether the place keeps a record of batches beside their rows. */
  readonly records: boolean;
  /** What is not tried here, and why: a sentence for each. */
  readonly without?: { readonly server?: string; readonly restart?: string; readonly full?: string };
  /** How many rows with all kinds of values are tried. */
  readonly runs?: number;
}

export function conforms({ sink, against, start, stop, records, without = {}, runs = 25 }: Conformance): void {
  describe(`${sink} on ${against}`, () => {
    let place: Place;
    beforeAll(async () => {
      place = await start();
    });
    afterAll(stop);

    test("doctor changes nothing; the first batch makes what is missing", async () => {
      const address = await place.address("made");
      const before = await findings(address, [events]);
      expect(before.map(({ state }) => state)).not.toContain("wrong");
      expect(await place.rows(address, events.table)).toEqual([]);
      await write(address, { events: [eventOf(1)] });
      expect(await normal(address)).toEqual([normalOf(events.table, eventOf(1))]);
      const after = await findings(address, [events]);
      expect(after.length).toBeGreaterThan(0);
      expect(new Set(after.map(({ state }) => state))).toEqual(new Set(["fine"]));
      expect(await normal(address)).toEqual([normalOf(events.table, eventOf(1))]);
    });

    test("values of every type come back as they were", async () => {
      const address = await place.address("types");
      const rows = someKinds(fc.sample(kinds.rows, { numRuns: runs, seed: 7 }));
      await write(address, { kinds: rows }, batchOf(1), [kinds.output]);
      const found = await place.rows(address, kinds.output.table);
      expect(byKey(found, "id")).toEqual(
        byKey(
          rows.map((row) => normalOf(kinds.output.table, row)),
          "id",
        ),
      );
    });

    test.each([Number.NaN, Number.POSITIVE_INFINITY])("%p is refused, and nothing of it is there", async (share) => {
      const address = await place.address(`${share}`.toLowerCase());
      const [row] = someKinds([]);
      const outcome = await attempt(address, { kinds: [{ ...row, share }] }, batchOf(1), [kinds.output]);
      if (outcome.failed === null) expect(outcome.rejected).toHaveLength(1);
      else expect(outcome.failed).toBeInstanceOf(RunError);
      expect(await place.rows(address, kinds.output.table)).toEqual([]);
    });

    test("a batch that is written again leaves one copy of each row", async () => {
      const address = await place.address("again");
      const rows = manyEvents(0, 500);
      for (let time = 0; time < 3; time += 1) await write(address, { events: rows });
      expect(await eventsAt(address)).toEqual(expected(rows));
      if (sinkOf(parseAddress(address)).deliveryClass !== "append") return;
      expect(await place.copies?.(address, events.table)).toBe(1500);
    });

    test("rows come in any division, and in many batches", async () => {
      const address = await place.address("batches");
      await write(address, { events: manyEvents(0, 700) }, batchOf(1), [events], 1);
      await write(address, { events: manyEvents(700, 3000) }, batchOf(2), [events], 1999);
      await write(address, {}, batchOf(3));
      expect(await eventsAt(address)).toEqual(expected(manyEvents(0, 3000)));
    });

    test("the last row of a key is the one that holds, within a batch and from batch to batch", async () => {
      const address = await place.address("last");
      const all: Row[] = [];
      for (let number = 1; number <= 3; number += 1) {
        const rows = Array.from({ length: 600 }, (_, at) => eventOf(at % 50, number * 1000 + at));
        await write(address, { events: rows }, batchOf(number), [events], 70);
        all.push(...rows);
      }
      expect(last(await place.rows(address, events.table))).toEqual(
        last(all.map((row) => normalOf(events.table, row))),
      );
    });

    test("a row that cannot be written does not take the others with it, or the batch goes as a whole", async () => {
      if (place.refuses === null) {
        const address = await place.address("partial");
        const rows = [...manyEvents(0, 20), { ...eventOf(20), count: "no number" }, ...manyEvents(21, 40)];
        expect((await attempt(address, { events: rows })).failed).toBeInstanceOf(RunError);
        // Repaired, the same batch is written again.
        await write(address, { events: manyEvents(0, 40) });
        expect(await eventsAt(address)).toEqual(expected(manyEvents(0, 40)));
        return;
      }
      const { output, row, reason } = place.refuses;
      const address = await place.address("partial");
      const good = [normalOf(output.table, goodLike(output, 1)), normalOf(output.table, goodLike(output, 2))];
      const outcome = await attempt(
        address,
        { [output.name]: [goodLike(output, 1), row, goodLike(output, 2)] },
        batchOf(1),
        [output],
      );
      expect(outcome.failed).toBeNull();
      expect(outcome.rejected.map((one) => one.reason)).toEqual([reason]);
      expect(outcome.rejected[0]?.row).toEqual(row);
      expect(outcome.written).toBe(2);
      expect(byKey(await place.rows(address, output.table), output.table.key[0] ?? "")).toEqual(
        byKey(good, output.table.key[0] ?? ""),
      );
    });

    test("what is undone can be written afterwards", async () => {
      const address = await place.address("undone");
      const target = await open(address, [events], batchOf(1));
      await target.write("events", manyEvents(0, 300));
      await target.abort();
      const rows = manyEvents(0, 301);
      await write(address, { events: rows }, batchOf(1));
      expect(await eventsAt(address)).toEqual(expected(rows));
    });

    if (records) {
      test("a batch on record is skipped, and without the record it would not be", async () => {
        const address = await place.address("on_record");
        await write(address, { events: [eventOf(1, 10)] }, batchOf(4, 2));
        await write(address, { events: [eventOf(1, 99)] }, batchOf(4, 2));
        expect(await normal(address)).toEqual([normalOf(events.table, eventOf(1, 10))]);
        await write(address, { events: [eventOf(1, 99)] }, { ...batchOf(4, 2), turn: null });
        expect(await normal(address)).toEqual([normalOf(events.table, eventOf(1, 99))]);
      });

      test("an older process of the job writes nothing any more", async () => {
        const address = await place.address("fenced");
        await write(address, { events: [eventOf(1, 10)] }, batchOf(4, 2));
        const { failed } = await attempt(address, { events: [eventOf(1, 99)] }, batchOf(5, 1));
        expect(failed?.message).toMatch(/taken over/);
        expect(await normal(address)).toEqual([normalOf(events.table, eventOf(1, 10))]);
      });
    }

    const { deliveryClass, isShared = false } = sinkOf(parseAddress(`${/^[a-z0-9]+/.exec(sink)?.[0]}:`));
    if (isShared && deliveryClass === "keyed") {
      test("a row that has more is never replaced by one that has less, of however many writers", async () => {
        const address = await place.address("grown");
        const grown = { ...events, growsBy: "count" };
        const part = (number: number): Batch => ({ ...batchOf(number), turn: null, isPart: true });
        const writeGrown = async (number: number, rows: readonly Row[], output: Output = grown) => {
          await write(address, { events: rows }, part(number), [output], 20);
          return eventsAt(address);
        };
        await writeGrown(1, []);
        const row = { ...eventOf(1, 10), amount: "1" };
        expect(await writeGrown(2, [row])).toEqual(expected([row]));
        expect(await writeGrown(3, [{ ...eventOf(1, 9), amount: "2" }])).toEqual(expected([row]));
        const same = { ...eventOf(1, 10), amount: "3" };
        expect(await writeGrown(4, [same])).toEqual(expected([same]));
        const more = { ...eventOf(1, 11), amount: "4" };
        expect(await writeGrown(5, [more])).toEqual(expected([more]));
        const rows = Array.from({ length: 40 }, (_, at) => eventOf(at, 100));
        await Promise.all(
          [3, 1, 4, 2].map((count, at) =>
            writeGrown(
              6 + at,
              rows.map((one) => ({ ...one, count: 100 + count })),
            ),
          ),
        );
        expect(await eventsAt(address)).toEqual(expected(rows.map((one) => ({ ...one, count: 104 }))));
        // Without it, the last one holds.
        const less = { ...eventOf(1, 1), amount: "5" };
        expect(await writeGrown(10, [less], events)).toContainEqual(expected([less])[0]);
      });
    }

    test("killed while it opens, writes and commits, and written again: one copy of each row", async () => {
      const address = await place.address("killed");
      const moments: DyingWriter["die"][] = [
        { at: "opened" },
        { at: "written", rows: 1500 },
        { at: "commit", after: 0 },
        { at: "commit", after: 10 },
        { at: "commit", after: 60 },
        { at: "commit", after: 300 },
      ];
      for (const [index, die] of moments.entries()) {
        const rows = { from: index * 2000, to: (index + 1) * 2000 };
        const ending = await writeAndDie({ address, number: index + 1, rows, die });
        // A commit may be done before it is killed.
        expect(["killed", "done"]).toContain(ending);
        await write(address, { events: manyEvents(rows.from, rows.to) }, batchOf(index + 1));
      }
      expect(await eventsAt(address)).toEqual(expected(manyEvents(0, moments.length * 2000)));
    });

    test("what is wrong is said in a sentence, by a run and by doctor", async () => {
      expect(place.wrong.length).toBeGreaterThan(0);
      for (const { what, address, environment = {}, says } of place.wrong) {
        const before = { ...process.env };
        for (const [name, value] of Object.entries(environment)) {
          if (value === undefined) delete process.env[name];
          else process.env[name] = value;
        }
        try {
          const wrong = await address(`wrong_${what}`);
          const { failed } = await attempt(wrong, { events: [eventOf(1)] });
          expect({ what, says: failed?.message }).toEqual({ what, says: expect.stringMatching(says) as string });
          expect([RunError, UsageError].some((kind) => failed instanceof kind)).toBe(true);
          const found = await findings(wrong, [events]);
          expect({ what, states: found.map(({ state }) => state) }).toEqual({
            what,
            states: expect.arrayContaining(["wrong"]) as string[],
          });
        } finally {
          for (const name of Object.keys(environment)) delete process.env[name];
          Object.assign(process.env, before);
        }
      }
    });

    // What is not tried is no test: it does not count as one that passed.
    const whereRoomEnds = without.full === undefined ? test : notTried;
    const withServer = without.server === undefined ? test : notTried;
    const whereItLasts = without.restart === undefined ? withServer : notTried;

    whereRoomEnds(
      "no room left: a sentence, nothing lost, and the batch goes through when there is room again",
      async () => {
        const full = await needed(place.full, "full")();
        if (full.fill !== undefined) {
          await write(full.address, { events: manyEvents(0, 10) }, batchOf(1));
          await full.fill();
        }
        const { failed } = await attempt(full.address, { events: manyEvents(10, 60_000) }, batchOf(2));
        expect(failed?.message).toMatch(full.says);
        await full.free();
        await write(full.address, { events: manyEvents(full.fill === undefined ? 0 : 10, 3000) }, batchOf(2));
        expect(await eventsAt(full.address)).toEqual(expected(manyEvents(0, 3000)));
      },
    );

    withServer("a server that is slow, and connections that break", async () => {
      const { proxy, through: byProxy } = needed(place.server, "server");
      try {
        const address = await place.address("slow");
        const through = byProxy(address);
        proxy.delay(40);
        await write(through, { events: manyEvents(0, 1000) }, batchOf(1), [events], 500);
        proxy.delay(0);
        const going = attempt(through, { events: manyEvents(1000, 3000) }, batchOf(2), [events], 100);
        await sleep(60);
        proxy.cut();
        const { failed } = await going;
        // Either it went on by itself, or it says that the server was not there, and the batch is run again.
        if (failed !== null) {
          expect(failed).toBeInstanceOf(UnavailableError);
          await write(through, { events: manyEvents(1000, 3000) }, batchOf(2));
        }
        expect(await eventsAt(address)).toEqual(expected(manyEvents(0, 3000)));
      } finally {
        proxy.delay(0);
      }
    });

    whereItLasts("a server that is restarted in the midst of a batch", async () => {
      const address = await place.address("restarted");
      await write(address, { events: manyEvents(0, 200) }, batchOf(1));
      const target = await open(address, [events], batchOf(2));
      let failed: unknown = null;
      try {
        await target.write("events", manyEvents(200, 1200));
        await needed(place.server, "server").restart();
        await target.write("events", manyEvents(1200, 2200));
        await target.commit();
      } catch (error) {
        failed = error;
      } finally {
        await target.abort();
      }
      if (failed !== null) {
        expect(failed).toBeInstanceOf(UnavailableError);
        await write(address, { events: manyEvents(200, 2200) }, batchOf(2));
      }
      expect(await eventsAt(address)).toEqual(expected(manyEvents(0, 2200)));
    });

    const normal = (address: string) => place.rows(address, events.table);
    const eventsAt = async (address: string) => byKey(await place.rows(address, events.table), "id");
  });
}

const notTried = (_name: string, _body: () => Promise<void>): void => undefined;

/** What a test cannot do without: a place that lacks it has to say so. */
function needed<T>(part: T | undefined, name: keyof NonNullable<Conformance["without"]>): T {
  if (part === undefined) throw new Error(`The place has no “${name}”, and does not say by “without” why not`);
  return part;
}

const manyEvents = (from: number, to: number): Row[] =>
  Array.from({ length: to - from }, (_, at) => eventOf(from + at));
const expected = (rows: readonly Row[]): Normal[] =>
  byKey(
    rows.map((row) => normalOf(events.table, row)),
    "id",
  );
const byKey = (rows: readonly Normal[], key: string): Normal[] =>
  [...rows].sort((a, b) => (String(a[key]) < String(b[key]) ? -1 : 1));
const last = (rows: readonly Normal[]): Normal[] =>
  byKey([...new Map(rows.map((row) => [row["id"], row])).values()], "id");
/** A row of the output of a place's own that it takes. */
const goodLike = ({ table }: Output, number: number): Row =>
  Object.fromEntries(
    Object.entries(eventOf(number)).filter(([name]) => table.columns.some((one) => one.name === name)),
  );

const findings = async (address: string, outputs: readonly Output[]): Promise<readonly Finding[]> => {
  const parsed = parseAddress(address);
  const { check } = sinkOf(parsed);
  if (check === undefined) throw new Error(`${parsed.scheme}: cannot be checked`);
  return check(parsed, outputs);
};

const open = async (address: string, outputs: readonly Output[], batch: Batch) => {
  const parsed = parseAddress(address);
  return sinkOf(parsed).open(parsed, outputs, batch);
};

interface Outcome {
  readonly failed: Error | null;
  readonly written: number;
  readonly rejected: readonly Rejected[];
}

/** Writes a batch as a run does: some rows at a time, and an abort when anything fails. */
async function attempt(
  address: string,
  rows: Readonly<Record<string, readonly Row[]>>,
  batch: Batch = batchOf(1),
  outputs: readonly Output[] = [events],
  together = 2000,
): Promise<Outcome> {
  let written = 0;
  const rejected: Rejected[] = [];
  let target;
  try {
    target = await open(address, outputs, batch);
    for (const [name, some] of Object.entries(rows)) {
      for (let at = 0; at < some.length; at += together) {
        const result = await target.write(name, some.slice(at, at + together));
        written += result.written;
        rejected.push(...(result.rejected ?? []));
      }
    }
    await target.commit();
    return { failed: null, written, rejected };
  } catch (error) {
    await target?.abort();
    return { failed: error as Error, written, rejected };
  }
}

async function write(...words: Parameters<typeof attempt>): Promise<void> {
  const { failed, rejected } = await attempt(...words);
  if (failed !== null) throw failed;
  expect(rejected).toEqual([]);
}
