// Lets a standard ParDo name one of beamline's own operators: runners know the ParDo, the worker finds the operator.
import "./failed-bundles";
import { beam, operators, runnerApi, type sdk } from "./sdk";

export type MakeOperator = (
  transformId: string,
  payload: Uint8Array,
  receivers: ReadonlyMap<string, sdk.Receiver>,
  context: sdk.OperatorContext,
) => sdk.Operator;

const makers = new Map<string, MakeOperator>();

/** Runs ParDos whose DoFn has this URN with operators of ours. */
export function operatorByUrn(urn: string, make: MakeOperator): void {
  makers.set(urn, make);
}

// The SDK keeps its registry to itself, but its compiled closures show it; without it its own ParDos would be lost.
type SdkMaker = (id: string, transform: sdk.TransformProto, context: sdk.OperatorContext) => sdk.Operator;
const closure = (
  operators.registerOperatorConstructor as unknown as { __closure(): { operatorsByUrn: Map<string, SdkMaker> } }
).__closure();
const sdkParDo = closure.operatorsByUrn.get(beam.parDo.urn);
if (sdkParDo === undefined) throw new Error("apache-beam has no ParDo operator: another version than 2.49.0?");

operators.registerOperatorConstructor(beam.parDo.urn, (id, transform, context) => {
  const spec = transform.spec === undefined ? undefined : runnerApi.ParDoPayload.fromBinary(transform.spec.payload);
  const make = spec?.doFn === undefined ? undefined : makers.get(spec.doFn.urn);
  if (spec?.doFn === undefined || make === undefined) return sdkParDo(id, transform, context);
  const receivers = new Map(Object.entries(transform.outputs).map(([name, pc]) => [name, context.getReceiver(pc)]));
  return make(id, spec.doFn.payload, receivers, context);
});
