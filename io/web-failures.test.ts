// The sentences that people get, word by word.
import { explainFailure, explainStatus } from "./web-failures";

const explained = (status: number, url: string, variable: string | null = null, location?: string) =>
  explainStatus(status, new URL(url), { variable }, location);

it.each<[number, string, string | null, string]>([
  [
    451,
    "https://api.binance.com/api/v3/ticker/24hr?symbol=BTCUSDT",
    "API_URL",
    "https://api.binance.com/api/v3/ticker/24hr?symbol=BTCUSDT answers 451 Unavailable For Legal Reasons: it does not serve this machine, or not here; choose another address by API_URL, such as https://data-api.binance.vision for its public market data, or use the simulator: npm run simulate -- binance",
  ],
  [
    403,
    "wss://stream.binance.com:9443/ws/btcusdt@trade",
    null,
    "wss://stream.binance.com:9443/ws/btcusdt@trade answers 403 Forbidden: it does not serve this machine, or not here; choose another address by --from, such as wss://data-stream.binance.vision for its public market data, or use the simulator: npm run simulate -- binance",
  ],
  [
    451,
    "https://data-api.binance.vision/api",
    null,
    "https://data-api.binance.vision/api answers 451 Unavailable For Legal Reasons: it does not serve this machine, or not here; choose another address by --from, or use the simulator: npm run simulate -- binance",
  ],
  [
    403,
    "https://randomuser.me/api/",
    null,
    "https://randomuser.me/api/ answers 403 Forbidden: it does not serve this machine, or not here; choose another address by --from, or use the simulator: npm run simulate -- randomuser",
  ],
  [
    403,
    "https://notbinance.com/?token=s3cret",
    null,
    "https://notbinance.com/?token=*** answers 403 Forbidden: it does not serve this machine, or not here; choose another address by --from",
  ],
  [
    401,
    "https://api.example.com:8443/x",
    null,
    "https://api.example.com:8443/x answers 401 Unauthorized: it wants to know who asks; set BEAMLINE_HTTP_AUTHORIZATION or BEAMLINE_HTTP_HEADERS, and BEAMLINE_HTTP_HOSTS=api.example.com",
  ],
  [404, "https://h/x", "API_URL", "https://h/x answers 404 Not Found: correct the address by API_URL"],
  [499, "https://h/x", null, "https://h/x answers 499: correct the address by --from"],
])("%i of %s", (status, url, variable, sentence) => {
  expect(explained(status, url, variable)).toMatchObject({ name: "UsageError", message: sentence });
});

it("a redirect that is not followed names where it leads", () => {
  expect(explained(301, "wss://h/x", null, "wss://other/y?token=s3cret").message).toBe(
    "wss://h/x answers 301 Moved Permanently to wss://other/y?token=***, where it is not followed: correct the address by --from",
  );
});

it.each([408, 418, 425, 429, 500, 502, 503, 504, 599])("%i may pass", (status) => {
  expect(explained(status, "https://h/x").name).toBe("UnavailableError");
});

it.each([
  ["ECONNREFUSED", "UnavailableError", /^No server answers at h:81 \(connection refused\): start it/],
  ["ENOTFOUND", "UnavailableError", /^The host of h:81 is not known here/],
  ["ECONNRESET", "UnavailableError", /^h:81 broke the connection off/],
  ["EHOSTUNREACH", "UnavailableError", /^h:81 cannot be reached \(EHOSTUNREACH\)/],
  ["SELF_SIGNED_CERT_IN_CHAIN", "UsageError", /NODE_EXTRA_CA_CERTS/],
  ["ERR_SSL_WRONG_VERSION_NUMBER", "UsageError", /^The TLS connection to h:81 failed/],
])("%s", (code, name, message) => {
  const failure = explainFailure(Object.assign(new Error("x"), { code }), new URL("https://h:81/"), {});
  expect(failure.name).toBe(name);
  expect(failure.message).toMatch(message);
});

it("says that a proxy is not used, where one is set", () => {
  const error = Object.assign(new Error("x"), { code: "ECONNREFUSED" });
  const told = (url: string, environment: Record<string, string>) =>
    explainFailure(error, new URL(url), environment).message;
  expect(told("https://h/", { https_proxy: "http://ann:s3cret@p" })).toMatch(
    /; https_proxy is set, but no proxy is used: this machine must reach it directly$/,
  );
  expect(told("ws://h/", { HTTPS_PROXY: "http://p" })).not.toMatch(/proxy/);
});
