import { harmless, isSecretName, maskCredentials, sentenceOf, shortened } from "./safe-text";

describe("credentials", () => {
  it.each([
    ["postgres://u:secret@db:5432/x", "postgres://u:***@db:5432/x"],
    ["postgres://u:p@ss/w?rd#1@db/x", "postgres://u:***@db/x"],
    ["redis://:secret@h", "redis://:***@h"],
    ["kafka://u:s@a:9092,b:9092/t", "kafka://u:***@a:9092,b:9092/t"],
    ["host=db password=s3cret user=u", "host=db password=*** user=u"],
    ["host=db password = 's3 cret' user=u", "host=db password = *** user=u"],
    ["?sasl.password=abc&x=1", "?sasl.password=***&x=1"],
    ['{"password":"a\\"b","x":1}', '{"password":***,"x":1}'],
    ['"{\\"client_secret\\":\\"abc\\",\\"x\\":1}"', '"{\\"client_secret\\":***,\\"x\\":1}"'],
    ["Authorization: Basic dTpw", "Authorization: ***"],
    ["sent Bearer abcdefghijklmnop.qrs-tuv failed", "sent Bearer *** failed"],
    ["aws_secret_access_key=AbC/+1 end", "aws_secret_access_key=*** end"],
    ["-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\nrest", "***\nrest"],
  ])("%j is masked", (text, masked) => {
    expect(maskCredentials(text)).toBe(masked);
  });

  it.each([
    "kafka://localhost:9092/trades",
    "http://h:8080/a?mail=a@b.c",
    "kafka://a:9092,b:9093/t",
    "ssh://git@host/x",
    "password authentication failed for user u",
    "bearer authentication failed",
    "Unexpected token } in JSON at position 4",
  ])("%j stays", (text) => {
    expect(maskCredentials(text)).toBe(text);
  });

  it("are known by the name of a field", () => {
    expect(["password", "sasl.passwd", "apiKey", "API-KEY", "authorization", "clientSecret"].every(isSecretName)).toBe(
      true,
    );
    expect(["passed", "key", "author", "read"].some(isSecretName)).toBe(false);
  });

  it("are seen also where a text is cut", () => {
    expect(shortened("see postgres://u:secret@db/x", 20)).toBe("see postgres://u:***…");
  });
});

test.each([
  ["://a:".repeat(40_000)],
  ['password="\\'.repeat(20_000)],
  ["token".repeat(40_000)],
  ["bearer ".repeat(30_000)],
])("a hostile text is masked in one go", (text) => {
  expect(maskCredentials(text)).toBeDefined();
});

test("what a terminal would obey is shown as dots", () => {
  expect(harmless("a\u001b[2J\r\n\u202e\u2028😀\ud800")).toBe("a·[2J····😀·");
});

describe("the sentence of an error", () => {
  it("is one line without credentials", () => {
    expect(sentenceOf(new Error("cannot reach\r\n\tpg://u:p@h/d"))).toBe("cannot reach pg://u:***@h/d");
  });

  it("has the cause, when the message does not say it", () => {
    expect(sentenceOf(new Error("commit failed", { cause: new Error("disk full") }))).toBe("commit failed: disk full");
    expect(sentenceOf(new Error("commit failed: disk full", { cause: new Error("disk full") }))).toBe(
      "commit failed: disk full",
    );
  });

  it("has the parts of an error that says nothing itself, as Node's for a host with several addresses", () => {
    const parts = [new Error("connect ECONNREFUSED ::1:9"), new Error("connect ECONNREFUSED 127.0.0.1:9")];
    expect(sentenceOf(new AggregateError(parts))).toBe("connect ECONNREFUSED ::1:9; connect ECONNREFUSED 127.0.0.1:9");
  });

  it("ends, whatever was thrown", () => {
    const round = new Error("round");
    round.cause = round;
    expect(sentenceOf(round)).toBe("round");
    expect(sentenceOf("a text")).toBe("a text");
    expect(sentenceOf({})).toBe("not an error was thrown: object");
    expect(sentenceOf(new Error())).toBe("Error");
    const hostile = new Error("x");
    Object.defineProperty(hostile, "message", {
      get() {
        throw new Error("no");
      },
    });
    expect(sentenceOf(hostile)).toBe("an error that cannot be read");
    expect(sentenceOf(new Error("x".repeat(9_999))).length).toBe(501);
  });
});
