import { dead, drop, ok } from "./step";

describe("what a step answers", () => {
  it("is plain data", () => {
    expect(ok({ n: 1 })).toEqual({ kind: "ok", value: { n: 1 } });
    expect(dead("too old", "from 1970")).toEqual({ kind: "dead", reason: "too old", error: "from 1970" });
    expect(dead("too old")).toEqual({ kind: "dead", reason: "too old", error: "" });
    expect(drop("heartbeat")).toEqual({ kind: "drop", reason: "heartbeat" });
  });
});
