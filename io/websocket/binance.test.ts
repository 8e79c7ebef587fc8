// The exchange's streams as its documentation has them, and trades that are missing, against a server of the test's own
// that has both streams and history.
import { type SourceRecord } from "../../schema/record";
import { socketServer, type Caller } from "../../test/socket-server";
import { status, text, webServer, type Answer } from "../../test/web-server";
import { parseAddress } from "../address";
import { type FlowNews } from "../connector";
import { NO_ACCESS } from "../web-access";
import { binance } from "./binance";
import { streamedOf } from "./options";
import { stream } from "./stream";

const event = (symbol: string, id: number) => ({
  e: "trade",
  E: id,
  s: symbol,
  t: id,
  p: "1.10000000",
  q: "2.50",
  T: id,
  m: id % 2 === 0,
});
const trade = (symbol: string, id: number) => JSON.stringify({ ...event(symbol, id), M: true });

describe("a message", () => {
  it("is a trade with its id, wrapped or not, as it was written", () => {
    const record = { kind: "record", id: { key: "BNBBTC", id: 12345 } };
    const written = '{"e":"trade","s":"BNBBTC","t":12345,"p":0.10000000000000000001}';
    expect(binance.read(written)).toEqual({ ...record, value: written });
    expect(binance.read(`{"stream":"bnbbtc@trade","data": ${written} }`)).toEqual({ ...record, value: written });
  });

  it.each<[string, ReturnType<typeof binance.read>]>([
    ['{"e":"aggTrade","s":"A","a":1}', { kind: "record", value: '{"e":"aggTrade","s":"A","a":1}', id: null }],
    ['{"u":4,"s":"A","b":"1"}', { kind: "record", value: '{"u":4,"s":"A","b":"1"}', id: null }],
    ['{"e":"serverShutdown","E":1}', { kind: "farewell" }],
    ['{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}', { kind: "farewell" }],
    ['{"result":null,"id":1}', { kind: "answer" }],
    ['{"code":2,"msg":"Bad","id":1}', { kind: "refusal", why: "Bad", value: '{"code":2,"msg":"Bad","id":1}' }],
    ['{"code":3,"msg":"Bad"}', { kind: "refusal", why: "Bad", value: '{"code":3,"msg":"Bad"}' }],
    ['{"error":{"code":2,"msg":"Bad"}}', { kind: "refusal", why: "Bad", value: '{"error":{"code":2,"msg":"Bad"}}' }],
    ['{"code":"2","msg":"Bad"}', { kind: "record", value: '{"code":"2","msg":"Bad"}', id: null }],
    ["<html>", { kind: "garbage", value: "<html>" }],
    ['"trade"', { kind: "garbage", value: '"trade"' }],
    ["[]", { kind: "garbage", value: "[]" }],
    ['{"e":"trade","s":"A","t":"1"}', { kind: "garbage", value: '{"e":"trade","s":"A","t":"1"}' }],
    ['{"stream":"a","data":{"e":"trade","t":-1,"s":"A"}}', { kind: "garbage", value: '{"e":"trade","t":-1,"s":"A"}' }],
    ['{"stream":"a","data":null}', { kind: "record", value: '{"stream":"a","data":null}', id: null }],
  ])("%s", (message, expected) => {
    expect(binance.read(message)).toEqual(expected);
  });
});

