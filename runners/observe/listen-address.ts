// Where a server of ours listens, as people write it: a port, host:port, or [::1]:port.
import { UsageError } from "../../schema/errors";
import { harmless } from "./safe-text";

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Nobody else can reach it unless it was asked for. */
const ONLY_HERE = "127.0.0.1";
const FORM = /^(?:(?:\[([0-9a-f:.]+(?:%[\w.-]+)?)\]|([\w.-]+)):)?(\d{1,5})$/i;

export function parseListenAddress(text: string): ListenAddress {
  const [, address, name, digits] = FORM.exec(text.trim()) ?? [];
  const port = Number(digits ?? Number.NaN);
  if (!(port <= 65_535)) {
    throw new UsageError(
      `Cannot listen on “${harmless(text.slice(0, 100))}”: write a port from 0 to 65535, host:port or [::1]:port`,
    );
  }
  return { host: address ?? name ?? ONLY_HERE, port };
}

/** As it stands in a URL. */
export function formatAddress({ host, port }: ListenAddress): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
