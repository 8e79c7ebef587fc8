// GroupByKey for the DirectRunner in place of the SDK's: no encoding of keys and windows per element, sessions, and, in
// a run that has a clock, panes: on time when the watermark passes the window's end, late until its lateness is over.
import { types } from "node:util";
import { currentClock, type Clock } from "./clock";
import {
  beam,
  internal,
  jsCoders,
  operators,
  requiredCoders,
  runnerApi,
  type sdk,
  standardCoders,
  values,
} from "./sdk";
import { countsOf, type Count } from "./counts";
import { type KV, type PCollection, type PTransform } from "./collection";
import { type OutputShape } from "./do-fn";
import { boundsOf, windowOf, windowingStrategy, type Windowing } from "./windows";

/** Gathers all values of a key and window. */
export function groupByKey<K, V>(
  name = "group by key",
): PTransform<PCollection<KV<K, V>>, PCollection<KV<K, readonly V[]>>> {
  return beam.withName(name, internal.groupByKey()) as unknown as PTransform<
    PCollection<KV<K, V>>,
    PCollection<KV<K, readonly V[]>>
  >;
}

const pairs = () => new requiredCoders.KVCoder(new standardCoders.StrUtf8Coder(), new jsCoders.GeneralObjectCoder());

/** The shape of an output of pairs with text keys, as groupByKey takes them, in the windows of what came in. */
export function keyed(): OutputShape {
  return () => ({ coder: pairs() });
}

/** The shape of an output of pairs with text keys, in windows, as groupByKey takes them. */
export function keyedInto(windowing: Windowing, lateness: number, updatesEvery: number | null = null): OutputShape {
  return (pipeline) => ({ coder: pairs(), windowing: windowingStrategy(pipeline, windowing, lateness, updatesEvery) });
}

/**
 * What stands for a key in a Map: the same for equal keys, where objects count by content, whatever the order of their
 * fields. Texts and numbers stand for themselves, so that nothing is made for each element.
 */
export function keyId(key: unknown): string | number {
  if (typeof key === "number") return key;
  if (typeof key !== "string") return `\0${canonicalJson(key)}`;
  return key.startsWith("\0") ? `\0\0${key}` : key;
}

/**
 * A text that is equal for equal values: JSON with the fields of objects in order and without those that are undefined.
 * What JSON has no word for is written as JSON never is: 1n, NaN, date(0), bytes(AA==).
 */
export function canonicalJson(value: unknown): string {
  switch (typeof value) {
    case "bigint":
      return `${value}n`;
    case "number":
      return Object.is(value, -0) ? "0" : String(value);
    case "undefined":
      return "null";
    case "object":
      return value === null ? "null" : canonicalObject(value);
    case "function":
    case "symbol":
      throw new Error(`A ${typeof value} has no content to compare by`);
    default:
      return JSON.stringify(value);
  }
}

function canonicalObject(value: object): string {
  if (Array.isArray(value)) return `[${Array.from(value, canonicalJson).join()}]`;
  if (types.isUint8Array(value)) return `bytes(${Buffer.from(value).toString("base64")})`;
  if (types.isDate(value)) return `date(${value.getTime()})`;
  if (types.isMap(value) || types.isSet(value))
    throw new Error("A Map or Set has no content to compare by: use plain data");
  const fields = value as Record<string, unknown>;
  const texts = [];
  for (const name of Object.keys(fields).sort()) {
    const field = fields[name];
    if (field !== undefined) texts.push(`${JSON.stringify(name)}:${canonicalJson(field)}`);
  }
  return `{${texts.join()}}`;
}

interface Group {
  readonly key: unknown;
  readonly window: sdk.Window;
  readonly start: number;
  readonly end: number;
  values: unknown[];
  /** Panes sent so far. */
  panes: number;
  /** Whether values came since the last pane. */
  changed: boolean;
}

/** Two levels, so that no text is built per element: window by window, key by key. */
type Groups = Map<string, Map<string | number, Group>>;

class GroupByKeyOperator {
  private groups: Groups = new Map();
  private lastWindow: sdk.Window | null = null;
  private lastGroups = new Map<string | number, Group>();
  private clock: Clock | null = null;
  // What was told last, and not the clock's own, which has moved on while those above still send what that closed.
  private watermark = Number.NEGATIVE_INFINITY;
  private readonly receiver: sdk.Receiver;
  private readonly merging: boolean;
  private readonly lateness: number;
  private readonly accumulating: boolean;
  private readonly count: Count;

  constructor(
    readonly transformId: string,
    transform: sdk.TransformProto,
    context: sdk.OperatorContext,
  ) {
    this.count = countsOf(transformId, context);
    this.receiver = context.getReceiver(Object.values(transform.outputs)[0]);
    const [input = ""] = Object.values(transform.inputs);
    const collection = context.descriptor.pcollections[input];
    const strategy = context.descriptor.windowingStrategies[collection?.windowingStrategyId ?? ""];
    if (strategy === undefined) throw new Error(`GroupByKey ${transformId} has an input without a windowing strategy`);
    this.merging = strategy.mergeStatus === runnerApi.MergeStatus_Enum.NEEDS_MERGE;
    this.lateness = Number(strategy.allowedLateness);
    this.accumulating = strategy.accumulationMode === runnerApi.AccumulationMode_Enum.ACCUMULATING;
  }

