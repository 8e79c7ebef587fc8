// The jars of Flink and of Beam's runner for it: one class path for the job server and for the local cluster, so that a
// cluster started here has all that a job needs, and none is sent to it.
import path from "node:path";
import { type Jars } from "../jars";

/** As pom.xml has them. */
export const BEAM_VERSION = "2.62.0";
export const FLINK_VERSION = "1.19";

export const flinkJars: Pick<Jars, "name" | "pom" | "megabytes"> = {
  name: "beam-flink",
  pom: path.join(__dirname, "pom.xml"),
  megabytes: 177,
};
