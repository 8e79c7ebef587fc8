// Spreads the elements of a collection over a cluster. What one element makes is otherwise worked on where that lies, since
// runners fuse all steps that follow each other.
import { named, type KV, type PCollection, type PTransform } from "./collection";
import { perElement, type DoFn, type Emitters } from "./do-fn";
import { groupByKey, keyed } from "./group-by-key";
import { register } from "./travel";

class Deal<T> implements DoFn<T, { dealt: KV<string, T> }> {
  readonly outputs = ["dealt"] as const;
  private next?: number;

  startBundle(): void {
    this.next = 0;
  }

  process(element: T, emit: Emitters<{ dealt: KV<string, T> }>): void {
    this.next = (this.next ?? 0) + 1;
    emit.dealt({ key: String(this.next), value: element });
  }
}

class Take<T> implements DoFn<KV<string, readonly T[]>, { elements: T }> {
  readonly outputs = ["elements"] as const;

  process({ value }: KV<string, readonly T[]>, emit: Emitters<{ elements: T }>): void {
    for (const element of value) emit.elements(element);
  }
}

/** The same elements, in other places. For few of them, in the global window: each is a group of its own. */
export function spread<T>(name: string): PTransform<PCollection<T>, PCollection<T>> {
  return named(name, (input: PCollection<T>) => {
    const { dealt } = input.apply(perElement("deal", new Deal<T>(), { dealt: keyed() }));
    return dealt.apply(groupByKey()).apply(perElement("take", new Take<T>())).elements;
  });
}

register("beamline/beam/spread", { Deal, Take });
