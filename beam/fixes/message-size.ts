// The SDK leaves gRPC's limit of 4 MiB for a received message on the worker's channels, and a runner that sends more
// at once (a big element, a big descriptor, a big side input) breaks them. The fix takes the limit away.
import "../node-compat";
import "apache-beam";
import * as grpc from "@grpc/grpc-js";
import { BeamFnControlClient, BeamFnDataClient, BeamFnStateClient } from "apache-beam/proto/beam_fn_api.grpc-client";
import { once } from "./once";

const UNLIMITED = -1;

class UnlimitedClient extends grpc.Client {
  constructor(address: string, credentials: grpc.ChannelCredentials, options: grpc.ClientOptions) {
    super(address, credentials, { ...options, "grpc.max_receive_message_length": UNLIMITED });
  }
}

export function liftMessageLimit(): void {
  for (const client of [BeamFnControlClient, BeamFnDataClient, BeamFnStateClient]) {
    // The SDK has bound the classes where it uses them, but super() looks up the parent at each call.
    once(client, "message-size", () => void Object.setPrototypeOf(client, UnlimitedClient));
  }
}