describe("the history", () => {
  it("is asked by symbol and id", () => {
    const { history } = binance;
    expect(history?.url(new URL("https://api.binance.com"), "BTCUSDT", 7, 1000).href).toBe(
      "https://api.binance.com/api/v3/historicalTrades?symbol=BTCUSDT&fromId=7&limit=1000",
    );
    expect(history?.url(new URL("http://h:1/proxy/"), "A&B", 7, 1).href).toBe(
      "http://h:1/proxy/api/v3/historicalTrades?symbol=A%26B&fromId=7&limit=1",
    );
  });

  it("has trades, which get the form that they have in the stream", () => {
    const answer = `[{"id":28457,"price":"4.00000100","qty":"12.00000000","quoteQty":"48.000012","time":1499865549590,"isBuyerMaker":true,"isBestMatch":true},
      {"id":"28458"}, null, {"id":28459,"price":4.1,"qty":"1","time":1}]`;
    expect(binance.history?.read(answer, "BNBBTC")).toEqual([
      {
        id: 28457,
        value:
          '{"e":"trade","E":1499865549590,"s":"BNBBTC","t":28457,"p":"4.00000100","q":"12.00000000","T":1499865549590,"m":true}',
      },
    ]);
    expect(binance.history?.read('{"code":-1121}', "A")).toBeNull();
    expect(binance.history?.read("<html>", "A")).toBeNull();
  });
});

const web = webServer();
const sockets = socketServer(web);
const PLACE = "/api/v3/historicalTrades";

/** The history has these trades of every symbol. */
const having =
  (isThere: (id: number) => boolean, last = 1_000_000): Answer =>
  (request, response) => {
    const query = new URL(request.url ?? "", "http://h").searchParams;
    const trades = [];
    for (let id = Number(query.get("fromId")); id <= last && trades.length < Number(query.get("limit")); id += 1)
      if (isThere(id)) trades.push({ id, price: "1.10000000", qty: "2.50", time: id, isBuyerMaker: id % 2 === 0 });
    response.end(JSON.stringify(trades));
  };

async function streamed(
  options: string,
  isEnough: (records: readonly SourceRecord[], news: readonly FlowNews[]) => boolean,
  noted: string | null = null,
) {
  const stop = new AbortController();
  const news: FlowNews[] = [];
  const records: SourceRecord[] = [];
  let note = "";
  const check = () => isEnough(records, news) && stop.abort();
  const talk = {
    noted,
    note: (text: string) => void (note = text),
    tell: (one: FlowNews) => {
      news.push(one);
      check();
    },
  };
  const settings = {
    access: NO_ACCESS,
    signal: stop.signal,
    talk,
    isBounded: false,
    backoff: { first: 1, longest: 4 },
  };
  const address = parseAddress(`ws://${web.host}/stream?streams=a@trade#protocol=binance${options}`);
  // What is waited for may also be seen by the server alone.
  const checking = setInterval(check, 5);
  try {
    for await (const some of stream(streamedOf(address), settings)) {
      records.push(...some);
      check();
    }
  } finally {
    clearInterval(checking);
  }
  const isFilled = ({ headers }: SourceRecord) => headers?.["filled-from"] !== undefined;
  const asked = web.requests.flatMap(({ url = "" }) => (url.startsWith(PLACE) ? [url.slice(PLACE.length)] : []));
  return { records, news, note, asked, filled: records.filter(isFilled), ids: idsOf(records) };
}

const idsOf = (records: readonly SourceRecord[]) =>
  records.map(({ value }) => (JSON.parse(String(value)) as { t: number }).t).sort((left, right) => left - right);

const many = (wanted: number) => (records: readonly SourceRecord[]) => records.length >= wanted;
const lost = (_records: unknown, news: readonly FlowNews[]) => news.some(({ kind }) => kind === "lost");
const upTo = (last: number, first = 1) => Array.from({ length: last - first + 1 }, (_, index) => first + index);

const sending =
  (...turns: readonly (readonly number[])[]) =>
  ({ client, number }: Caller) => {
    for (const id of turns[number - 1] ?? []) client.send(`{"stream":"a@trade","data":${trade("A", id)}}`);
    if (number < turns.length) client.close();
  };

