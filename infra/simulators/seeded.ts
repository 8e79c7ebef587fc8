// Chance that comes the same way again. A draw is made for names, not in an order: what happens to one trade does not
// depend on which other faults are switched on, or on how many clients there are.
type Name = string | number;

/** A number from 0 to below 1: always the same for the same names, unrelated for names that are nearly alike. */
export function draw(...names: readonly Name[]): number {
  return mixed(hash(names.join("\u0000"))) / 4_294_967_296;
}

/** Numbers in an order, for things that are made one after the other. */
export class Chance {
  #state: number;

  constructor(...names: readonly Name[]) {
    this.#state = hash(names.join("\u0000"));
  }

  /** From 0 to below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    return mixed(this.#state) / 4_294_967_296;
  }

  /** A whole number, both ends included. */
  between(least: number, most: number): number {
    return least + Math.floor(this.next() * (most - least + 1));
  }

  pick<T>(list: readonly T[]): T {
    const picked = list[Math.floor(this.next() * list.length)];
    if (picked === undefined) throw new RangeError("There is nothing to pick from");
    return picked;
  }
}

/** FNV-1a. */
function hash(text: string): number {
  let state = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) state = Math.imul(state ^ text.charCodeAt(at), 0x01000193);
  return state;
}

/** Spreads 32 bits over 32 bits, so that near numbers become far ones. */
function mixed(bits: number): number {
  let state = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}
