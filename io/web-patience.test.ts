// Waiting is measured by what is asked of it, not by a clock: the pauses that are told.
import { inTurn, status, text, webServer } from "../test/web-server";
import { type FlowNews } from "./connector";
import { NO_ACCESS } from "./web-access";
import { ANY_WAIT, askedPause, askPatiently, type Patience } from "./web-patience";

const web = webServer();
const BACKOFF = { first: 2, longest: 8 };

async function patiently(more: Partial<Patience> = {}, signal?: AbortSignal) {
  const news: FlowNews[] = [];
  const url = new URL(`http://${web.host}/x`);
  const request = { url, access: NO_ACCESS, timeout: 5_000, mostBytes: 1000, signal };
  const patience = { giveUp: 10_000, mostWait: ANY_WAIT, variable: null, backoff: BACKOFF, ...more };
  const tell = (one: FlowNews) => void news.push(one);
  const answer = await askPatiently(request, { ...patience, tell }).catch((error: unknown) => error as Error);
  return { answer, news };
}

it.each([500, 502, 503, 408, 429])("asks again after %i", async (code) => {
  web.answer(inTurn(status(code), status(code), text("ok")));
  const { answer, news } = await patiently();
  expect(answer).toMatchObject({ status: 200 });
  expect(news.map(({ kind, count }) => [kind, count])).toEqual([
    ["retry", 1],
    ["retry", 1],
  ]);
  expect(news[0]?.text).toMatch(new RegExp(`^http://${web.host}/x answers ${code} .*; it is asked again in \\d ms$`));
});

it("asks again after a connection that broke", async () => {
  web.answer(inTurn((request) => request.socket.destroy(), text("ok")));
  const { answer, news } = await patiently();
  expect(answer).toMatchObject({ status: 200 });
  expect(news).toMatchObject([
    { kind: "retry", text: expect.stringMatching(/broke the connection off; it is asked/) as string },
  ]);
});

it.each([400, 401, 403, 404, 451])("does not ask again after %i", async (code) => {
  web.answer(status(code));
  expect((await patiently()).answer).toMatchObject({ name: "UsageError" });
  expect(web.requests).toHaveLength(1);
});

it("gives up", async () => {
  web.answer(status(500));
  const { answer } = await patiently({ giveUp: 40 });
  expect(answer).toMatchObject({ name: "UnavailableError", message: /answers 500 .*; given up after \d+ attempts$/ });
  expect(web.requests.length).toBeGreaterThan(2);
});

it.each([429, 418, 503])("leaves a server alone that answers %i for as long as it wants", async (code) => {
  web.answer(inTurn(status(code, { "retry-after": "1" }), text("ok")));
  const asked = performance.now();
  const { answer, news } = await patiently({ giveUp: 500 });
  expect(performance.now() - asked).toBeGreaterThanOrEqual(1000);
  expect(answer).toMatchObject({ status: 200 });
  expect(news).toMatchObject([{ kind: "wait", text: expect.stringMatching(/as it wants$/) as string }]);
});

it("a server that always says “now” is not asked without end", async () => {
  web.answer(status(429, { "retry-after": "0" }));
  const { answer } = await patiently({ giveUp: 200, backoff: { first: 20, longest: 20 } });
  expect(answer).toMatchObject({ message: expect.stringMatching(/given up/) as string });
  expect(web.requests.length).toBeLessThanOrEqual(21);
});

it.each([
  ["longer than a run waits", "30", 10_000],
  ["absurdly long", "99999999999999999999", ANY_WAIT],
  ["until the end of days", "Fri, 31 Dec 9999 23:59:59 GMT", ANY_WAIT],
])("a pause that is %s is a failure", async (_name, retryAfter, mostWait) => {
  web.answer(status(418, { "retry-after": retryAfter }));
  expect((await patiently({ mostWait })).answer).toMatchObject({
    name: "UnavailableError",
    message: expect.stringMatching(/and wants to be asked again in .*: that is too long$/) as string,
  });
});

it("a pause ends when the signal says so", async () => {
  const stop = new AbortController();
  web.answer((request, response) => {
    status(429, { "retry-after": "3600" })(request, response);
    response.on("close", () => stop.abort(new Error("enough")));
  });
  expect((await patiently({}, stop.signal)).answer).toMatchObject({ message: "enough" });
});

it.each<[number, string | undefined, number | null]>([
  [429, "120", 120_000],
  [429, " 0 ", 0],
  [429, "Thu, 01 Jan 2026 00:01:00 GMT", 60_000],
  [429, "Wed, 31 Dec 2025 23:00:00 GMT", 0],
  [503, "7", 7_000],
  [429, undefined, null],
  [429, "-5", null],
  [429, "soon", null],
  [429, "1.5", null],
  [429, "2026", 2_026_000],
  [418, undefined, 120_000],
  [418, "soon", 120_000],
  [418, "300", 300_000],
])("%i with Retry-After %s: a pause of %s", (code, retryAfter, pause) => {
  expect(askedPause(code, retryAfter, Date.UTC(2026, 0, 1))).toBe(pause);
});
