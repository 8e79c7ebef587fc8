import { RunError, UnavailableError, UsageError } from "../schema/errors";
import { errorText, writtenError } from "./bundle-errors";

/** As Java tells of an error: inside a sentence of its own, with a stack behind it. */
const told = (text: string): string =>
  `java.lang.RuntimeException: Error received from SDK harness for instruction 7: Error: ${text}\n\tat java.base/x.y(Z.java:1)`;

test.each([new RunError("The disk is full"), new UsageError("--to is wrong"), new UnavailableError("no answer: “»”")])(
  "a failure that people meet stays what it is: %s",
  (error) => {
    const written = writtenError(told(errorText(error)));
    expect(written).toBeInstanceOf(error.constructor);
    expect(written?.message).toBe(error.message);
  },
);

test("any other error keeps its message and where it arose", () => {
  const error = new TypeError("x is not a function\nof two lines");
  const written = writtenError(told(errorText(error)));
  expect(written?.message).toBe(error.message);
  expect(written?.stack).toContain("bundle-errors.test.ts");
  expect(written).not.toBeInstanceOf(RunError);
});

test.each(["java.lang.IllegalArgumentException: no", "", "«beamline ", "»«beamline {"])(
  "a text without one of ours has none: “%s”",
  (text) => expect(writtenError(text)).toBeNull(),
);

test("what is not an error, and a name that is no kind of ours", () => {
  expect(writtenError(errorText("only a text"))?.message).toBe("only a text");
  const error = new Error("x");
  error.name = "constructor";
  expect(writtenError(errorText(error))?.message).toBe("x");
});
