import { type FlowNews, type FlowTalk } from "../../io/connector";
import { openDatabase } from "../../io/sqlite/database";
import { RunError, UnavailableError } from "../../schema/errors";
import { type Range, type SourceRecord } from "../../schema/record";
import { scratchDirectory } from "../../test/scratch";
import { FlowingInput, type FlowEvent } from "./flowing-input";
import { lookInto } from "./inbox";

const at = scratchDirectory();
const file = () => at("job.trades.inbox.db");

const record = (value: string): SourceRecord => ({
  value,
  source: "s",
  position: 0,
  key: null,
  timestamp: null,
  headers: null,
  fields: null,
});

type Said = string[] | Error | "end" | FlowNews | { readonly note: string } | { readonly missed: number };

/** A source that gives what it is told to, as it is asked, and notes how it was asked. */
class Tap {
  readonly asked: string[] = [];
  readonly noted: unknown[] = [];
  readonly patience: unknown[] = [];
  readonly froms: unknown[] = [];
  private waiting: (() => void) | null = null;
  private readonly says: Said[] = [];
  private talk: FlowTalk = {};
  opened = 0;
  closed = 0;

  say(...what: Said[]): void {
    this.says.push(...what);
    this.waiting?.();
  }

  async *flow(signal: AbortSignal, talk: FlowTalk): AsyncGenerator<SourceRecord[]> {
    this.opened += 1;
    this.talk = talk;
    this.noted.push(talk.noted);
    this.patience.push(talk.giveUpAfter);
    this.froms.push(talk.from);
    try {
      for (;;) {
        const said = this.says.shift();
        if (said === "end") return;
        if (said instanceof Error) throw said;
        if (typeof said === "object" && "note" in said) {
          this.talk.note?.(said.note);
          continue;
        }
        if (typeof said === "object" && "missed" in said) {
          this.talk.missed?.(said.missed);
          continue;
        }
        if (typeof said === "object" && "kind" in said) {
          this.talk.tell?.(said);
          continue;
        }
        if (said !== undefined) {
          this.asked.push(said.join());
          yield said.map(record);
          continue;
        }
        if (signal.aborted) throw signal.reason;
        await new Promise<void>((resolve) => {
          this.waiting = resolve;
          signal.addEventListener("abort", () => resolve(), { once: true });
        });
      }
    } finally {
      this.closed += 1;
    }
  }
}

function scene({ records = 1_000, giveUpAfter = 60_000 } = {}) {
  const tap = new Tap();
  const events: FlowEvent[] = [];
  const input = new FlowingInput("trades", (signal, talk) => tap.flow(signal, talk), file(), {
    bounds: { records, bytes: 1 << 20 },
    giveUpAfter,
    onEvent: (event) => events.push(event),
  });
  return { tap, events, input };
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 2));
}
const values = async (input: FlowingInput, range: Range) => [...input.read(range)].flat().map(({ value }) => value);

test("what flows in can be planned, read and let go of", async () => {
  const { tap, input } = scene();
  expect(tap.opened).toBe(0);
  expect(await input.look()).toEqual([]);
  tap.say(["a", "b"], ["c"]);
  input.begin();
  await until(() => tap.asked.length === 2 && lookInto(file())[0]?.end === 3);
  const [part] = await input.look();
  if (part === undefined) throw new Error("nothing is there");
  expect(part).toEqual({ source: "s", first: 0, end: 3 });
  expect(await input.start(part, "earliest")).toBe(0);
  await expect(input.start(part, { since: 1 })).rejects.toThrow("gives each record once");
  const range = await input.cut(part, 1, 1);
  expect(range).toEqual({ connector: "inbox", source: "s", from: 1, to: 2, detail: { input: "trades" } });
  expect(await values(input, range)).toEqual(["b"]);
  expect(await values(input, await input.cut(part, 1, 100))).toEqual(["b", "c"]);
  expect(await input.knowsJob()).toBe(false);
  await input.committed(new Map([["s", 2]]));
  expect(await input.look()).toEqual([{ source: "s", first: 2, end: 3 }]);
  expect(await input.knowsJob()).toBe(true);
  await input.close();
});

test("“latest” leaves out what an earlier start left, and nothing that flows in now", async () => {
  const first = scene();
  first.tap.say(["a", "b"], "end");
  first.input.begin();
  await until(() => first.input.isOver);
  await first.input.close();
  const { tap, input } = scene();
  tap.say(["c"], "end");
  input.begin();
  await until(() => input.isOver);
  const [part] = await input.look();
  expect(part).toMatchObject({ first: 0, end: 3 });
  expect(part && (await input.start(part, "latest"))).toBe(2);
  await input.close();
});

test("no range goes over a place where records are missing, also where that shows later, or in an earlier start", async () => {
  const first = scene();
  first.tap.say({ missed: 0 }, ["a", "b"], { missed: 3 }, ["c", "d"], "end");
  first.input.begin();
  await until(() => first.input.isOver);
  await first.input.close();
  const { tap, input } = scene();
  tap.say(["e", "f"], { missed: 5 }, { missed: 6 }, "end");
  input.begin();
  await until(() => input.isOver);
  expect(first.tap.froms.concat(tap.froms)).toEqual([0, 4]);
  const [part] = await input.look();
  if (part === undefined) throw new Error("nothing is there");
  const ranges = [];
  for (let from = 0; from < part.end;) {
    const { to } = await input.cut(part, from, 100);
    ranges.push([from, to, input.missedBefore("s", from)]);
    from = to ?? part.end;
  }
  expect(ranges).toEqual([
    [0, 3, 0],
    [3, 6, 3],
  ]);
  // In front of what comes next; what was given before had looked whole.
  expect(input.missedBefore("s", 6)).toBe(5);
  expect(input.isBroken).toBe(true);
  await input.committed(new Map([["s", 3]]));
  expect([input.isBroken, input.missedBefore("s", 0), input.missedBefore("s", 3)]).toEqual([false, null, 3]);
  await input.close();
});

