// What the reference says of connectors is made from what they say of themselves; here it is held against the connectors.
import fs from "node:fs";
import path from "node:path";
import { parseAddress } from "./address";
import { connectorOf, everyConnector } from "./registry";

const every = everyConnector().map(({ connector, schemes }) => [connector.name, connector, schemes] as const);

test("each is there once, under all its schemes", () => {
  expect(new Set(every.map(([name]) => name)).size).toBe(every.length);
  for (const [, connector, schemes] of every)
    for (const scheme of schemes) expect(connectorOf({ scheme, path: "", options: {} })).toBe(connector);
});

describe.each(every)("%s", (_name, { about, source, sink }, schemes) => {
  test("its examples are addresses of it, with options that there are", () => {
    const known = [...about.readOptions, ...about.writeOptions].map(({ name }) => name);
    for (const example of about.examples) {
      const { scheme, options } = parseAddress(example);
      expect(schemes).toContain(scheme);
      for (const option of Object.keys(options)) expect(known).toContain(option);
    }
  });

  test("no option or setting is there twice, none for a side that it does not have", () => {
    for (const list of [about.readOptions, about.writeOptions, about.settings]) {
      const names = list.map(({ name }) => name);
      expect(new Set(names).size).toBe(names.length);
    }
    if (source === undefined) expect(about.readOptions).toEqual([]);
    if (sink === undefined) expect([about.writeOptions, about.killTests]).toEqual([[], []]);
  });

  test("what is a password or its like is a secret, what names a file is none", () => {
    for (const { name, secret } of about.settings)
      if (/PASSWORD|TOKEN|SECRET/.test(name)) expect([name, secret]).toEqual([name, !name.endsWith("_FILE")]);
  });

  test("the tests that prove what it says are there", () => {
    for (const file of about.killTests) expect(fs.existsSync(path.join(__dirname, "..", file))).toBe(true);
  });
});