  async startBundle(): Promise<void> {
    this.groups = new Map();
    this.lastWindow = null;
    this.watermark = Number.NEGATIVE_INFINITY;
    this.clock = currentClock();
    this.clock?.listen((watermark) => this.close(watermark));
  }

  process(element: sdk.WindowedValue): sdk.Done {
    const { key, value } = element.value as KV<unknown, unknown>;
    const id = keyId(key);
    for (const window of element.windows) {
      if (this.clock !== null && boundsOf(window).end + this.lateness <= this.watermark) {
        this.count("late", 1);
        continue;
      }
      const groups = this.groupsOf(window);
      const group = groups.get(id);
      if (group === undefined) {
        groups.set(id, { key, window, ...boundsOf(window), values: [value], panes: 0, changed: true });
      } else {
        group.values.push(value);
        group.changed = true;
      }
    }
    return null;
  }

  private groupsOf(window: sdk.Window): Map<string | number, Group> {
    if (window === this.lastWindow) return this.lastGroups;
    const { start, end } = boundsOf(window);
    const id = `${start}:${end}`;
    let groups = this.groups.get(id);
    if (groups === undefined) this.groups.set(id, (groups = new Map<string | number, Group>()));
    this.lastWindow = window;
    this.lastGroups = groups;
    return groups;
  }

  /** Sends what the watermark closes. Late elements wait for the next move of the watermark: one pane, not one each. */
  private async close(watermark: number): Promise<void> {
    if (this.merging) this.groups = mergeSessions(this.groups);
    this.lastWindow = null;
    for (const [id, groups] of this.groups) {
      for (const [key, group] of groups) {
        if (group.end > watermark) continue;
        if (group.changed) await this.send(group);
        if (group.end + this.lateness <= watermark) groups.delete(key);
      }
      if (groups.size === 0) this.groups.delete(id);
    }
    this.watermark = watermark;
  }

  private send(group: Group): sdk.Done {
    const { key, window, values: inGroup, panes } = group;
    group.panes += 1;
    group.changed = false;
    if (!this.accumulating) group.values = [];
    const pane =
      this.clock === null
        ? standardCoders.PaneInfoCoder.ONE_AND_ONLY_FIRING
        : {
            // A window that had nothing when the watermark passed its end has no pane on time, only late ones.
            timing: panes === 0 && this.watermark < group.end ? values.Timing.ON_TIME : values.Timing.LATE,
            index: panes,
            onTimeIndex: panes,
            isFirst: panes === 0,
            isLast: false,
          };
    const sent = this.accumulating && this.clock !== null ? [...inGroup] : inGroup;
    return this.receiver.receive({
      value: { key, value: sent },
      windows: [window],
      timestamp: window.maxTimestamp(),
      pane,
    });
  }

  async finishBundle(): Promise<void> {
    const groups = this.merging ? mergeSessions(this.groups) : this.groups;
    this.groups = new Map();
    for (const byKey of groups.values()) {
      for (const group of byKey.values()) {
        if (!group.changed) continue;
        const done = this.send(group);
        if (done !== null) await done;
      }
    }
  }
}

/** Joins the sessions of a key that overlap. */
function mergeSessions(groups: Groups): Groups {
  const byKey = new Map<string | number, Group[]>();
  for (const groupsOfWindow of groups.values()) {
    for (const [id, group] of groupsOfWindow) {
      const sessions = byKey.get(id);
      if (sessions === undefined) byKey.set(id, [group]);
      else sessions.push(group);
    }
  }
  const merged: Groups = new Map();
  for (const [id, sessions] of byKey) {
    sessions.sort((a, b) => a.start - b.start || a.end - b.end);
    let overlapping: Group[] = [];
    let end = Number.NEGATIVE_INFINITY;
    for (const session of sessions) {
      if (session.start >= end && overlapping.length > 0) {
        put(merged, id, joined(overlapping, end));
        overlapping = [];
      }
      overlapping.push(session);
      end = Math.max(end, session.end);
    }
    put(merged, id, joined(overlapping, end));
  }
  return merged;
}

function put(groups: Groups, id: string | number, group: Group): void {
  const windowId = `${group.start}:${group.end}`;
  const groupsOfWindow = groups.get(windowId);
  if (groupsOfWindow === undefined) groups.set(windowId, new Map([[id, group]]));
  else groupsOfWindow.set(id, group);
}

/** One session in place of those, which are in order of their start. */
function joined(sessions: readonly Group[], end: number): Group {
  const [first] = sessions as [Group, ...Group[]];
  if (sessions.length === 1) return first;
  const { key, start } = first;
  // A longer session is a new window; one that only grew inside goes on with its panes.
  const same = sessions.find((session) => session.start === start && session.end === end);
  return {
    key,
    window: windowOf(start, end),
    start,
    end,
    values: sessions.flatMap((session) => session.values),
    panes: same?.panes ?? 0,
    changed: sessions.some((session) => session.changed),
  };
}

/** Puts this operator in the place of the SDK's, in this process. Clusters group by themselves. */
export function useFastGroupByKey(): void {
  operators.registerOperator(internal.groupByKey.urn, GroupByKeyOperator);
}
