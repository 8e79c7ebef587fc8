import { UsageError } from "../../schema/errors";
import { formatAddress, parseListenAddress } from "./listen-address";

it.each([
  ["8080", "127.0.0.1", 8080, "127.0.0.1:8080"],
  ["0", "127.0.0.1", 0, "127.0.0.1:0"],
  ["0.0.0.0:9090", "0.0.0.0", 9090, "0.0.0.0:9090"],
  ["localhost:65535", "localhost", 65535, "localhost:65535"],
  [" [::1]:8080 ", "::1", 8080, "[::1]:8080"],
  ["[fe80::1%eth0]:80", "fe80::1%eth0", 80, "[fe80::1%eth0]:80"],
])("%j is %s, %i", (text, host, port, formatted) => {
  expect(parseListenAddress(text)).toEqual({ host, port });
  expect(formatAddress({ host, port })).toBe(formatted);
});

it.each([
  "",
  "x",
  ":8080",
  "65536",
  "99999",
  "-1",
  "8080.5",
  "8e3",
  "::1:8080",
  "[x]:80",
  "http://h:80",
  "h:",
  "a b:80",
])("%j is refused in one sentence", (text) => {
  expect(() => parseListenAddress(text)).toThrow(UsageError);
  expect(() => parseListenAddress(text)).toThrow(/write a port from 0 to 65535, host:port or \[::1\]:port/);
});
