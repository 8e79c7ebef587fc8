/**
 * # 5. A connector of your own
 *
 * This chapter is a test: everything in it ran. It adds a place that beamline does not know: a folder with one JSON file
 * a row, such as a static web site is built from. In your own package the imports are from "beamline", the connector
 * lies in a file of its own, and the module of a pipeline that uses it imports that file.
 */
import fs from "node:fs/promises";
import path from "node:path";
import {
  addConnector,
  cellOf,
  UsageError,
  type Address,
  type Batch,
  type Connector,
  type Finding,
  type OpenTarget,
  type Output,
  type Range,
  type Row,
  type SourceRecord,
} from "../../index";
import { scene } from "../../test/command-scene";

/**
 * A sink opens its place for one batch. `write` takes rows, some at a time; `commit` makes all of them visible; `abort`
 * leaves the place as it was, as far as it can. Rows of a batch that is run again come again, equal: here a row replaces
 * the file of its key, so nothing is there twice. That is the class "keyed".
 */
class OpenFolder implements OpenTarget {
  private readonly files = new Map<string, string>();

  constructor(
    private readonly directory: string,
    private readonly outputs: readonly Output[],
  ) {}

  async write(name: string, rows: readonly Row[]) {
    const output = this.outputs.find((one) => one.name === name);
    if (output === undefined) throw new Error(`The output ${name} was not opened`);
    const { table } = output;
    for (const row of rows) {
      // cellOf refuses what does not fit its column, and gives every type one form: decimals as text, times as ISO 8601.
      const cells = table.columns.map((column): [string, unknown] => [column.name, cellOf(table, column, row)]);
      // What comes from data is never a path: a key of “../../etc/passwd” is one file name here.
      const key = table.key.map((part) => encodeURIComponent(String(row[part])).replaceAll(".", "%2E"));
      const file = path.join(this.directory, table.name, `${key.join(",")}.json`);
      this.files.set(file, JSON.stringify(Object.fromEntries(cells)));
    }
    return { written: rows.length };
  }

  async commit() {
    for (const [file, text] of this.files) {
      await fs.mkdir(path.dirname(file), { recursive: true });
      // A reader never finds half a file.
      await fs.writeFile(`${file}.tmp`, text);
      await fs.rename(`${file}.tmp`, file);
    }
  }

  async abort() {
    this.files.clear();
  }
}

/**
 * A source plans ranges without reading: a name, and from where to where. Then it is asked for the records of one range at a
 * time. A range must give the same records whenever it is read: a batch that crashed is run again.
 */
async function plan(address: Address): Promise<Range[]> {
  const directory = folderOf(address);
  const names = await fs.readdir(directory).catch(() => []);
  const files = names.filter((name) => name.endsWith(".json")).sort();
  if (files.length === 0) throw new UsageError(`${directory} has no .json files in it`);
  return files.map((name) => ({
    ...{ connector: "folder", source: path.join(directory, name) },
    ...{ from: 0, to: 1, detail: {} },
  }));
}

async function* read({ source }: Range): AsyncIterable<SourceRecord[]> {
  const value = await fs.readFile(source, "utf8");
  yield [{ value, source, position: 0, key: null, timestamp: null, headers: null, fields: null }];
}

/** `doctor` asks this. It changes nothing, and never throws. */
async function check(address: Address): Promise<Finding[]> {
  const directory = folderOf(address);
  const there = await fs.stat(directory).catch(() => null);
  if (there === null) return [{ state: "missing", text: `${directory} is made by the first run` }];
  return there.isDirectory()
    ? [{ state: "fine", text: `${directory} is a folder` }]
    : [{ state: "wrong", text: `${directory} is no folder: name another place` }];
}

const folderOf = (address: Address): string => path.resolve(address.path);

const folder: Connector = {
  name: "folder",
  about: {
    summary: "A folder with one JSON file a row",
    examples: ["folder:site/data"],
    ...{ readOptions: [], writeOptions: [], settings: [], killTests: [] },
  },
  source: { plan, read, check },
  sink: {
    deliveryClass: "keyed",
    delivery: "a row replaces the file of its key",
    wants: "update",
    place: folderOf,
    check,
    async open(address: Address, outputs: readonly Output[], _batch: Batch) {
      return new OpenFolder(folderOf(address), outputs);
    },
  },
};

/** One line makes it known: every pipeline can be read from and written to it, those that come with beamline too. */
addConnector(folder);

describe("5. A connector of your own", () => {
  const { at, beamline, write } = scene();

  test("a pipeline writes there, and a run that is repeated changes nothing", async () => {
    expect(await beamline("run", "trades-aggregate", "--to", "folder:site")).toMatchObject({ code: 0 });
    const names = (await fs.readdir(at("site/trades_1min_agg"))).sort();
    expect(names.length).toBeGreaterThan(0);
    const first = await fs.readFile(at("site/trades_1min_agg", names[0] ?? ""), "utf8");
    expect(JSON.parse(first)).toMatchObject({ trade_count: expect.any(Number) as number });

    await beamline("run", "trades-aggregate", "--to", "folder:site");
    expect((await fs.readdir(at("site/trades_1min_agg"))).sort()).toEqual(names);
    expect(await fs.readFile(at("site/trades_1min_agg", names[0] ?? ""), "utf8")).toBe(first);
  });

  test("a pipeline reads from there", async () => {
    const trade = {
      ...{ e: "trade", E: 1767605400004, T: 1767605400000, s: "BTCUSDT", t: 5600000001 },
      ...{ p: "93398.14000000", q: "0.00400000", m: false, M: true },
    };
    write("in/one.json", JSON.stringify(trade));
    const { stdout, code } = await beamline("run", "--from", "folder:in", "--to", "folder:site", "--json");
    expect({ code, ...(JSON.parse(stdout) as object) }).toMatchObject({ code: 0, read: 1, ok: 1 });
  });

  test("what is wrong is one sentence", async () => {
    const { code, stderr } = await beamline("run", "--from", "folder:nothing");
    expect(code).toBe(2);
    expect(stderr).toContain("nothing has no .json files in it");
  });
});
