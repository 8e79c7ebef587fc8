// The source as a runner uses it, against a server of the test's own.
import { inTurn, status, text, webServer, type Answer } from "../../test/web-server";
import { EVERYTHING, type FlowNews } from "../connector";
import { parseAddress } from "../address";
import { sourceOf } from "../registry";
import { type SourceRecord } from "../../schema/record";
import { nextPage } from "./pages";
import { polledOf } from "./options";

const web = webServer();
const at = (path: string) => parseAddress(`http://${web.host}${path}`);

async function read(path: string, signal?: AbortSignal): Promise<SourceRecord[]> {
  const address = at(path);
  const source = sourceOf(address);
  const ranges = await source.plan(address, EVERYTHING);
  const records: SourceRecord[] = [];
  for (const range of ranges) for await (const some of source.read(range, signal)) records.push(...some);
  return records;
}

/** Takes what flows until the source ends or `take` says that it is enough. */
async function flow(path: string, take: (records: readonly SourceRecord[]) => boolean = () => true) {
  const stop = new AbortController();
  const news: FlowNews[] = [];
  const records: SourceRecord[] = [];
  const address = at(path);
  for await (const some of sourceOf(address).flow?.(address, stop.signal, { tell: (one) => news.push(one) }) ?? []) {
    records.push(...some);
    if (!take(records)) stop.abort();
  }
  return { records, news };
}

const values = (records: readonly SourceRecord[]) => records.map(({ value }) => value);

describe("a run with an end", () => {
  it("asks once, and the answer is the record", async () => {
    web.answer(text('{"lastPrice":"1.10", "n": 1.10}', { etag: '"a"', date: "x" }));
    const [record, ...more] = await read("/api/v3/ticker/24hr?symbol=BTCUSDT&token=s3cret");
    expect(more).toEqual([]);
    const shown = `http://${web.host}/api/v3/ticker/24hr?symbol=BTCUSDT&token=***`;
    expect(record).toMatchObject({
      value: '{"lastPrice":"1.10", "n": 1.10}',
      source: shown,
      key: null,
      fields: null,
      headers: { status: "200", etag: '"a"', url: shown },
    });
    expect(web.requests.map(({ url }) => url)).toEqual(["/api/v3/ticker/24hr?symbol=BTCUSDT&token=s3cret"]);
    expect(record?.timestamp).not.toBeNull();
  });

  it("asks as often as is said, at its pace", async () => {
    web.answer(inTurn(text("1"), text("2"), text("3")));
    expect(values(await read("/#times=3&every=1ms"))).toEqual(["1", "2", "3"]);
  });

  it("asks as long as is said", async () => {
    web.answer(text("1"));
    const records = await read("/#for=1s&every=50ms");
    expect(records.length).toBeGreaterThan(1);
    expect(records.length).toBeLessThan(30);
  });

  it("gives positions that no other run has", async () => {
    web.answer(text("[1,2]"));
    const [first, second] = [await read("/#items=."), await read("/#items=.")];
    const positions = [...first, ...second].map(({ position }) => position);
    expect(new Set(positions).size).toBe(4);
    expect((first[1]?.position ?? 0) - (first[0]?.position ?? 0)).toBe(1);
  });

  it("has a range that travels: plain JSON that another process reads", async () => {
    const address = at("/x?s=a@b/c#items=a.b&every=1ms&times=1");
    const source = sourceOf(address);
    web.answer(text('{"a":{"b":[1]}}'));
    const ranges = JSON.parse(JSON.stringify(await source.plan(address, EVERYTHING))) as never[];
    for (const range of ranges) for await (const [record] of source.read(range)) expect(record?.value).toBe("1");
    expect(web.requests[0]?.url).toBe("/x?s=a@b/c");
  });

  it("ends with the signal's reason", async () => {
    const stop = new AbortController();
    web.answer(() => stop.abort(new Error("enough")));
    await expect(read("/", stop.signal)).rejects.toThrow("enough");
  });

  it("a server that answers nothing at all in its time is a failure, and not a run without records", async () => {
    web.answer(status(503));
    await expect(read("/#for=50ms")).rejects.toThrow(/has not answered once in the time that it was to be read/);
  });

  it.each([
    ["/#evry=1s", /has the option “evry”: did you mean “every”\?/],
    ["/#every=0", /has the option every=0: write a length of time/],
    ["/#every=1x", /has the option every=1x: write a length of time, such as 500ms/],
    ["/#for=30d", /has the option for=30d: 24 days are the most/],
    ["/#times=0", /has the option times=0: write a whole number, 1 or more/],
    ["/#pages=1e3", /has the option pages=1e3: write a whole number/],
    ["/#items=a..b", /has the option items=a\.\.b: write names with dots between/],
    ["/#page=p&pages=2", /has the option page=p, which needs items=/],
    ["/#page=p&items=.", /has the option page=p, which needs pages=/],
  ])("%s is refused", async (path, message) => {
    await expect(read(path)).rejects.toThrow(message);
    expect(web.requests).toHaveLength(0);
  });

  it("names the variable that another address is said by", async () => {
    web.answer(status(451));
    await expect(read("/#variable=API_URL")).rejects.toThrow(/answers 451 .*; choose another address by API_URL$/);
  });
});