describe("trades that are missing", () => {
  it("after a connection was made anew come from the history, and are counted", async () => {
    web.answer(having(() => true));
    sockets.greet(sending([1, 2], [6, 7]));
    const { ids, filled, news, asked, note } = await streamed("&grace=1ms", many(7));
    expect(ids).toEqual(upTo(7));
    expect(filled.map(({ value }) => JSON.parse(String(value)) as unknown)).toEqual([
      event("A", 3),
      event("A", 4),
      event("A", 5),
    ]);
    expect(filled[0]?.headers).toEqual({ "filled-from": `http://${web.host}${PLACE}` });
    expect(asked).toEqual(["?symbol=A&fromId=3&limit=3"]);
    expect(news.filter(({ kind }) => kind === "filled").reduce((sum, { count }) => sum + count, 0)).toBe(3);
    expect(news.some(({ kind }) => kind === "lost")).toBe(false);
    expect(note).toBe('[["A",7]]');
  });

  it("are found within a connection too, for each symbol", async () => {
    web.answer(having(() => true));
    sockets.greet(({ client }) => {
      for (const [symbol, id] of [
        ["A", 1],
        ["B", 11],
        ["A", 3],
        ["B", 13],
        ["B", 14],
      ] as const)
        client.send(trade(symbol, id));
    });
    const { asked, filled } = await streamed("&grace=1ms", many(7));
    expect(asked).toEqual(["?symbol=A&fromId=2&limit=1", "?symbol=B&fromId=12&limit=1"]);
    expect(filled).toHaveLength(2);
  });

  it("may come by themselves, a little late: nobody is asked for them", async () => {
    web.answer(having(() => true));
    sockets.greet(({ client }) => {
      client.send(trade("A", 1));
      client.send(trade("A", 3));
      client.send(trade("A", 5));
      setTimeout(() => [2, 4, 6].forEach((id) => client.send(trade("A", id))), 20);
    });
    const { asked, ids } = await streamed("&grace=1h", many(6));
    expect([asked, ids]).toEqual([[], upTo(6)]);
  });

  it("may come by themselves while they are asked for: then they come once", async () => {
    const there = having(() => true);
    web.answer((request, response) => {
      sockets.callers[0]?.client.send(trade("A", 3));
      // By then it was taken in.
      setTimeout(() => there(request, response), 50);
    });
    sockets.greet(sending([1, 5]));
    const { ids, filled } = await streamed("&grace=1ms", many(5));
    expect([ids, filled.length]).toEqual([upTo(5), 2]);
  });

  it("are asked for page by page", async () => {
    web.answer(having(() => true));
    sockets.greet(sending([1], [2502]));
    const { ids, asked } = await streamed("&grace=1ms", many(2502));
    expect(ids).toEqual(upTo(2502));
    expect(asked.map((query) => new URLSearchParams(query).get("fromId"))).toEqual(["2", "1002", "2002"]);
  });

  it("that the history no longer has are lost, and that is told once", async () => {
    web.answer(having((id) => id > 4));
    sockets.greet(sending([1], [7]));
    const { ids, news } = await streamed("&grace=1ms", (records, all) => many(4)(records) && lost(records, all));
    expect(ids).toEqual([1, 5, 6, 7]);
    expect(news.filter(({ kind }) => kind === "lost")).toEqual([
      {
        kind: "lost",
        count: 3,
        text: `3 records of A from ws://${web.host}/stream?streams=a@trade are lost, ids 2 to 4: http://${web.host}${PLACE}?symbol=A&fromId=2&limit=5 no longer has them`,
      },
    ]);
  });

  it("that the history does not have yet are asked for again", async () => {
    let asked = 0;
    web.answer((request, response) => having(() => true, (asked += 1) === 1 ? 1 : 1000)(request, response));
    sockets.greet(sending([1, 4]));
    expect((await streamed("&grace=1ms", many(4))).ids).toEqual(upTo(4));
  });

  it.each<[string, Answer, RegExp]>([
    ["does not serve this machine", status(451), /answers 451 .*; choose another address by the option history$/],
    ["has no such thing", status(404), /answers 404/],
    ["answers with something else", text("<html>"), /answers with something else than a history/],
    [
      "answers with something else",
      text('{"code":-1121,"msg":"Invalid symbol."}'),
      /answers with something else than a history/,
    ],
    ["answers with bytes", text(Buffer.from([0xff])), /answers with something else than a history/],
  ])("are lost where the history %s, and the stream goes on", async (_name, answer, why) => {
    web.answer(answer);
    sockets.greet(sending([1], [3]));
    const { ids, news } = await streamed("&grace=1ms", (records, all) => many(2)(records) && lost(records, all));
    expect(ids).toEqual([1, 3]);
    expect(news.find(({ kind }) => kind === "lost")).toMatchObject({
      count: 1,
      text: expect.stringMatching(why) as string,
    });
  });

  it("are lost where no history is to be asked", async () => {
    sockets.greet(sending([1], [3]));
    const { news, asked } = await streamed("&grace=1ms&history=none", lost);
    expect(news.find(({ kind }) => kind === "lost")?.text).toMatch(/no history is asked for them \(option history\)$/);
    expect(asked).toEqual([]);
  });

  it("are lost, the older ones, where there are too many of them", async () => {
    web.answer(having(() => true));
    sockets.greet(sending([1], [100, 101]));
    const { ids, news } = await streamed("&grace=1ms&fill=10", many(13));
    expect(ids).toEqual([1, ...upTo(101, 90)]);
    expect(news.find(({ kind }) => kind === "lost")).toMatchObject({
      count: 88,
      text: expect.stringMatching(/ids 2 to 89: more are missing than are asked for \(option fill\)$/) as string,
    });
  });

  it("wait for a history that wants to be left alone", async () => {
    let asked = 0;
    const then = having(() => true);
    web.answer((request, response) =>
      ((asked += 1) === 1 ? status(429, { "retry-after": "1" }) : then)(request, response),
    );
    sockets.greet(sending([1], [3]));
    const { ids, news } = await streamed("&grace=1ms", many(3));
    expect(ids).toEqual([1, 2, 3]);
    expect(news.map(({ kind }) => kind)).toContain("wait");
  });
});

