// Amazon S3 as a local server: moto, which keeps everything in memory, so that a kill or a restart empties it.
// It checks signatures: wrong credentials are refused as S3 refuses them. A request without any ends in its error 500.
import path from "node:path";
import { refuseWindows, withContainers } from "../other-ways";
import { findPythonEnvironment, type PythonPackages } from "../python";
import { HOST, type ServerKind } from "../server-kind";
import { probeS3 } from "./probe";

const packages: PythonPackages = {
  name: "s3",
  title: "moto",
  otherwise: withContainers("s3"),
  requirements: path.join(__dirname, "requirements.txt"),
  megabytes: 30,
};

/** The only user whom it knows; no secret, since it is the same everywhere. */
const credentials = { AWS_ACCESS_KEY_ID: "beamline", AWS_SECRET_ACCESS_KEY: "beamline-secret" };
const REGION = "us-east-1";
const url = (port: number): string => `http://${HOST}:${port}`;

export const s3: ServerKind = {
  name: "s3",
  usualPort: 19_000,
  portCount: 1,
  stopSignal: "SIGTERM",
  url,
  environment: (port) => ({ AWS_ENDPOINT_URL_S3: url(port), AWS_REGION: REGION, ...credentials }),
  probe: (port) => probeS3(url(port), REGION, credentials),
  wasTooSoon: () => false,

  async find(_site, environment) {
    refuseWindows("s3");
    const { python, make } = await findPythonEnvironment(packages, environment);
    return {
      fetch: ({ say }) => make(say),

      createData: () => Promise.resolve(),

      async command(_site, port) {
        const args = ["-I", path.join(__dirname, "server.py"), "--host", HOST, "--port", String(port)];
        return { program: python, args, environment: { ...environment, ...credentials }, user: null };
      },
    };
  },
};
