// BigQuery as a local server: bqemulator, which translates to DuckDB and keeps all in a file of it. What was answered
// survives a kill, but for jobs and for streams of the Storage Write API that were not committed.
// It knows no credentials: whoever asks is let in.
import path from "node:path";
import { refuseWindows, withContainers } from "../other-ways";
import { isListening } from "../ports";
import { findPythonEnvironment, type PythonPackages } from "../python";
import { HOST, type ServerKind } from "../server-kind";

const packages: PythonPackages = {
  name: "bigquery",
  title: "bqemulator",
  otherwise: withContainers("bigquery"),
  requirements: path.join(__dirname, "requirements.txt"),
  megabytes: 170,
};

const url = (port: number): string => `http://${HOST}:${port}`;
/** The Storage Read and Write APIs speak gRPC, on the port after. */
const storagePort = (port: number): number => port + 1;

export const bigquery: ServerKind = {
  name: "bigquery",
  usualPort: 19_050,
  portCount: 2,
  stopSignal: "SIGTERM",
  url,
  environment: (port) => ({
    BIGQUERY_EMULATOR_HOST: url(port),
    BIGQUERY_STORAGE_EMULATOR_HOST: `${HOST}:${storagePort(port)}`,
  }),
  probe: probeBigQuery,
  wasTooSoon: () => false,

  async find(_site, environment) {
    refuseWindows("bigquery");
    const { python, make } = await findPythonEnvironment(packages, environment);
    return {
      fetch: ({ say }) => make(say),

      createData: () => Promise.resolve(),

      async command({ directory, data }, port) {
        const where = ["--rest-host", HOST, "--rest-port", String(port)];
        const storage = ["--grpc-host", HOST, "--grpc-port", String(storagePort(port))];
        const settings = ["--persistent", "--data-dir", data, "--project", "beamline", "--log-level", "warning"];
        const args = ["-I", path.join(__dirname, "server.py"), "start", ...where, ...storage, ...settings];
        return {
          program: python,
          args,
          environment: {
            ...environment,
            // Load jobs from gs:// read the files of the gcs server beside this one, whether it runs or not.
            BQEMU_GCS_LOCAL_ROOT: path.join(path.dirname(directory), "gcs", "data"),
            BQEMU_UPLOAD_STAGING_DIR: path.join(directory, "uploads"),
          },
          user: null,
        };
      },
    };
  },
};

/** Lists datasets: nothing is left behind. */
async function probeBigQuery(port: number): Promise<void> {
  const response = await fetch(`${url(port)}/bigquery/v2/projects/beamline/datasets`);
  const { kind } = (await response.json()) as { readonly kind?: unknown };
  if (kind !== "bigquery#datasetList") throw new Error(`it answered ${response.status} to a list of datasets`);
  if (!(await isListening(storagePort(port)))) throw new Error(`nothing listens on port ${storagePort(port)}`);
}
