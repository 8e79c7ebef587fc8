import { parseAddress } from "./address";
import { rangeOf, shownUrl, uriOf, urlOf, withParameter } from "./web-url";

const url = (uri: string) => urlOf(parseAddress(uri));

it("leaves the server its query, as it was written, and takes its own options from behind the #", () => {
  const address = parseAddress("wss://h:9443/stream?streams=btcusdt@trade/ethusdt@trade&x=%20+#for=60s&send=%7B%7D");
  expect(address).toEqual({
    scheme: "wss",
    path: "//h:9443/stream?streams=btcusdt@trade/ethusdt@trade&x=%20+",
    options: { for: "60s", send: "{}" },
  });
  expect(urlOf(address).href).toBe("wss://h:9443/stream?streams=btcusdt@trade/ethusdt@trade&x=%20+");
  expect(parseAddress(uriOf(address))).toEqual(address);
  expect(parseAddress(uriOf(parseAddress("HTTP://h/a?every=1s")))).toEqual({
    scheme: "http",
    path: "//h/a?every=1s",
    options: {},
  });
});

it.each(["http:h/x", "http:/h/x", "https://", "http://a b/", "http://h:99999/"])("%s is no address", (uri) => {
  expect(() => url(uri)).toThrow(/is not a web address: it has the form https?:\/\/host\/path/);
});

it.each(["https://ann:s3cret@h/x", "https://s3cret@h/x", "wss://:s3cret@h"])("%s is refused, and not shown", (uri) => {
  expect(() => url(uri)).toThrow(/a user and password never stand in an address: set BEAMLINE_HTTP_AUTHORIZATION/);
  expect(() => url(uri)).not.toThrow(/s3cret/);
});

it("an @ behind the host is no user", () => {
  expect(url("wss://h/ws/btcusdt@trade?a=b@c").pathname).toBe("/ws/btcusdt@trade");
  expect(url("wss://h?a=b@c").host).toBe("h");
});

it.each([
  ["https://h/x?symbol=BTCUSDT&apiKey=s3cret&b=2", "https://h/x?symbol=BTCUSDT&apiKey=***&b=2"],
  ["https://h/x?access_token=s3cret", "https://h/x?access_token=***"],
  ["https://h/x?%61uth=s3cret", "https://h/x?%61uth=***"],
  ["wss://h/x?listenKey=s3cret&streams=a@trade", "wss://h/x?listenKey=***&streams=a@trade"],
  ["https://h/x?signature=s3cret&passphrase=s3cret&sig=s3cret", "https://h/x?signature=***&passphrase=***&sig=***"],
  ["https://h:443/x?", "https://h/x"],
])("%s is shown as %s", (uri, shown) => {
  expect(shownUrl(url(uri))).toBe(shown);
});

it("sets one parameter and leaves the others as they were written", () => {
  expect(withParameter(url("https://h/x?s=a@b/c&page=1&t=%7e"), "page", 2).search).toBe("?s=a@b/c&t=%7e&page=2");
  expect(withParameter(url("https://h/x"), "page", 2).href).toBe("https://h/x?page=2");
});

it("no two plans have the same positions", () => {
  const address = parseAddress("http://h/");
  expect(rangeOf(address, "s", 2).from - rangeOf(address, "s", 1).from).toBe(1000);
  expect(Number.isSafeInteger(rangeOf(address, "s", Date.UTC(2200, 0)).from)).toBe(true);
});