describe("what was noted in an earlier start", () => {
  it("says what came in the meantime, and that is asked for", async () => {
    web.answer(having(() => true));
    sockets.greet(sending([8]));
    const { ids, asked } = await streamed("&grace=1ms", many(5), '[["A",5,[2,3]]]');
    expect(ids).toEqual([2, 3, 6, 7, 8]);
    expect(asked).toEqual(["?symbol=A&fromId=2&limit=2", "?symbol=A&fromId=6&limit=2"]);
  });

  it("has what was still missing at the end, for the next start", async () => {
    web.answer(() => undefined);
    sockets.greet(sending([1, 4]));
    const first = await streamed("&grace=1ms", () => web.requests.length > 0);
    expect(first.note).toBe('[["A",4,[2,3,1]]]');
    expect(first.news.map(({ kind }) => kind)).not.toContain("lost");
  });

  it("is only what was given: what waits to be taken is not noted", async () => {
    sockets.greet(sending([1, 2, 3]));
    const notes: string[] = [];
    const address = parseAddress(`ws://${web.host}/#protocol=binance`);
    const talk = { note: (text: string) => void notes.push(text) };
    const given = stream(streamedOf(address), { access: NO_ACCESS, isBounded: false, talk });
    expect((await given.next()).value).toHaveLength(3);
    sockets.callers[0]?.client.send(trade("A", 4));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(notes).toEqual(['[["A",3]]']);
    await given.return(undefined);
  });
});

