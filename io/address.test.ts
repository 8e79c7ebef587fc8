import { UsageError } from "../schema/errors";
import { nearest, parseAddress, suggestion } from "./address";
import { connectorOf, sinkOf, sourceOf } from "./registry";

describe("an address", () => {
  it.each([
    ["file:data/trades.ndjson", "file", "data/trades.ndjson", {}],
    ["file:C:\\data\\trades.ndjson", "file", "C:\\data\\trades.ndjson", {}],
    ["FILE:data/Trades.ndjson", "file", "data/Trades.ndjson", {}],
    ["file:my data/ü?format=csv", "file", "my data/ü", { format: "csv" }],
    ["file:part-?.ndjson", "file", "part-?.ndjson", {}],
    ["file:part-?.txt?format=csv", "file", "part-?.txt", { format: "csv" }],
    ["kafka://host:9092/trades?group=a&from=start", "kafka", "//host:9092/trades", { group: "a", from: "start" }],
    ["https://h/x?symbol=A&limit=5", "https", "//h/x?symbol=A&limit=5", {}],
    ["https://h/x?a=b#every=30s&items=a.b", "https", "//h/x?a=b", { every: "30s", items: "a.b" }],
    ["ws://h/a@trade#send=%7B%22a%22:1%7D#", "ws", "//h/a@trade", { send: '{"a":1}#' }],
    ["stdout:", "stdout", "", {}],
    ["file:", "file", "", {}],
    ["sqlite:a\nb", "sqlite", "a\nb", {}],
  ])("%s is taken apart", (uri, scheme, path, options) => {
    expect(parseAddress(uri)).toEqual({ scheme, path, options });
  });

  it.each(["data/trades.ndjson", "C:\\data\\trades.ndjson", "", ":", "1x:y", "trades"])("%j is refused", (uri) => {
    expect(() => parseAddress(uri)).toThrow(UsageError);
    expect(() => parseAddress(uri)).toThrow(/needs a scheme, such as file:/);
  });
});

describe("the nearest word", () => {
  it("forgives a slip and a wrong case", () => {
    expect(nearest("flie", ["file", "sqlite"])).toBe("file");
    expect(nearest("SQLITE", ["file", "sqlite"])).toBe("sqlite");
  });

  it("does not guess wildly", () => {
    expect(nearest("postgres", ["file", "sqlite"])).toBeNull();
    expect(nearest("x", [])).toBeNull();
    expect(suggestion("postgres", ["file", "sqlite"])).toBe("it must be one of file, sqlite");
    expect(suggestion("fil", ["file", "sqlite"])).toBe("did you mean “file”?");
  });
});

describe("the registry", () => {
  it("loads a connector by its scheme", () => {
    expect(connectorOf(parseAddress("file:x")).name).toBe("file");
    expect(connectorOf(parseAddress("sqlite:x")).name).toBe("sqlite");
    expect(connectorOf(parseAddress("stdout:")).name).toBe("stdout");
  });

  it("answers a scheme that it does not know with the nearest one", () => {
    expect(() => connectorOf(parseAddress("sqlit:x"))).toThrow(
      "“sqlit:” is not a known kind of address; did you mean “sqlite:”?",
    );
    expect(() => connectorOf(parseAddress("ftp-server:x"))).toThrow(
      /known are ([a-z0-9]+: )*file: ([a-z0-9]+: )*sqlite: ([a-z0-9]+: )*wss:$/,
    );
  });

  it.each(["constructor:x", "toString:x", "hasOwnProperty:x"])("is not fooled by %s", (uri) => {
    expect(() => connectorOf(parseAddress(uri))).toThrow(UsageError);
  });

  it("says which way a connector cannot go", () => {
    expect(() => sourceOf(parseAddress("stdout:"))).toThrow("“stdout:” can be written to, but not read from");
    expect(() => sinkOf(parseAddress("https://h"))).toThrow("“https:” can be read from, but not written to");
    const { place } = sinkOf(parseAddress("file:x"));
    expect(place(parseAddress("file:a/../x.csv"))).toBe(place(parseAddress("file:./x.csv")));
  });
});
