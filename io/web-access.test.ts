// Secrets come from the environment or a file, go to the hosts they are for, and are not shown.
import { writeFileSync } from "node:fs";
import { scratchDirectory } from "../test/scratch";
import { accessOf } from "./web-access";

const scratch = scratchDirectory();
const HOSTS = { BEAMLINE_HTTP_HOSTS: "api.example.com, localhost:8080" };
const headersFor = (environment: Record<string, string>, url: string) => accessOf(environment)(new URL(url));

it("nothing set: no headers", () => {
  expect(headersFor({}, "https://api.example.com/")).toEqual({});
  expect(headersFor({ ...HOSTS, BEAMLINE_HTTP_AUTHORIZATION: "" }, "https://api.example.com/")).toEqual({});
});

it("headers go to the hosts that they are for, and to no other", () => {
  const environment = { ...HOSTS, BEAMLINE_HTTP_AUTHORIZATION: "Bearer s3cret" };
  const expected = { authorization: "Bearer s3cret" };
  expect(headersFor(environment, "https://api.example.com/x")).toEqual(expected);
  expect(headersFor(environment, "https://API.example.com:8443/x")).toEqual(expected);
  expect(headersFor(environment, "http://localhost:8080/x")).toEqual(expected);
  for (const other of ["http://localhost:8081/", "https://example.com/", "https://api.example.com.evil.org/"])
    expect(headersFor(environment, other)).toEqual({});
});

it("files, and headers as JSON", () => {
  writeFileSync(scratch("token"), "Bearer s3cret\n");
  writeFileSync(scratch("headers"), '{"X-MBX-APIKEY": "k3y"}\n');
  const environment = {
    ...HOSTS,
    BEAMLINE_HTTP_AUTHORIZATION_FILE: scratch("token"),
    BEAMLINE_HTTP_HEADERS_FILE: scratch("headers"),
  };
  expect(headersFor(environment, "https://api.example.com/")).toEqual({
    authorization: "Bearer s3cret",
    "x-mbx-apikey": "k3y",
  });
});

it.each<[Record<string, string>, RegExp]>([
  [{ BEAMLINE_HTTP_AUTHORIZATION: "Bearer s3cret" }, /is set, but not for which hosts: set BEAMLINE_HTTP_HOSTS/],
  [
    { BEAMLINE_HTTP_HEADERS: '{"a":"s3cret"}', BEAMLINE_HTTP_HOSTS: " , " },
    /BEAMLINE_HTTP_HEADERS is set, but not for/,
  ],
  [{ ...HOSTS, BEAMLINE_HTTP_AUTHORIZATION: "s3cret\r\nHost: evil" }, /name or value that no header can have/],
  [{ ...HOSTS, BEAMLINE_HTTP_HEADERS: "s3cret" }, /BEAMLINE_HTTP_HEADERS is not a JSON object/],
  [{ ...HOSTS, BEAMLINE_HTTP_HEADERS: '["s3cret"]' }, /is not a JSON object/],
  [{ ...HOSTS, BEAMLINE_HTTP_HEADERS: '{"a":["s3cret"]}' }, /the header a must be text/],
  [{ ...HOSTS, BEAMLINE_HTTP_HEADERS: '{"Host":"s3cret"}' }, /the header host is not for settings/],
  [{ ...HOSTS, BEAMLINE_HTTP_HEADERS: '{"a b":"s3cret"}' }, /the header a b has a name or value/],
  [{ ...HOSTS, BEAMLINE_HTTP_HEADERS_FILE: "no/such" }, /names the file no\/such, which does not exist/],
])("%j is refused, and the secret not shown", (environment, message) => {
  expect(() => accessOf(environment)).toThrow(message);
  expect(() => accessOf(environment)).not.toThrow(/s3cret/);
});