describe("what will not come", () => {
  /** Where it is told, until so many records came and, where it is asked for, so many places. */
  async function missed(options: string, records: number, places: number, noted: string | null = null) {
    const stop = new AbortController();
    const found: number[] = [];
    let count = 0;
    const check = () => count >= records && found.length >= places && stop.abort();
    const missed = (before: number) => {
      found.push(before);
      check();
    };
    const address = parseAddress(`ws://${web.host}/#protocol=binance&grace=1ms${options}`);
    const settings = { access: NO_ACCESS, signal: stop.signal, isBounded: false, backoff: { first: 1, longest: 4 } };
    for await (const some of stream(streamedOf(address), {
      ...settings,
      talk: { noted, missed, note: () => undefined },
    })) {
      count += some.length;
      check();
    }
    return found;
  }

  it("is what came before the first record, and nothing that the history has", async () => {
    web.answer(having(() => true));
    sockets.greet(sending([3, 6], [9]));
    expect(await missed("", 7, 0)).toEqual([0]);
  });

  it("is nothing behind an earlier start, unless a symbol is new", async () => {
    sockets.greet(({ client }) => {
      client.send(trade("A", 6));
      client.send(trade("B", 1));
    });
    expect(await missed("", 2, 0, '[["A",5],["B",0]]')).toEqual([]);
    expect(await missed("", 2, 0, '[["A",5]]')).toEqual([0]);
  });

  it("is, of a symbol that is new behind a broken connection, what came since that broke", async () => {
    sockets.greet(({ client, number }) => {
      client.send(trade("A", number));
      if (number === 1) client.close();
      else client.send(trade("B", 1));
    });
    expect(await missed("", 3, 2)).toEqual([0, 1]);
  });

  it("is what the history does not have, in front of the record that showed it", async () => {
    web.answer(having((id) => id > 100));
    sockets.greet(sending([1, 2, 5, 6]));
    expect(await missed("", 4, 2)).toEqual([0, 2]);
  });

  it("is what no history is asked for", async () => {
    sockets.greet(sending([1, 3, 4]));
    expect(await missed("&history=none", 3, 2)).toEqual([0, 1]);
  });

  it("is more than is asked for", async () => {
    web.answer(having(() => true));
    sockets.greet(sending([1, 2, 50, 51]));
    expect(await missed("&fill=10", 4, 2)).toEqual([0, 2]);
  });
});

describe("a time that is over", () => {
  const bounded = async (options: string) => {
    const news: FlowNews[] = [];
    const records: SourceRecord[] = [];
    const address = parseAddress(`ws://${web.host}/#protocol=binance${options}`);
    const talk = { tell: (one: FlowNews) => void news.push(one) };
    for await (const some of stream(streamedOf(address), { access: NO_ACCESS, isBounded: true, talk }))
      records.push(...some);
    return { ids: idsOf(records), news };
  };

  it("still gets what is missing, without waiting for it to come by itself", async () => {
    web.answer(having(() => true));
    sockets.greet(sending([1, 4]));
    expect((await bounded("&grace=1h&for=2s")).ids).toEqual(upTo(4));
  });
});

it("a farewell brings a new connection before the old one ends", async () => {
  const events: string[] = [];
  sockets.greet(({ client, number }) => {
    events.push(`open ${number}`);
    client.on("close", () => events.push(`close ${number}`));
    if (number === 1) client.send('{"e":"serverShutdown","E":1}');
    else client.send(trade("A", 1));
  });
  const { ids } = await streamed("", () => events.includes("close 1"));
  expect([ids, events.slice(0, 3)]).toEqual([[1], ["open 1", "open 2", "close 1"]]);
});

it("an answer to a subscription is no record, and a refusal ends the source", async () => {
  sockets.greet(({ client }) => {
    client.on("message", () => {
      client.send('{"result":null,"id":1}');
      client.send(trade("A", 1));
    });
  });
  expect((await streamed('&send={"id":1}', many(1))).ids).toEqual([1]);
  const refusal = '{"code":2,"msg":"Invalid request: unknown variant"}';
  sockets.greet(({ client }) => client.send(refusal));
  await expect(streamed("&send=x", () => false)).rejects.toMatchObject({
    name: "UsageError",
    message: `ws://${web.host}/stream?streams=a@trade does not take what it was sent: Invalid request: unknown variant`,
  });
  const { records, news } = await streamed("", (some) => some.length === 1);
  expect(records[0]?.value).toBe(refusal);
  expect(news).toMatchObject([{ kind: "garbage" }]);
});
