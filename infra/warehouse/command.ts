// The words of `npm run warehouse --`: SQL for a warehouse that reads what a pipeline writes, printed.
import { parseArgs } from "node:util";
import { suggestion } from "../../io/address";
import { catalog } from "../../pipelines/catalog";
import { outputAddresses } from "../../runners/addresses";
import { messageOf, UsageError } from "../../schema/errors";
import { exitCodeOf } from "../exit-code";
import { snowflakeSql } from "./snowflake";

const HELP = `npm run warehouse -- snowflake <pipeline> --to s3://bucket/folder/[?partition=…] [--integration name]

Prints the SQL with which Snowflake reads the Parquet files that the pipeline writes there: a file format, and for each
output a stage and an external table. After new files: ALTER EXTERNAL TABLE … REFRESH.

  --to           where the pipeline writes, as in its run; may be repeated as output=URI
  --integration  the storage integration that may read the bucket (usual: beamline)`;

export const command = (words: readonly string[]): Promise<number> =>
  exitCodeOf(async () => {
    const { positionals, values } = parsed(words);
    const [warehouse, name = ""] = positionals;
    if (values.help === true || warehouse === undefined) {
      process.stdout.write(`${HELP}\n`);
      return;
    }
    if (warehouse !== "snowflake")
      throw new UsageError(`“${warehouse}” is not a warehouse: ${suggestion(warehouse, ["snowflake"])}`);
    const names = catalog.map((one) => one.name);
    const pipeline = catalog.find((one) => one.name === name);
    if (pipeline === undefined) throw new UsageError(`There is no pipeline “${name}”: ${suggestion(name, names)}`);
    const addresses = outputAddresses(pipeline, values.to ?? [], pipeline.params.parse({}));
    const rows = Object.entries(pipeline.outputs).filter(([, { table }]) => table.mode === "upsert");
    const statements = rows.flatMap(([output, { table }]) => {
      const address = addresses[output];
      return address === undefined ? [] : snowflakeSql(table, address, { integration: values.integration });
    });
    // The file format is the same for all.
    process.stdout.write([...new Set(statements)].map((one) => `${one};\n`).join("\n"));
  });

function parsed(words: readonly string[]) {
  try {
    return parseArgs({
      args: [...words],
      allowPositionals: true,
      options: {
        to: { type: "string", multiple: true },
        integration: { type: "string", default: "beamline" },
        help: { type: "boolean" },
      },
    });
  } catch (error) {
    throw new UsageError(messageOf(error));
  }
}
