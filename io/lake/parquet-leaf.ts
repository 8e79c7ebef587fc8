// The values of one column in one row group, gathered in the bytes that the file will have. As long as they repeat, each of
// them is kept once, in a dictionary, and beside it only their numbers there.
import { parseDecimal, tenTo } from "../../schema/decimal";
import { Bytes, Numbers } from "./parquet-bytes";
import { compareTexts, wholeText } from "./parquet-order";
import { bitsOf, writeRuns } from "./parquet-runs";

/** The first values tell whether they repeat; looked at again whenever there are twice as many. */
const FIRST_LOOK = 1024;
/** Above that a text says nothing in a file's end but makes it large. */
const LONGEST_BOUND = 256;

const TWO_TO_32 = 2 ** 32;

/** The least and the greatest value, in the bytes that values have in a file. */
export interface Bounds {
  readonly min: Uint8Array;
  readonly max: Uint8Array;
}

export abstract class Leaf<Key = unknown> {
  /** Of values; a null is none. */
  count = 0;
  /** All of them one behind the other, or those of the dictionary. */
  protected bytes = new Bytes();
  private known: Map<Key, number> | null;
  private readonly numbers = new Numbers();
  private nextLook = FIRST_LOOK;
  /** The value that is to be written next, and where it begins when there is no dictionary. */
  private next = 0;
  private place = 0;

  protected constructor(private readonly mayRepeat: boolean) {
    this.known = mayRepeat ? new Map() : null;
  }

  /** Takes a value; false when it does not fit. */
  abstract add(value: unknown): boolean;

  /** Puts the bytes of a value at the end; false when it does not fit. */
  protected abstract put(key: Key): boolean;

  /** How many bytes the value takes that begins there. */
  protected abstract sizeAt(place: number): number;

  /** Null where there are none, or they would say nothing. */
  abstract bounds(): Bounds | null;

  protected keep(key: Key): boolean {
    const { known } = this;
    if (known === null) {
      if (!this.put(key)) return false;
      this.count += 1;
      return true;
    }
    let number = known.get(key);
    if (number === undefined) {
      if (!this.put(key)) return false;
      number = known.size;
      known.set(key, number);
    }
    this.numbers.push(number);
    this.count += 1;
    if (this.count === this.nextLook) {
      this.nextLook *= 2;
      if (known.size * 2 > this.count) this.spread(known.size);
    }
    return true;
  }

  /** How much memory they take. */
  get size(): number {
    return this.bytes.length + this.numbers.length * 4;
  }

  /** No value comes after that: a dictionary that saves nothing is given up. */
  settle(): void {
    if (this.known === null) return;
    const { size } = this.known;
    const places = this.places(size);
    let plain = 0;
    for (let at = 0; at < this.count; at += 1) {
      const number = this.numbers.array[at] ?? 0;
      plain += (places[number + 1] ?? 0) - (places[number] ?? 0);
    }
    if (this.bytes.length + (this.count * this.numberBits) / 8 >= plain) this.spread(size);
  }

  /** How many values the dictionary has; null where there is none. */
  get dictionary(): number | null {
    return this.known === null ? null : this.known.size;
  }

  writeDictionary(page: Bytes): void {
    page.append(this.bytes.written());
  }

  /** How many of the values that are to be written next fit into `limit` bytes; one at least. */
  fitting(limit: number): number {
    const left = this.count - this.next;
    if (this.known !== null) return Math.min(left, Math.floor((limit * 8) / this.numberBits));
    if (this.bytes.length - this.place <= limit) return left;
    let values = 0;
    for (let end = this.place; values < left; values += 1) {
      end += this.sizeAt(end);
      if (end - this.place > limit) break;
    }
    return Math.max(1, values);
  }

  /** Writes the next values. */
  write(page: Bytes, values: number): void {
    if (this.known !== null) {
      page.byte(this.numberBits);
      writeRuns(page, this.numbers.array, this.next, this.next + values, this.numberBits);
      this.next += values;
      return;
    }
    this.next += values;
    let end = this.place;
    if (this.next === this.count) end = this.bytes.length;
    else for (let at = 0; at < values; at += 1) end += this.sizeAt(end);
    this.writePlain(page, this.place, end);
    this.place = end;
  }

