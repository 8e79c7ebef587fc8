// Stretches of event time that are missing, as few of them as say the same: a stream that breaks now and then has a new one
// each time, and a job goes on for years.
import { type Cut } from "./job-state";

/** Beyond these the oldest of a source become one: windows between them get no row when a dead letter corrects them. */
const MOST = 200;

/** Those of one source that touch are one. */
export function joined(cuts: readonly Cut[]): Cut[] {
  const bySource = new Map<string | null, Cut[]>();
  for (const cut of cuts) bySource.set(cut.source, [...(bySource.get(cut.source) ?? []), cut]);
  return [...bySource.values()].flatMap((ofSource) => {
    const known: Cut[] = [];
    for (const cut of ofSource.sort((a, b) => least(a) - least(b))) {
      const last = known[known.length - 1];
      if (last === undefined || least(cut) > last.until) known.push(cut);
      else known[known.length - 1] = { ...last, until: Math.max(last.until, cut.until) };
    }
    const [oldest, ...others] = known;
    const until = others[others.length - MOST]?.until;
    return oldest === undefined || until === undefined
      ? known
      : [{ ...oldest, until }, ...others.slice(others.length - MOST + 1)];
  });
}

const least = ({ from }: Cut): number => from ?? Number.NEGATIVE_INFINITY;
