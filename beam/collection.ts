// Beam's collections and transforms with the types that the SDK drops: what goes in and what comes out of `apply`.
import { beam, jsCoders, pvalue, runnerApi, type sdk } from "./sdk";

/** A distributed collection of T. */
export interface PCollection<T> {
  apply<Out>(transform: PTransform<PCollection<T>, Out>): Out;
  /** Never there at run time: it keeps collections of different elements apart. */
  readonly __element?: T;
}

/** Where a pipeline begins. */
export interface Root {
  apply<Out>(transform: PTransform<Root, Out>): Out;
  /** Never there at run time: it keeps the beginning apart from collections. */
  readonly __element?: { readonly beginning: true };
}

/** A step of the graph: from a collection (or several by name) to others. Its name must be its own within its parent. */
export type PTransform<In, Out> = (input: In) => Out;

export interface KV<K, V> {
  readonly key: K;
  readonly value: V;
}

/** Gives a transform the name by which the graph, metrics and errors know it. */
export function named<In, Out>(name: string, transform: PTransform<In, Out>): PTransform<In, Out> {
  // The SDK calls transforms with more than the input, and its own ones need that.
  return beam.withName(name, (...input: Parameters<typeof transform>) => transform(...input));
}

/** All elements of several collections of one type. */
export function flatten<T>(collections: readonly PCollection<T>[], name = "flatten"): PCollection<T> {
  if (collections.length === 0) throw new Error(`${name}: there is no collection to flatten`);
  const merge = beam.withName(name, beam.flatten<T>());
  return pvalue.P(collections as never).apply(merge as never) as unknown as PCollection<T>;
}

type Expand<Out> = (input: sdk.AnyCollection, pipeline: sdk.Pipeline, proto: sdk.TransformProto) => Out;

/** A ParDo whose DoFn is one of beamline's own: `urn` says which operator runs it, `payload` is its packed options. */
export function parDo<In, Out>(
  name: string,
  urn: string,
  payload: Uint8Array,
  outputs: (
    collection: (coder?: sdk.Coder, windowing?: sdk.WindowingStrategy) => PCollection<never>,
    pipeline: sdk.Pipeline,
  ) => Out,
): PTransform<In, Out> {
  const expand: Expand<Out> = (_input, pipeline, proto) => {
    const doFn = runnerApi.FunctionSpec.create({ urn, payload });
    proto.spec = runnerApi.FunctionSpec.create({
      urn: beam.parDo.urn,
      payload: runnerApi.ParDoPayload.toBinary(runnerApi.ParDoPayload.create({ doFn })),
    });
    const collection = (coder?: sdk.Coder, windowing?: sdk.WindowingStrategy) =>
      pipeline.createPCollectionInternal(
        coder ?? new jsCoders.GeneralObjectCoder(),
        windowing,
      ) as unknown as PCollection<never>;
    return outputs(collection, pipeline);
  };
  return beam.withName(name, expand) as unknown as PTransform<In, Out>;
}