  protected writePlain(page: Bytes, from: number, to: number): void {
    page.append(this.bytes.written(from, to));
  }

  /** As it was before the first value. */
  clear(): void {
    this.count = 0;
    this.bytes.length = 0;
    this.numbers.length = 0;
    this.known = this.mayRepeat ? new Map() : null;
    this.nextLook = FIRST_LOOK;
    this.next = 0;
    this.place = 0;
  }

  private get numberBits(): number {
    // A width of 0 would do for one value, but not every reader takes it.
    return Math.max(1, bitsOf((this.known?.size ?? 0) - 1));
  }

  /** Where the values of the dictionary begin, and where the last one ends. */
  private places(size: number): Int32Array {
    const places = new Int32Array(size + 1);
    let place = 0;
    for (let at = 0; at < size; at += 1) {
      places[at] = place;
      place += this.sizeAt(place);
    }
    places[size] = place;
    return places;
  }

  /** Gives up the dictionary: every value stands in its place itself. */
  private spread(size: number): void {
    const places = this.places(size);
    const spread = new Bytes(this.bytes.length * 2);
    for (let at = 0; at < this.count; at += 1) {
      const number = this.numbers.array[at] ?? 0;
      spread.append(this.bytes.written(places[number], places[number + 1]));
    }
    this.bytes = spread;
    this.numbers.length = 0;
    this.known = null;
  }
}

/** Values that are compared as numbers. */
abstract class NumberLeaf<Key> extends Leaf<Key> {
  protected min: number | bigint = Infinity;
  protected max: number | bigint = -Infinity;

  protected abstract bytesOf(value: number | bigint): Uint8Array;

  protected bound(value: number | bigint): void {
    if (value < this.min) this.min = value;
    if (value > this.max) this.max = value;
  }

  bounds(): Bounds | null {
    return this.count === 0 ? null : { min: this.bytesOf(this.min), max: this.bytesOf(this.max) };
  }

  override clear(): void {
    super.clear();
    this.min = Infinity;
    this.max = -Infinity;
  }
}

/** Whole numbers of 8 bytes. */
export class IntegerLeaf extends NumberLeaf<number | bigint> {
  constructor() {
    super(true);
  }

  add(value: unknown): boolean {
    if (Number.isSafeInteger(value)) return this.keep(value as number);
    if (typeof value !== "bigint" || BigInt.asIntN(64, value) !== value) return false;
    const number = Number(value);
    return this.keep(Number.isSafeInteger(number) ? number : value);
  }

  protected put(value: number | bigint): boolean {
    this.bytes.room(8);
    putInteger(this.bytes, value);
    this.bound(value);
    return true;
  }

  protected sizeAt(): number {
    return 8;
  }

  protected bytesOf(value: number | bigint): Uint8Array {
    return integerBytes(value);
  }
}

/** Milliseconds, kept as microseconds. */
export class TimestampLeaf extends IntegerLeaf {
  override add(value: unknown): boolean {
    // What a Date takes, as in every other store.
    if (typeof value !== "number" || !(Math.abs(value) <= 8.64e15)) return false;
    const milliseconds = Math.trunc(value);
    const microseconds = milliseconds * 1000;
    return this.keep(Number.isSafeInteger(microseconds) ? microseconds : BigInt(milliseconds) * 1000n);
  }
}

function putInteger(bytes: Bytes, value: number | bigint): void {
  const { view, length } = bytes;
  if (typeof value === "bigint") view.setBigInt64(length, value, true);
  else {
    view.setInt32(length, value | 0, true);
    view.setInt32(length + 4, Math.floor(value / TWO_TO_32), true);
  }
  bytes.length = length + 8;
}

function integerBytes(value: number | bigint): Uint8Array {
  const bytes = new Bytes(8);
  putInteger(bytes, value);
  return bytes.written();
}

/** Days, kept by their number since 1970 in 4 bytes. */
export class DateLeaf extends NumberLeaf<string> {
  constructor() {
    super(true);
  }

  add(value: unknown): boolean {
    return typeof value === "string" && this.keep(value);
  }

  protected put(text: string): boolean {
    const days = dayOf(text);
    if (days === null) return false;
    this.bytes.room(4);
    this.bytes.view.setInt32(this.bytes.length, days, true);
    this.bytes.length += 4;
    this.bound(days);
    return true;
  }