describe("elements of an answer", () => {
  it("become records as they were written", async () => {
    web.answer(text('{"results":[{"p":0.10000000000000000001}, "x",\n 1e400]}'));
    expect(values(await read("/#items=results"))).toEqual(['{"p":0.10000000000000000001}', '"x"', "1e400"]);
  });

  it.each([
    ["is not JSON", "<html>"],
    ["has no array there", '{"results":{}}'],
    ["has nothing there", '{"result":[1]}'],
  ])("where an answer %s, it is given on whole, and told", async (_name, body) => {
    web.answer(text(body));
    const { records, news } = await flow("/#items=results&times=1");
    expect(values(records)).toEqual([body]);
    expect(news).toMatchObject([{ kind: "garbage", count: 1 }]);
  });

  it("bytes that are no text stay bytes", async () => {
    web.answer(text(Buffer.from([0x5b, 0xff, 0x5d])));
    const { records, news } = await flow("/#items=.&times=1");
    expect(values(records)).toEqual([new Uint8Array([0x5b, 0xff, 0x5d])]);
    expect(news).toMatchObject([{ kind: "garbage" }]);
  });

  it("nothing is no record", async () => {
    web.answer(inTurn(text(""), text("[]"), status(204)));
    const { records, news } = await flow("/#items=.&times=3&every=1ms");
    expect([records, news]).toEqual([[], []]);
  });
});

describe("a job that goes on", () => {
  it("asks without end, until the signal says so", async () => {
    let times = 0;
    web.answer((_request, response) => void response.end(String((times += 1))));
    const { records } = await flow("/#every=1ms", ({ length }) => length < 5);
    expect(values(records)).toEqual(["1", "2", "3", "4", "5"]);
    expect(records.map(({ position }) => position)).toEqual([0, 1, 2, 3, 4]);
  });

  it("ends by itself where that is said", async () => {
    web.answer(text("1"));
    expect((await flow("/#every=5ms&for=1s")).records.length).toBeGreaterThan(1);
    expect((await flow("/#every=1ms&times=2")).records).toHaveLength(2);
  });

  it("asks only for what is new", async () => {
    const modified = "Thu, 01 Jan 2026 00:00:00 GMT";
    web.answer((request, response) => {
      const isKnown = request.headers["if-none-match"] === 'W/"a"' && request.headers["if-modified-since"] === modified;
      if (isKnown) response.writeHead(304).end();
      else response.writeHead(200, { etag: 'W/"a"', "last-modified": modified }).end("a");
    });
    const { records } = await flow("/#every=1ms&times=4");
    expect(values(records)).toEqual(["a"]);
    expect(web.requests).toHaveLength(4);
  });

  it("goes on after failures, and tells them", async () => {
    web.answer(inTurn(text("1"), status(500), text("2"), (request) => request.socket.destroy(), text("3")));
    const { records, news } = await flow("/#every=1ms&times=3");
    expect(values(records)).toEqual(["1", "2", "3"]);
    expect(news.map(({ kind }) => kind)).toEqual(["retry", "retry"]);
  });

  it("waits as the server wants, also past its end", async () => {
    web.answer(inTurn(text("1"), status(418, { "retry-after": "3600" })));
    const { records, news } = await flow("/#every=1ms&for=1s");
    expect(values(records)).toEqual(["1"]);
    expect(news).toMatchObject([
      { kind: "wait", text: expect.stringMatching(/asked again in 1h.*, as it wants/) as string },
    ]);
    expect(web.requests).toHaveLength(2);
  });

  it("fails when the server does, for long", async () => {
    web.answer(inTurn(text("1"), status(500)));
    await expect(flow("/#every=1ms&give-up=1ms")).rejects.toMatchObject({
      name: "UnavailableError",
      message: /answers 500 .*; given up after 1 attempts/,
    });
  });
});