test("that something is missing and cannot be kept ends the source", async () => {
  const { tap, input } = scene();
  tap.say(["a"]);
  input.begin();
  await until(() => tap.asked.length === 1);
  const other = openDatabase(file());
  other.exec("DROP TABLE missed");
  other.close();
  tap.say({ missed: 1 });
  await until(() => tap.closed === 1);
  await expect(input.look()).rejects.toThrow(/the inbox .* could not be written/);
  await input.close();
});

test("its end is told when all is in the inbox", async () => {
  const { tap, input } = scene({ records: 1 });
  tap.say(["a"], ["b"], "end");
  input.begin();
  await until(() => tap.asked.length === 2);
  expect(input.isOver).toBe(false);
  await input.committed(new Map([["s", 1]]));
  await until(() => input.isOver);
  expect(await input.look()).toEqual([{ source: "s", first: 1, end: 2 }]);
  await input.close();
});

test("while the inbox is full the source is not asked for more", async () => {
  const { tap, events, input } = scene({ records: 2 });
  tap.say(["a", "b"], ["c"], ["d"], ["e"]);
  input.begin();
  await until(() => events.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(tap.asked).toEqual(["a,b", "c"]);
  expect(events).toMatchObject([{ kind: "inbox full", input: "trades", held: { records: 2 }, bounds: { records: 2 } }]);
  await input.committed(new Map([["s", 2]]));
  await until(() => tap.asked.length === 4);
  await input.close();
});

test("what it was given before the end is in the inbox, full or not, and a second start has it", async () => {
  const first = scene({ records: 1 });
  const stop = new AbortController();
  first.tap.say(["a", "b", "c"]);
  first.input.begin(stop.signal);
  await until(() => first.events.length > 0);
  stop.abort();
  await first.input.stop();
  expect(first.input.isOver).toBe(false);
  await first.input.close();
  expect(first.tap.closed).toBe(1);
  const { input } = scene();
  expect(await input.look()).toEqual([{ source: "s", first: 0, end: 3 }]);
  await input.close();
});

test("what cannot be kept is no quiet loss, even at the end", async () => {
  const { tap, events, input } = scene({ records: 1 });
  tap.say(["a", "b"]);
  input.begin();
  await until(() => events.length > 0);
  const other = openDatabase(file());
  other.exec("DROP TABLE record");
  other.close();
  await expect(input.stop()).rejects.toThrow(/the inbox .* could not be written/);
  await input.close();
});

test("a source that is asked again is lost until it gives anything, be it nothing new", async () => {
  const { tap, events, input } = scene();
  const retry: FlowNews = { kind: "retry", count: 1, text: "gone; it is asked again in 1s" };
  tap.say(["a"], retry, retry, [], ["b"], retry, ["c"], "end");
  input.begin();
  await until(() => input.isOver);
  const [news, lost] = [
    { kind: "flow news", input: "trades", news: retry },
    { kind: "flow lost", input: "trades" },
  ];
  const back = { kind: "flow back", input: "trades" };
  expect(events).toEqual([lost, news, lost, news, back, lost, news, back]);
  expect(await input.look()).toEqual([{ source: "s", first: 0, end: 3 }]);
  await input.close();
});

test("what it notes is kept with its records, and given back when it is opened again", async () => {
  const first = scene();
  first.tap.say({ note: "at a" }, ["a"], ["b"], { note: "never given" }, "end");
  first.input.begin();
  await until(() => first.input.isOver);
  await first.input.close();
  expect(first.tap.noted).toEqual([null]);
  const second = scene();
  second.tap.say("end");
  second.input.begin();
  await until(() => second.input.isOver);
  expect(second.tap.noted).toEqual(["at a"]);
  await second.input.close();
});

test("what it tells is told on", async () => {
  const { tap, events, input } = scene();
  const news: FlowNews = { kind: "lost", count: 3, text: "3 records will not come" };
  tap.say(news, "end");
  input.begin();
  await until(() => input.isOver);
  expect(events).toEqual([{ kind: "flow news", input: "trades", news }]);
  await input.close();
});

test("it fails for good when the source gave up, or for any other reason, with what it had in the inbox", async () => {
  const late = scene({ giveUpAfter: 1234 });
  late.tap.say(["a"], new UnavailableError("gone"));
  late.input.begin();
  await until(() => late.tap.closed === 1);
  const failure = await late.input.look().then(String, (error: unknown) => error);
  // Not one that may pass: whoever waits for that would wait twice.
  expect(failure).toBeInstanceOf(RunError);
  expect(failure).not.toBeInstanceOf(UnavailableError);
  expect(failure).toMatchObject({ message: "gone" });
  expect([late.tap.opened, late.tap.patience]).toEqual([1, [1234]]);
  await expect(late.input.stop()).rejects.toThrow("gone");
  await late.input.close();

  const broken = scene();
  broken.tap.say(["b"], new RunError("broken"));
  broken.input.begin();
  await until(() => broken.tap.closed === 1);
  await expect(broken.input.look()).rejects.toThrow("broken");
  await broken.input.close();
  expect(lookInto(file())).toEqual([{ source: "s", first: 0, end: 2 }]);
});
