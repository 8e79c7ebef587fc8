// The trades of one symbol that the exchange still knows: a stretch of ids without holes, and what they add up to.
import { type Trade } from "./market";

interface Kept {
  readonly trade: Trade;
  /** Of all trades before this one: in units of the quantity, and of price times quantity. */
  readonly volumeBefore: bigint;
  readonly quoteVolumeBefore: bigint;
}

export interface Stretch {
  /** The one before it, when it is still known. */
  readonly before: Trade | undefined;
  readonly trades: readonly Trade[];
  readonly volume: bigint;
  readonly quoteVolume: bigint;
}

export class History {
  readonly #most: number;
  #kept: Kept[] = [];
  #volume = 0n;
  #quoteVolume = 0n;

  constructor(most: number) {
    this.#most = most;
  }

  add(trade: Trade): void {
    this.#kept.push({ trade, volumeBefore: this.#volume, quoteVolumeBefore: this.#quoteVolume });
    this.#volume += BigInt(trade.quantity);
    this.#quoteVolume += BigInt(trade.price) * BigInt(trade.quantity);
    // Now and then many at once: to take one away from the front each time would move all others.
    if (this.#kept.length >= 2 * this.#most) this.#kept = this.#kept.slice(-this.#most);
  }

  latest(count: number): Trade[] {
    return this.#kept.slice(-count).map(({ trade }) => trade);
  }

  /** From this id on, oldest first. */
  from(id: number, count: number): Trade[] {
    const start = Math.max(0, id - (this.#kept[0]?.trade.id ?? 0));
    return this.#kept.slice(start, start + count).map(({ trade }) => trade);
  }

  /** The trades made after one time and told of until another. */
  stretch(after: number, until: number): Stretch {
    const end = firstWhere(this.#kept, ({ trade }) => trade.eventTime > until);
    const start = Math.min(
      end,
      firstWhere(this.#kept, ({ trade }) => trade.time > after),
    );
    const [first, next] = [this.#kept[start], this.#kept[end]];
    return {
      before: this.#kept[start - 1]?.trade,
      trades: this.#kept.slice(start, end).map(({ trade }) => trade),
      volume: (next?.volumeBefore ?? this.#volume) - (first?.volumeBefore ?? this.#volume),
      quoteVolume: (next?.quoteVolumeBefore ?? this.#quoteVolume) - (first?.quoteVolumeBefore ?? this.#quoteVolume),
    };
  }
}

/** The first place whose element fits, when all behind one that fits do so too. */
function firstWhere<T>(list: readonly T[], fits: (element: T) => boolean): number {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (fits(list[middle] as T)) high = middle;
    else low = middle + 1;
  }
  return low;
}