  protected sizeAt(): number {
    return 4;
  }

  protected bytesOf(value: number | bigint): Uint8Array {
    return integerBytes(value).subarray(0, 4);
  }
}

const DAY = 24 * 3_600_000;

/** The days from 1970-01-01 to a date of four digits for the year; null when there is no such day. */
function dayOf(text: string): number | null {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text)) return null;
  const time = Date.parse(`${text}T00:00:00Z`);
  // Date takes 2026-02-31 for a day in March.
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(text) ? time / DAY : null;
}

export class DoubleLeaf extends NumberLeaf<number> {
  constructor() {
    super(false);
  }

  add(value: unknown): boolean {
    return Number.isFinite(value) && this.keep(value as number);
  }

  protected put(value: number): boolean {
    const { bytes } = this;
    bytes.room(8);
    bytes.view.setFloat64(bytes.length, value, true);
    bytes.length += 8;
    this.bound(value);
    return true;
  }

  protected sizeAt(): number {
    return 8;
  }

  /** 0 and -0 are equal: the least is written as -0, the greatest as 0, so that both lie between them. */
  override bounds(): Bounds | null {
    if (this.min === 0) this.min = -0;
    if (this.max === 0) this.max = 0;
    return super.bounds();
  }

  protected bytesOf(value: number | bigint): Uint8Array {
    const bytes = new Bytes(8);
    bytes.view.setFloat64(0, Number(value), true);
    bytes.length = 8;
    return bytes.written();
  }
}

export class BooleanLeaf extends NumberLeaf<boolean> {
  constructor() {
    super(false);
  }

  add(value: unknown): boolean {
    return typeof value === "boolean" && this.keep(value);
  }

  protected put(value: boolean): boolean {
    const number = value ? 1 : 0;
    this.bytes.byte(number);
    this.bound(number);
    return true;
  }

  protected sizeAt(): number {
    return 1;
  }

  /** Eight of them in a byte. */
  protected override writePlain(page: Bytes, from: number, to: number): void {
    for (let at = from; at < to; at += 8) {
      let byte = 0;
      for (let bit = 0; bit < 8 && at + bit < to; bit += 1) byte |= (this.bytes.buffer[at + bit] ?? 0) << bit;
      page.byte(byte);
    }
  }

  protected bytesOf(value: number | bigint): Uint8Array {
    return Uint8Array.of(Number(value));
  }
}

/** Exact decimals: how many units of the last digit they are, in as few bytes as the precision allows. */
export class DecimalLeaf extends NumberLeaf<string> {
  private readonly most: bigint;
  /** Of units that are a number: above 15 digits they always fit. */
  private readonly mostOfFew: number;

  /** `width`: 4 or 8 bytes, as whole numbers have them; or more, the highest first. */
  constructor(
    precision: number,
    private readonly scale: number,
    private readonly width: number,
  ) {
    super(true);
    this.most = tenTo(precision) - 1n;
    this.mostOfFew = precision > 15 ? Infinity : Number(this.most);
  }

  add(value: unknown): boolean {
    return typeof value === "string" && this.keep(value);
  }

  protected put(text: string): boolean {
    const few = fewUnitsOf(text, this.scale);
    const units = few ?? parseDecimal(text, this.scale);
    if (units === null) return false;
    if (few !== null ? Math.abs(few) > this.mostOfFew : units > this.most || units < -this.most) return false;
    putUnits(this.bytes, units, this.width);
    this.bound(units);
    return true;
  }

  protected sizeAt(): number {
    return this.width;
  }

  protected bytesOf(value: number | bigint): Uint8Array {
    const bytes = new Bytes(this.width);
    putUnits(bytes, value, this.width);
    return bytes.written();
  }
}

const POWERS = Array.from({ length: 16 }, (_, exponent) => 10 ** exponent);

