// What is said on a machine that cannot start it. A job server that runs: test/flink.integration.ts.
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { UsageError } from "../../schema/errors";
import { scratchDirectory } from "../../test/scratch";
import { startJobServer } from "./job-server";

const scratch = scratchDirectory();
const start = (): Promise<unknown> =>
  startJobServer({
    ...{ cluster: null, tell: () => undefined },
    environment: { PATH: scratch("bin"), XDG_CACHE_HOME: scratch("cache") },
  }).catch((error: unknown) => error);

function java(version: string): void {
  mkdirSync(scratch("bin"), { recursive: true });
  writeFileSync(scratch("bin/java"), `#!/bin/sh\necho 'openjdk version "${version}"' >&2\n`);
  chmodSync(scratch("bin/java"), 0o755);
}

test("without Java, with one that is too old, and without Maven where nothing was fetched yet", async () => {
  const missing = await start();
  expect(missing).toBeInstanceOf(UsageError);
  expect(String(missing)).toMatch(
    /--runner=flink needs Java 17 or newer, and java was not found: install it \(.*\), or run it on this machine alone: --runner=direct$/,
  );
  java("11.0.2");
  expect(String(await start())).toMatch(
    /--runner=flink needs Java 17 or newer, and \/.*\/bin\/java is Java 11: install/,
  );
  java("17.0.2");
  expect(String(await start())).toMatch(/--runner=flink is fetched by Maven, and mvn was not found: install it/);
});
