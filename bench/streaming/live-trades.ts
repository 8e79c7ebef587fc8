// The generator's trades as if they were made now: bad records and repeats stay what they are, good ones get this moment.
import { tradeLines } from "../generate-trades";

/** A repeat comes at most 7 s of the generator's time after its trade, about 7,000 records. */
const REMEMBERED = 20_000;

/** The generator's good records and no others: its bad ones lack a field, or have a minus, other types or other lengths. */
const GOOD =
  /^\{"e":"trade","E":\d+,"s":"([A-Z0-9]+)","t":(\d+),"p":"\d+\.\d{8}","q":"\d+\.\d{8}","T":\d{13},"m":(?:true|false)\}$/;

export interface LiveTrade {
  readonly line: string;
  /** Null when the record is bad. */
  readonly symbol: string | null;
  /** Its event time, for a repeat that of the first; for a bad record the moment it was made. */
  readonly time: number;
  readonly isRepeat: boolean;
}

/** Gives the next record each time it is called with the time that it is. */
export function liveTrades(seed: number): (now: number) => LiveTrade {
  const lines = tradeLines(Number.MAX_SAFE_INTEGER, seed);
  const times = new Map<string, number>();
  return (now) => {
    // It does not end.
    const line = lines.next().value as string;
    const [, symbol, id] = GOOD.exec(line) ?? [];
    if (symbol === undefined) return { line, symbol: null, time: now, isRepeat: false };
    const key = `${symbol} ${id}`;
    const first = times.get(key);
    const time = first ?? now;
    if (first === undefined) {
      times.set(key, now);
      if (times.size > REMEMBERED) times.delete(times.keys().next().value as string);
    }
    const moved = line.replace(/"E":\d+/, `"E":${time}`).replace(/"T":\d{13}/, `"T":${time}`);
    return { line: moved, symbol, time, isRepeat: first !== undefined };
  };
}
