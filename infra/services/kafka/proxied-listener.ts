// A second way to the broker that leads through a proxy: clients that come by it are told to go to the proxy's port.
import { UsageError } from "../../../schema/errors";
import { type Environment } from "../programs";

export interface ProxiedListener {
  /** Where the broker listens: what the proxy stands in front of. */
  readonly port: number;
  /** Where the proxy listens: what the broker tells clients. */
  readonly advertised: number;
}

/**
 * What `BEAMLINE_KAFKA_PROXY=29092:29093` says: the broker's second port, then the proxy's. Each start needs it again; the
 * first port stays as it was.
 */
export function proxiedListener(environment: Environment): ProxiedListener | null {
  const text = environment["BEAMLINE_KAFKA_PROXY"];
  if (!text) return null;
  const ports = /^(\d+):(\d+)$/.exec(text)?.slice(1).map(Number) ?? [];
  const [port, advertised] = ports;
  if (port === undefined || advertised === undefined || ports.some((number) => number < 1 || number > 65_535))
    throw new UsageError(
      `BEAMLINE_KAFKA_PROXY=${text}: it must be the broker's second port and the proxy's, such as 29092:29093`,
    );
  return { port, advertised };
}
