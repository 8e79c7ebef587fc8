import { explainSavepoint } from "./failures";

const root =
  "org.apache.flink.util.FlinkException: x\nCaused by: java.lang.IllegalStateException: Failed to rollback to checkpoint/savepoint file:/kept/savepoint-1a.";

test.each([
  [
    `${root} Cannot map checkpoint/savepoint state for operator de56 to the new program, because the operator is not available in the new program.`,
    /^file:\/kept\/savepoint-1a does not fit this pipeline: .* begin anew$/,
  ],
  [
    "Caused by: java.io.FileNotFoundException: Cannot find checkpoint or savepoint file/directory '/tmp/nothing' on file system 'file'.",
    /^--from-savepoint: there is no savepoint at \/tmp\/nothing, as the cluster sees it$/,
  ],
])("what is wrong with a savepoint is told: %#", (said, tells) => {
  expect(explainSavepoint(said)?.message).toMatch(tells);
});

test("what is not about savepoints is left to others", () => {
  expect(explainSavepoint("java.lang.IllegalStateException: a worker is gone")).toBeNull();
});
