// The SDK's data channel keeps an empty map for every bundle that it ever read, so a streaming worker grows for ever.
// The fix removes the map with its last consumer.
import "../node-compat";
import "apache-beam";
import { MultiplexingDataChannel } from "apache-beam/worker/data";
import { once } from "./once";

export function forgetFinishedBundles(): void {
  const channel = MultiplexingDataChannel.prototype;
  once(channel, "finished-bundles", () => {
    channel.unregisterConsumer = function (bundleId, transformId) {
      const consumers = this.consumers.get(bundleId);
      consumers?.delete(transformId);
      if (consumers?.size === 0) this.consumers.delete(bundleId);
    };
  });
}
