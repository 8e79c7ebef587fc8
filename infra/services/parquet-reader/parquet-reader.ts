// A second opinion on Parquet files: a Python with pyarrow, by which tests read back what connectors wrote.
import path from "node:path";
import { findPythonEnvironment, type PythonPackages } from "../python";
import { type Environment } from "../programs";

const packages: PythonPackages = {
  name: "parquet-reader",
  title: "pyarrow",
  otherwise: "for the tests that read Parquet back",
  requirements: path.join(__dirname, "requirements.txt"),
  megabytes: 50,
};

/** The path of a Python that has pyarrow; the first time, it is fetched. */
export async function parquetReader(
  say: (text: string) => void = () => undefined,
  environment: Environment = process.env,
): Promise<string> {
  const { python, make } = await findPythonEnvironment(packages, environment);
  await make(say);
  return python;
}