it("what it says while nobody asks, or it does not answer for two rounds, is missed", async () => {
  const places: number[] = [];
  web.answer(inTurn(text("1"), () => undefined, text("2"), text("3")));
  const address = at("/#every=1ms&timeout=300ms");
  const stop = new AbortController();
  const positions: number[] = [];
  const talk = { from: 7, missed: (before: number) => void places.push(before) };
  for await (const some of sourceOf(address).flow?.(address, stop.signal, talk) ?? []) {
    positions.push(...some.map(({ position }) => position));
    if (positions.length === 3) stop.abort();
  }
  expect(positions).toEqual([7, 8, 9]);
  expect(places).toEqual([7, 8]);
});

describe("pages", () => {
  const linked =
    (...bodies: readonly string[]): Answer =>
    (request, response) => {
      const page = Number(new URL(request.url ?? "", "http://h").searchParams.get("page") ?? 1);
      const next =
        page < bodies.length ? { link: `</last>; rel="last", </x?page=${page + 1}>; title="a"; rel="prev next"` } : {};
      response.writeHead(200, next).end(bodies[page - 1]);
    };

  it("are those that the answer links to", async () => {
    web.answer(linked("[1,2]", "[3]", "[4]"));
    expect(values(await read("/x#items=.&pages=9"))).toEqual(["1", "2", "3", "4"]);
    expect(values(await read("/x#items=."))).toEqual(["1", "2"]);
  });

  it("are not read beyond what was said, and that is told", async () => {
    web.answer(linked("[1]", "[2]", "[3]"));
    const { records, news } = await flow("/x#items=.&pages=2&times=1");
    expect(values(records)).toEqual(["1", "2"]);
    expect(news).toMatchObject([
      {
        kind: "left",
        text: expect.stringMatching(/has more than the 2 pages .*: raise pages to have the others$/) as string,
      },
    ]);
  });

  it("are counted up by a parameter, until one is empty", async () => {
    web.answer((request, response) => {
      const page = Number(new URL(request.url ?? "", "http://h").searchParams.get("p") ?? 1);
      response.end(page <= 3 ? `{"r":[${page}]}` : '{"r":[]}');
    });
    expect(values(await read("/x?s=a@b#items=r&pages=9&page=p"))).toEqual(["1", "2", "3"]);
    expect(web.requests.map(({ url }) => url)).toEqual(["/x?s=a@b", "/x?s=a@b&p=2", "/x?s=a@b&p=3", "/x?s=a@b&p=4"]);
    expect(values(await read("/x?p=3#items=r&pages=9&page=p"))).toEqual(["3"]);
  });

  it("that fail are asked for again", async () => {
    let isBroken = false;
    web.answer((request, response) => {
      if (request.url === "/x") {
        const isKnown = request.headers["if-none-match"] === '"a"';
        response.writeHead(isKnown ? 304 : 200, { etag: '"a"', link: '</y>; rel="next"' }).end(isKnown ? "" : "[1]");
      } else if (isBroken) response.end("[2]");
      else {
        isBroken = true;
        response.writeHead(500).end();
      }
    });
    expect(values((await flow("/x#items=.&pages=2&times=2&every=1ms")).records)).toEqual(["1", "2"]);
  });

  const answer = (link: string) =>
    ({ headers: { link }, url: new URL("https://h/x") }) as unknown as Parameters<typeof nextPage>[2];
  const polled = () => polledOf(parseAddress("https://h/x#pages=2"));

  it.each([
    "<https://other/y>; rel=next",
    '<http://h/y>; rel="next"',
    "<https://ann:s3cret@h/y>; rel=next",
    "<https://h:81/>; rel=next",
  ])("%s leads to another server, and is not followed", (link) => {
    expect(() => nextPage(polled(), new URL("https://h/x"), answer(link), null)).toThrow(/lies at another server/);
  });

  it.each(["", "<", "<>;rel", "</y>; rel=nextish", "</y>", '</y>; rel=""', "</x>; rel=next", "<".repeat(50_000)])(
    "%s leads nowhere",
    (link) => {
      expect(nextPage(polled(), new URL("https://h/x"), answer(link), null)).toBeNull();
    },
  );
});
