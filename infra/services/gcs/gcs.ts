// Google Cloud Storage as a local server: fake-gcs-server, a Go program that keeps each object as a file in its data
// directory. What was uploaded whole survives a kill; uploads in several requests that were under way do not.
// It knows no credentials: whoever asks is let in.
import path from "node:path";
import { globSync } from "tinyglobby";
import { RunError, UsageError } from "../../../schema/errors";
import { refuseWindows, withContainers } from "../other-ways";
import { findPythonEnvironment, type PythonPackages } from "../python";
import { HOST, type ServerKind } from "../server-kind";

const packages: PythonPackages = {
  name: "gcs",
  title: "fake-gcs-server",
  otherwise: withContainers("gcs"),
  requirements: path.join(__dirname, "requirements.txt"),
  megabytes: 10,
};

const url = (port: number): string => `http://${HOST}:${port}`;

export const gcs: ServerKind = {
  name: "gcs",
  usualPort: 14_443,
  portCount: 1,
  stopSignal: "SIGTERM",
  url,
  environment: (port) => ({ STORAGE_EMULATOR_HOST: url(port) }),
  probe: probeGcs,
  wasTooSoon: () => false,

  async find(_site, environment) {
    refuseWindows("gcs");
    if (process.platform !== "linux")
      throw new UsageError(`${packages.title} is packed for Linux only: start it there, ${withContainers("gcs")}`);
    const { directory: installed, make } = await findPythonEnvironment(packages, environment);
    return {
      fetch: ({ say }) => make(say),

      createData: () => Promise.resolve(),

      async command({ data }, port) {
        const [program] = globSync("lib/*/site-packages/*/vendor/*/bin/fake-gcs-server-*", {
          cwd: installed,
          absolute: true,
        });
        if (program === undefined)
          throw new RunError(`There is no fake-gcs-server in ${installed}: delete it, and start again`);
        const where = ["-scheme", "http", "-host", HOST, "-port", String(port), "-external-url", url(port)];
        const args = [...where, "-backend", "filesystem", "-filesystem-root", data, "-log-level", "warn"];
        return { program, args, environment, user: null };
      },
    };
  },
};

/** Lists buckets: nothing is left behind. */
async function probeGcs(port: number): Promise<void> {
  const response = await fetch(`${url(port)}/storage/v1/b?project=beamline`);
  const { kind } = (await response.json()) as { readonly kind?: unknown };
  if (kind !== "storage#buckets") throw new Error(`it answered ${response.status} to a list of buckets`);
}
