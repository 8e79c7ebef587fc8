// The SDK gives a service that it starts 10 seconds to open its port; a job server needs 11 to 37 on a busy machine.
// The fix waits for up to two minutes; a service that ends is still noticed at once.
import "../node-compat";
import "apache-beam";
import { SubprocessService } from "apache-beam/utils/service";
import { once } from "./once";

const LIMIT_MS = 120_000;

export function waitForSlowServices(): void {
  const service = SubprocessService.prototype;
  once(service, "service-start", () => {
    const { portReady } = service;
    service.portReady = function (port, host, timeoutMs: number, iterMs) {
      return portReady.call(this, port, host, Math.max(timeoutMs, LIMIT_MS), iterMs);
    };
  });
}