/** As parseDecimal, for a decimal whose units a number holds exactly; null for any other, and for what is none. */
function fewUnitsOf(text: string, scale: number): number | null {
  const { length } = text;
  if (length > 18) return null;
  const start = text.charCodeAt(0) === 45 ? 1 : 0;
  let units = 0;
  let point = length;
  for (let at = start; at < length; at += 1) {
    const code = text.charCodeAt(at);
    if (code >= 48 && code <= 57) units = units * 10 + (code - 48);
    else if (code === 46 && point === length && at > start && at < length - 1) point = at;
    else return null;
  }
  const power = POWERS[scale - Math.max(0, length - point - 1)];
  if (power === undefined || start === length) return null;
  // A product that is no safe number is not below this limit after rounding either.
  units *= power;
  if (units > Number.MAX_SAFE_INTEGER) return null;
  return start === 0 ? units : -units;
}

function putUnits(bytes: Bytes, units: number | bigint, width: number): void {
  bytes.room(8 + width);
  const { view, buffer, length } = bytes;
  if (width <= 8) {
    putInteger(bytes, units);
    bytes.length = length + width;
    return;
  }
  const low = length + width - 8;
  let rest: bigint | null = null;
  if (typeof units === "bigint") {
    view.setBigUint64(low, BigInt.asUintN(64, units));
    rest = units >> 64n;
  } else {
    view.setInt32(low, Math.floor(units / TWO_TO_32));
    view.setInt32(low + 4, units | 0);
  }
  const sign = units < 0 ? 0xff : 0;
  for (let at = low - 1; at >= length; at -= 1) {
    buffer[at] = rest === null ? sign : Number(rest & 0xffn);
    if (rest !== null) rest >>= 8n;
  }
  bytes.length = length + width;
}

/** Values of any length: 4 bytes for it stand before each. */
abstract class VariableLeaf<Key> extends Leaf<Key> {
  protected putText(text: string): void {
    const { bytes } = this;
    const { length } = text;
    bytes.room(4 + length * 3);
    const from = bytes.length + 4;
    const { buffer } = bytes;
    let at = 0;
    // Most texts are short and ASCII, for which a call out of JavaScript takes longer.
    for (; at < length && length <= 64; at += 1) {
      const code = text.charCodeAt(at);
      if (code > 0x7f) break;
      buffer[from + at] = code;
    }
    this.end(from, at === length ? length : buffer.write(text, from));
  }

  protected putBytes(value: Uint8Array): void {
    this.bytes.room(4 + value.length);
    this.bytes.buffer.set(value, this.bytes.length + 4);
    this.end(this.bytes.length + 4, value.length);
  }

  private end(from: number, length: number): void {
    this.bytes.view.setUint32(from - 4, length, true);
    this.bytes.length = from + length;
  }

  protected sizeAt(place: number): number {
    return 4 + this.bytes.view.getUint32(place, true);
  }
}

export class TextLeaf extends VariableLeaf<string> {
  private min: string | null = null;
  private max: string | null = null;

  constructor() {
    super(true);
  }

  add(value: unknown): boolean {
    return typeof value === "string" && this.keep(value);
  }

  protected put(value: string): boolean {
    const text = wholeText(value);
    this.putText(text);
    if (this.min === null || compareTexts(text, this.min) < 0) this.min = text;
    if (this.max === null || compareTexts(text, this.max) > 0) this.max = text;
    return true;
  }

  bounds(): Bounds | null {
    if (this.min === null || this.max === null) return null;
    const min = Buffer.from(this.min);
    const max = Buffer.from(this.max);
    return min.length > LONGEST_BOUND || max.length > LONGEST_BOUND ? null : { min, max };
  }

  override clear(): void {
    super.clear();
    this.min = null;
    this.max = null;
  }
}

/** Texts whose order says nothing: JSON. */
export class UnorderedTextLeaf extends VariableLeaf<string> {
  constructor() {
    super(true);
  }

  add(value: unknown): boolean {
    return typeof value === "string" && this.keep(value);
  }

  protected put(text: string): boolean {
    this.putText(text);
    return true;
  }

  bounds(): null {
    return null;
  }
}

/** Bytes, or text for its bytes. */
export class BytesLeaf extends VariableLeaf<Uint8Array | string> {
  constructor() {
    super(false);
  }

  add(value: unknown): boolean {
    return (typeof value === "string" || value instanceof Uint8Array) && this.keep(value);
  }

  protected put(value: Uint8Array | string): boolean {
    if (typeof value === "string") this.putText(value);
    else this.putBytes(value);
    return true;
  }

  bounds(): null {
    return null;
  }
}
