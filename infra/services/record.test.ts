import { mkdirSync, writeFileSync } from "node:fs";
import { scratchDirectory } from "../../test/scratch";
import { readRecord, writeRecord } from "./record";

const scratch = scratchDirectory();

test("what was written is read, and where nothing was there is nothing", async () => {
  expect(await readRecord(scratch("nowhere"))).toBeNull();
  const record = { port: 19_092, process: { pid: 7, started: "123" } };
  await writeRecord(scratch(), record);
  expect(await readRecord(scratch())).toEqual(record);
  await writeRecord(scratch(), { ...record, process: null });
  expect(await readRecord(scratch())).toEqual({ port: 19_092, process: null });
});

test.each(["", "{", '{"port":0,"process":null}', '{"port":1}'])(
  "a damaged record is said, not guessed: %j",
  async (text) => {
    mkdirSync(scratch("kafka"));
    writeFileSync(scratch("kafka/service.json"), text);
    await expect(readRecord(scratch("kafka"))).rejects.toThrow("service.json is damaged");
  },
);
