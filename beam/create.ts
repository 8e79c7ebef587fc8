// A collection from values at hand. The values travel as plain data, not as the source text of a closure.
import { beam, internal } from "./sdk";
import { perElement, type DoFn, type Emitters } from "./do-fn";
import { type PCollection, type PTransform, type Root } from "./collection";
import { register } from "./travel";

export class Create<T> implements DoFn<Uint8Array, { elements: T }> {
  readonly outputs = ["elements"] as const;
  constructor(readonly values: readonly T[]) {}

  process(_impulse: Uint8Array, emit: Emitters<{ elements: T }>): void {
    for (const value of this.values) emit.elements(value);
  }
}

/** A collection of these elements. */
export function create<T>(elements: readonly T[], name = "create"): PTransform<Root, PCollection<T>> {
  return beam.withName(name, (root: Root) => {
    const impulse = root.apply(internal.impulse() as unknown as PTransform<Root, PCollection<Uint8Array>>);
    return impulse.apply(perElement("elements", new Create(elements))).elements;
  });
}

register("beamline/beam/create", { Create });
