// What is said where a server cannot be started here.
import { UsageError } from "../../schema/errors";
import { type ServiceName } from "./server-kind";

/** The end of a sentence that says what to install. */
export function withContainers(name: ServiceName): string {
  return `or run it in a container: docker compose -f infra/compose.yaml up --wait ${name}`;
}

/** Refuses the systems on which nothing here was written to work. */
export function refuseWindows(name: ServiceName, platform: NodeJS.Platform = process.platform): void {
  if (platform !== "win32") return;
  throw new UsageError(
    `Servers are not started on Windows itself: run the same command in WSL, ${withContainers(name)}`,
  );
}
