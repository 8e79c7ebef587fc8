import { UsageError } from "../../../schema/errors";
import { proxiedListener } from "./proxied-listener";

const read = (text: string | undefined) => proxiedListener({ BEAMLINE_KAFKA_PROXY: text });

test("two ports, or none", () => {
  expect(read("29092:29093")).toEqual({ port: 29_092, advertised: 29_093 });
  expect(read(undefined)).toBeNull();
  expect(read("")).toBeNull();
});

test.each(["29092", "a:b", "0:1", "1:65536", "1:2:3", " 1:2"])("%s is refused", (text) => {
  expect(() => read(text)).toThrow(UsageError);
});
