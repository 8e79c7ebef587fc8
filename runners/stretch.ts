// The stretch of time that a bounded run is about, --since to --until. Where a pipeline aggregates, it is a stretch of event
// time and made of whole windows; elsewhere records are chosen by the time that their source says.
import { alignDown, type Windowing } from "../beam";
import { type Address, type SourceConnector, type Stretch } from "../io/connector";
import { formatDuration } from "../schema/duration";
import { UsageError } from "../schema/errors";
import { timeText } from "../schema/time-text";
import { type NamedAggregate } from "../transforms/aggregates-of";
import { type RunOptions } from "./run-options";

/** Times can be said from the year 0 to 9999: what is beyond is no limit. */
const FIRST_TIME = Date.parse("0000-01-01T00:00:00.000Z");
const LAST_TIME = Date.parse("9999-12-31T23:59:59.999Z");

export function stretchOf({ since, until }: Pick<RunOptions, "since" | "until">): Stretch {
  const stretch = {
    since: since === undefined ? null : Date.parse(since),
    until: until === undefined ? null : Date.parse(until),
  };
  if (stretch.since !== null && stretch.until !== null && stretch.since >= stretch.until)
    throw new UsageError(`--since ${since} is not before --until ${until}: nothing lies between them`);
  return stretch;
}

export const isAll = ({ since, until }: Stretch): boolean => since === null && until === null;

/** Whether a record of this time is of the stretch; one without a time is not. */
export const isWithin = ({ since, until }: Stretch, time: number | null): boolean =>
  time !== null && (since === null || time >= since) && (until === null || time < until);

/**
 * What is to be read of sources, which go by times of their own. There a record may be as far from its event time as the
 * disorder, and what lies behind the first record of a time may be older than that record by as much again.
 */
export function widened({ since, until }: Stretch, disorder: number): Stretch {
  return {
    since: since === null ? null : Math.max(FIRST_TIME, since - disorder),
    until: until === null ? null : Math.min(LAST_TIME, until + 2 * disorder),
  };
}

/** A window would be cut by an end of the stretch that lies inside of it, and a row stands for its whole window. */
export function checkAligned(stretch: Stretch, aggregates: readonly NamedAggregate[]): void {
  const steps = aggregates.map(({ name, plan: { window } }) => ({ name, window, step: stepOf(name, window) }));
  const common = steps.reduce((all, { step }) => leastCommonMultiple(all, step), 1);
  for (const flag of ["since", "until"] as const) {
    const time = stretch[flag];
    const cut = time === null ? undefined : steps.find(({ step }) => alignDown(time, step) !== time);
    if (time === null || cut === undefined) continue;
    const before = alignDown(time, common);
    const nearest = [before, before + common].filter((at) => at >= FIRST_TIME && at <= LAST_TIME).map(timeText);
    throw new UsageError(
      `--${flag} ${timeText(time)} lies inside of a window of “${cut.name}” (${windowText(cut.window)}), and a row stands for its whole window: take ${nearest.join(" or ")}`,
    );
  }
  const { since, until } = stretch;
  if (since === null || until === null) return;
  for (const { name, window } of steps) {
    if (window.kind === "sessions" || until - since >= window.size) continue;
    throw new UsageError(
      `No window of “${name}” (${windowText(window)}) lies between --since ${timeText(since)} and --until ${timeText(until)}: they are only ${formatDuration(until - since)} apart`,
    );
  }
}

/** Windows begin at the multiples of this, and end at them, unless they overlap. */
function stepOf(name: string, window: Windowing): number {
  switch (window.kind) {
    case "fixed":
      return window.size;
    case "sliding":
      return window.every;
    case "sessions":
      throw new UsageError(
        `--since and --until take whole windows, but those of “${name}” are sessions, which have no fixed bounds: leave the flags out, and choose what is read by --from`,
      );
  }
}

function windowText(window: Windowing): string {
  switch (window.kind) {
    case "fixed":
      return formatDuration(window.size);
    case "sliding":
      return `${formatDuration(window.size)} every ${formatDuration(window.every)}`;
    case "sessions":
      return `sessions, ${formatDuration(window.gap)} apart`;
  }
}

function leastCommonMultiple(a: number, b: number): number {
  let [divisor, rest] = [a, b];
  while (rest > 0) [divisor, rest] = [rest, divisor % rest];
  return (a / divisor) * b;
}

/** Where nothing is aggregated, a stretch can only go by the times that a source has. */
export function checkTimes(pipeline: string, source: SourceConnector, address: Address): void {
  const missing = source.withoutTimes === undefined ? "leave the flags out" : source.withoutTimes(address);
  if (missing === null) return;
  throw new UsageError(
    `${pipeline} has no windows, so --since and --until choose records by their times, but those of “${address.scheme}:” have none: ${missing}`,
  );
}
