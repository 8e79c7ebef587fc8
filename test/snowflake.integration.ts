// The SQL for Snowflake, parsed by sqlglot, which knows its dialect. Snowflake itself has never been asked: nothing that
// stands in for it could be had.
import path from "node:path";
import { findPythonEnvironment } from "../infra/services/python";
import { runProgram } from "../infra/services/programs";
import { snowflakeSql } from "../infra/warehouse/snowflake";
import { parseAddress } from "../io/address";
import { kinds } from "./conformance/rows";

const packages = {
  name: "sqlglot",
  title: "sqlglot",
  otherwise: "",
  requirements: path.join(__dirname, "../infra/warehouse/requirements.txt"),
  megabytes: 2,
};
const PARSE = `
import sys, sqlglot
for one in sqlglot.parse(sys.stdin.read(), dialect="snowflake"):
    print(one.key, one.args.get("kind") or one.this)
    for column in one.find_all(sqlglot.exp.ColumnDef):
        print(" ", column.name, column.args["kind"].sql("snowflake"))
`;

test("is Snowflake's, a column of every type with its own", async () => {
  const { python, make } = await findPythonEnvironment(packages, process.env);
  await make(() => undefined);
  const address = parseAddress("s3://bucket/lake/?partition=month(at),words");
  const sql = snowflakeSql(kinds.output.table, address, { integration: "beamline" });
  const { code, output } = await runProgram(python, ["-I", "-c", PARSE], {
    input: sql.map((one) => `${one};`).join("\n"),
  });
  const parsed = output.split("\n").filter((line) => line !== "" && !line.includes("Falling back"));
  expect([code, ...parsed]).toEqual([
    0,
    "create FILE FORMAT",
    "create STAGE",
    "create TABLE",
    "  ID VARCHAR",
    "  WHOLE DECIMAL(38, 0)",
    "  SHARE DOUBLE",
    "  YES BOOLEAN",
    "  HUGE DECIMAL(38, 9)",
    "  PRICE DECIMAL(18, 8)",
    "  AT TIMESTAMPLTZ",
    "  DAY DATE",
    "  BODY BINARY",
    "  TREE VARIANT",
    "  MONTH VARCHAR",
    "  WORDS VARCHAR",
    "command ALTER",
  ]);
});
