// GroupByKey for the DirectRunner in place of the SDK's: no encoding of keys and windows per element, sessions, and, in
// a run that has a clock, panes: on time when the watermark passes the window's end, late until its lateness is over.
import { currentClock, type Clock } from "./clock";
import { beam, internal, jsCoders, operators, requiredCoders, runnerApi, type sdk, standardCoders, values } from "./sdk";
import { countsOf, type Count } from "./counts";
import { type KV, type PCollection, type PTransform } from "./collection";
import { type OutputShape } from "./do-fn";
import { boundsOf, toInterval, windowingStrategy, type Windowing } from "./windows";

/** Gathers all values of a key and window. */
export function groupByKey<K, V>(name = "group by key"): PTransform<PCollection<KV<K, V>>, PCollection<KV<K, readonly V[]>>> {
  return beam.withName(name, internal.groupByKey()) as unknown as PTransform<
    PCollection<KV<K, V>>,
    PCollection<KV<K, readonly V[]>>
  >;
}

/** The shape of an output of pairs with text keys, in windows, as groupByKey takes them. */
export function keyedInto(windowing: Windowing, lateness: number): OutputShape {
  return (pipeline) => ({
    coder: new requiredCoders.KVCoder(new standardCoders.StrUtf8Coder(), new jsCoders.GeneralObjectCoder()),
    windowing: windowingStrategy(pipeline, windowing, lateness),
  });
}

/** A text that is equal for equal keys: objects count by content, whatever the order of their fields. */
export function keyText(key: unknown): string {
  if (typeof key === "string") return `s${key}`;
  if (typeof key === "number") return `n${Object.is(key, -0) ? 0 : key}`;
  return `j${canonicalJson(key)}`;
}

/** JSON with the fields of objects in order. */
export function canonicalJson(value: unknown): string {
  if (value instanceof Uint8Array) return `"bytes:${Buffer.from(value).toString("base64")}"`;
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join()}]`;
  if (value === null || typeof value !== "object") {
    return typeof value === "bigint" ? `${value}n` : (JSON.stringify(value) ?? "null");
  }
  const fields = value as Record<string, unknown>;
  const texts = Object.keys(fields).sort().map((name) => `${JSON.stringify(name)}:${canonicalJson(fields[name])}`);
  return `{${texts.join()}}`;
}

interface Group {
  readonly key: unknown;
  window: sdk.Window;
  start: number;
  end: number;
  values: unknown[];
  /** Panes sent so far. */
  panes: number;
  /** Whether values came since the last pane. */
  changed: boolean;
}

class GroupByKeyOperator {
  // Two levels, so that no text is built per element: window by window, key by key.
  private groups = new Map<string, Map<string, Group>>();
  private lastWindow: sdk.Window | null = null;
  private lastGroups = new Map<string, Group>();
  private clock: Clock | null = null;
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
    this.clock = currentClock();
    this.clock?.listen((watermark) => this.close(watermark));
  }

  process(element: sdk.WindowedValue): sdk.Done {
    const { key, value } = element.value as KV<unknown, unknown>;
    for (const window of element.windows) {
      if (this.clock !== null && boundsOf(window).end + this.lateness <= this.clock.watermark) {
        this.count("late", 1);
        continue;
      }
      const groups = this.groupsOf(window);
      const id = keyText(key);
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

  private groupsOf(window: sdk.Window): Map<string, Group> {
    if (window === this.lastWindow) return this.lastGroups;
    const { start, end } = boundsOf(window);
    const id = `${start}:${end}`;
    let groups = this.groups.get(id);
    if (groups === undefined) this.groups.set(id, (groups = new Map<string, Group>()));
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
            timing: panes === 0 ? values.Timing.ON_TIME : values.Timing.LATE,
            index: panes,
            onTimeIndex: panes,
            isFirst: panes === 0,
            isLast: false,
          };
    const sent = this.accumulating && this.clock !== null ? [...inGroup] : inGroup;
    return this.receiver.receive({ value: { key, value: sent }, windows: [window], timestamp: window.maxTimestamp(), pane });
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
function mergeSessions(groups: ReadonlyMap<string, ReadonlyMap<string, Group>>): Map<string, Map<string, Group>> {
  const byKey = new Map<string, Group[]>();
  for (const groupsOfWindow of groups.values()) {
    for (const [id, group] of groupsOfWindow) {
      const sessions = byKey.get(id);
      if (sessions === undefined) byKey.set(id, [group]);
      else sessions.push(group);
    }
  }
  const merged = new Map<string, Map<string, Group>>();
  for (const [id, sessions] of byKey) {
    sessions.sort((a, b) => a.start - b.start || a.end - b.end);
    let open: Group | null = null;
    const close = (group: Group) => {
      const windowId = `${group.start}:${group.end}`;
      let groupsOfWindow = merged.get(windowId);
      if (groupsOfWindow === undefined) merged.set(windowId, (groupsOfWindow = new Map<string, Group>()));
      groupsOfWindow.set(id, group);
    };
    for (const session of sessions) {
      if (open !== null && session.start < open.end) {
        open = join(open, session);
      } else {
        if (open !== null) close(open);
        open = session;
      }
    }
    if (open !== null) close(open);
  }
  return merged;
}

function join(a: Group, b: Group): Group {
  const start = Math.min(a.start, b.start);
  const end = Math.max(a.end, b.end);
  return {
    key: a.key,
    window: toInterval(start, end),
    start,
    end,
    values: [...a.values, ...b.values],
    panes: Math.max(a.panes, b.panes),
    changed: a.changed || b.changed,
  };
}

/** Puts this operator in the place of the SDK's, in this process. Clusters group by themselves. */
export function useFastGroupByKey(): void {
  operators.registerOperator(internal.groupByKey.urn, GroupByKeyOperator as never);
}
