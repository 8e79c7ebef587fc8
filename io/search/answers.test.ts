// What no real server does on demand: too much to do, not ready, too large, index management. A small double answers so.
import { z } from "zod";
import { inTurn, text, webServer, type Answer } from "../../test/web-server";
import { RunError, UnavailableError, UsageError } from "../../schema/errors";
import { tableOf } from "../../schema/table";
import { parseAddress } from "../address";
import { sendBulk } from "./bulk";
import { checkCluster } from "./check";
import { closeClients, Cluster } from "./cluster";
import { documentsOf } from "./document";
import { sendGrown } from "./grown";
import { ensureLifecycle } from "./lifecycle";
import { settingsOf } from "./options";

const web = webServer();
afterEach(closeClients);

const json = (body: unknown, status = 200): Answer =>
  text(JSON.stringify(body), { "content-type": "application/json" }, status);
const settings = (options = "", environment = {}) =>
  settingsOf(parseAddress(`opensearch://${web.host}?give-up=2s${options}`), environment);
const output = { name: "t", table: tableOf("t", z.object({ id: z.int(), text: z.string() }), { key: ["id"] }) };
const documents = (count: number) =>
  Array.from({ length: count }, (_, id) => documentsOf(output.table, "t", settings())({ id, text: "x" }));

/** What was sent, and an answer to each document of it. */
function bulk(itemOf: (id: string, nth: number) => { status: number; error?: unknown }): {
  sent: string[][];
  answer: Answer;
} {
  const sent: string[][] = [];
  return {
    sent,
    answer: (request, response) => {
      let body = "";
      request.on("data", (chunk) => (body += String(chunk)));
      request.on("end", () => {
        const ids = [...body.matchAll(/"_id":"(\d+)"/g)].map(([, id]) => id ?? "");
        sent.push(ids);
        const items = ids.map((id) => ({ index: itemOf(id, sent.length) }));
        json({ errors: items.some(({ index }) => index.status >= 300), items })(request, response);
      });
    },
  };
}

const full = { type: "es_rejected_execution_exception", reason: "the queue is full" };

describe("rows that are sent in bulk", () => {
  it("are sent again one by one when the server had no time for them", async () => {
    const { sent, answer } = bulk((id, nth) =>
      nth === 1 && id !== "1" ? { status: 429, error: full } : { status: 200 },
    );
    web.answer(answer);
    expect(await sendBulk(new Cluster(settings()), documents(3))).toEqual([]);
    expect(sent).toEqual([
      ["0", "1", "2"],
      ["0", "2"],
    ]);
  });

  it("that are refused do not hold up the others", async () => {
    const error = {
      type: "mapper_parsing_exception",
      reason: "failed to parse",
      caused_by: { reason: "out of range\n at x" },
    };
    web.answer(bulk((id) => (id === "1" ? { status: 400, error } : { status: 201 })).answer);
    const rows = documents(3);
    expect(await sendBulk(new Cluster(settings()), rows)).toEqual([
      { row: rows[1]?.row, reason: "unfit-value", error: "failed to parse: out of range" },
    ]);
  });

  it("are unavailable when the server has no time at all", async () => {
    web.answer(bulk(() => ({ status: 429, error: full })).answer);
    const failure = sendBulk(new Cluster(settings()), documents(2));
    await expect(failure).rejects.toThrow(UnavailableError);
    await expect(failure).rejects.toThrow(/cannot take 2 rows now \(the queue is full\): try again/);
  });

  it("are sent in smaller parts when they are too large together; one alone is refused", async () => {
    const { sent, answer } = bulk(() => ({ status: 200 }));
    web.answer((request, response) => {
      const length = Number(request.headers["content-length"]);
      if (length < 150 && request.url?.startsWith("/_bulk") === true) answer(request, response);
      else {
        request.resume();
        request.on("end", () => response.writeHead(413).end());
      }
    });
    const rows = documents(3);
    const long = { ...rows[1], lines: rows[1]?.lines.replace("x", "x".repeat(500)) } as (typeof rows)[0];
    const rejected = await sendBulk(new Cluster(settings()), [rows[0], long, rows[2]] as typeof rows);
    expect(rejected).toEqual([{ row: long.row, reason: "too-large", error: "the server takes no row of 0.0 MB" }]);
    expect(sent).toEqual([["0"], ["2"]]);
  });

  it("go in as many requests as their bytes need, and not one of them twice", async () => {
    const { sent, answer } = bulk(() => ({ status: 200 }));
    web.answer(answer);
    await sendBulk(new Cluster(settings("&bulk-bytes=200&concurrency=3")), documents(20));
    expect(sent.length).toBeGreaterThan(5);
    expect(sent.flat().sort()).toEqual(
      documents(20)
        .map(({ id }) => id)
        .sort(),
    );
  });

  it.each([
    [
      "index [t] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded flood-stage watermark, index has read-only-allow-delete block];",
      429,
      UnavailableError,
      /disks are nearly full.*make room/,
    ],
    ["index [t] blocked by: [FORBIDDEN/8/index write (api)];", 403, RunError, /somebody has set a block/],
  ])("%s is said at once", async (reason, status, kind, message) => {
    const { sent, answer } = bulk(() => ({ status, error: { type: "cluster_block_exception", reason } }));
    web.answer(answer);
    const failure = sendBulk(new Cluster(settings()), documents(2));
    await expect(failure).rejects.toThrow(kind);
    await expect(failure).rejects.toThrow(message);
    expect(sent).toHaveLength(1);
  });

  it("are sent again only when the server is done with a request that lost its connection", async () => {
    const asked: string[] = [];
    let id = "";
    const { answer } = bulk(() => ({ status: 200 }));
    let busy = 3;
    web.answer((request, response) => {
      asked.push(request.url?.split("?")[0] ?? "");
      if (request.url?.startsWith("/_tasks") === true) {
        busy -= 1;
        const tasks =
          busy > 0 ? { a: { headers: { "X-Opaque-Id": id } } } : { b: { headers: { "X-Opaque-Id": "other" } } };
        json({ nodes: { n: { tasks } } })(request, response);
      } else if (asked.length === 1) {
        id = String(request.headers["x-opaque-id"]);
        request.socket.destroy();
      } else answer(request, response);
    });
    await sendBulk(new Cluster(settings()), documents(1));
    expect(asked).toEqual(["/_bulk", "/_tasks", "/_tasks", "/_tasks", "/_bulk"]);
  });
});

describe("a cluster", () => {
  const info = { version: { distribution: "opensearch", number: "9.9" } };
  const denied = json({ error: { type: "security_exception", reason: "missing authentication credentials" } }, 401);

  it("that knows no such user is told with the variables to set", async () => {
    web.answer(denied);
    const address = parseAddress(`opensearch://${web.host}`);
    expect(await checkCluster(address, [output])).toEqual([
      {
        state: "wrong",
        text: expect.stringMatching(
          /wants to know who asks: set OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD/,
        ) as string,
      },
    ]);
    const cluster = new Cluster(settings("", { OPENSEARCH_USERNAME: "me", OPENSEARCH_PASSWORD: "geheim" }));
    const failure = cluster.look({ method: "GET", path: "/" });
    await expect(failure).rejects.toThrow(UsageError);
    await expect(failure).rejects.toThrow(
      /does not let this user in: check OPENSEARCH_USERNAME and OPENSEARCH_PASSWORD/,
    );
    await expect(failure).rejects.not.toThrow(/geheim/);
    const [, last] = web.requests;
    expect(last?.headers.authorization).toBe(`Basic ${Buffer.from("me:geheim").toString("base64")}`);
  });

  it("that forbids something, is no cluster, or is not there, is told so", async () => {
    const look = () => new Cluster(settings()).look({ method: "GET", path: "/" });
    web.answer(
      json({ error: { type: "security_exception", reason: "no permissions for [indices:admin/create]" } }, 403),
    );
    await expect(look()).rejects.toThrow(
      /does not permit this user what is needed \(no permissions for .*\): grant it/,
    );
    web.answer(text("<html>", { "content-type": "application/json" }));
    await expect(look()).rejects.toThrow(/does not answer as a search cluster does: check the address/);
    const nowhere = settingsOf(parseAddress("opensearch://127.0.0.1:1?give-up=1ms"), {});
    await expect(new Cluster(nowhere).look({ method: "GET", path: "/" })).rejects.toThrow(/nothing listens there/);
    const tls = settingsOf(parseAddress(`opensearch://${web.host}?tls=true&give-up=1ms`), {});
    await expect(new Cluster(tls).look({ method: "GET", path: "/" })).rejects.toThrow(
      /whether it has TLS at all \(else leave out tls=true\)/,
    );
  });

  it("that breaks off in the midst of an answer is asked again, and nothing of it is printed", async () => {
    const printed = jest.spyOn(console, "log").mockImplementation(() => undefined);
    web.answer(
      inTurn((request, response) => {
        response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
        response.write("{", () => request.socket.resetAndDestroy());
      }, json(info)),
    );
    expect((await new Cluster(settings()).look({ method: "GET", path: "/" })).body).toEqual(info);
    expect(printed).not.toHaveBeenCalled();
    printed.mockRestore();
  });

  it("that comes back within the time there is, is waited for", async () => {
    web.answer(inTurn(json({ error: "starting" }, 503), json(info)));
    expect((await new Cluster(settings()).look({ method: "GET", path: "/" })).body).toEqual(info);
  });
});

describe("a lifecycle", () => {
  it("is a policy of ISM, which names the indices it is for, and is changed when it is asked for another", async () => {
    const bodies: unknown[] = [];
    let there: { status: number; body: unknown } = { status: 404, body: {} };
    web.answer((request, response) => {
      if (request.method === "GET") return json(there.body, there.status)(request, response);
      let body = "";
      request.on("data", (chunk) => (body += String(chunk)));
      request.on("end", () => {
        const policy = JSON.parse(body) as object;
        bodies.push([request.url, policy]);
        there = { status: 200, body: { _seq_no: 3, _primary_term: 1, ...policy } };
        json({})(request, response);
      });
    });
    const cluster = (days: number) => new Cluster(settings(`&rollover=month(at)&lifecycle=${days}d`));
    await ensureLifecycle(cluster(30), "candles");
    await ensureLifecycle(cluster(30), "candles");
    await ensureLifecycle(cluster(60), "candles");
    const policy = (days: number) =>
      expect.objectContaining({
        states: [
          {
            name: "kept",
            actions: [],
            transitions: [{ state_name: "delete", conditions: { min_index_age: `${days}d` } }],
          },
          { name: "delete", actions: [{ delete: {} }], transitions: [] },
        ],
        ism_template: [{ index_patterns: ["candles.month-*"], priority: 500 }],
      }) as unknown;
    expect(bodies).toEqual([
      ["/_plugins/_ism/policies/beamline-candles", { policy: policy(61) }],
      ["/_plugins/_ism/policies/beamline-candles?if_seq_no=3&if_primary_term=1", { policy: policy(91) }],
    ]);
  });

  it("is a policy of ILM", async () => {
    const bodies: unknown[] = [];
    web.answer((request, response) => {
      if (request.method === "GET") return json({}, 404)(request, response);
      let body = "";
      request.on("data", (chunk) => (body += String(chunk)));
      request.on("end", () => {
        bodies.push([request.url, JSON.parse(body)]);
        json({})(request, response);
      });
    });
    const uri = `elasticsearch://${web.host}?rollover=day(at)&lifecycle=30d`;
    await ensureLifecycle(new Cluster(settingsOf(parseAddress(uri), {})), "candles");
    expect(bodies).toEqual([
      [
        "/_ilm/policy/beamline-candles",
        {
          policy: {
            phases: { hot: { min_age: "0ms", actions: {} }, delete: { min_age: "31d", actions: { delete: {} } } },
          },
        },
      ],
    ]);
  });
});

describe("rows of which none replaces one that has more", () => {
  const grown = (id: number, n: number) => documentsOf(counted, "t", settings())({ id, n });
  const counted = tableOf("t", z.object({ id: z.int(), n: z.int() }), { key: ["id"] });
  const there = (n: number, version: number) => ({
    ...{ found: true, _seq_no: version, _primary_term: 1, _source: { n } },
  });

  /** Answers requests one after the other, and keeps what was sent. */
  function answers(...bodies: readonly unknown[]): string[] {
    const sent: string[] = [];
    web.answer(
      inTurn(
        ...bodies.map((body): Answer => (request, response) => {
          let text = "";
          request.on("data", (chunk) => (text += String(chunk)));
          request.on("end", () => {
            sent.push(text);
            json(body)(request, response);
          });
        }),
      ),
    );
    return sent;
  }

  it("are made where there is none, replace the version that was seen, and are left where there is more", async () => {
    const sent = answers({ docs: [{ found: false }, there(5, 11), there(6, 12)] }, { errors: false, items: [] });
    expect(await sendGrown(new Cluster(settings()), "n", [grown(1, 5), grown(2, 5), grown(3, 5)])).toEqual([]);
    expect(sent[1]).toBe(
      '{"create":{"_index":"t","_id":"1"}}\n{"id":1,"n":5}\n' +
        '{"index":{"_index":"t","_id":"2","if_seq_no":11,"if_primary_term":1}}\n{"id":2,"n":5}\n',
    );
    expect(sent).toHaveLength(2);
  });

  it("are looked at again when somebody else was faster", async () => {
    const conflict = { index: { status: 409, error: { type: "version_conflict_engine_exception" } } };
    const sent = answers(
      { docs: [there(5, 11), there(5, 12)] },
      { errors: true, items: [conflict, { index: { status: 200 } }] },
      { docs: [there(9, 13)] },
    );
    expect(await sendGrown(new Cluster(settings()), "n", [grown(1, 8), grown(2, 8)])).toEqual([]);
    expect(sent[2]).toBe('{"docs":[{"_index":"t","_id":"1"}]}');
    expect(sent).toHaveLength(3);
  });
});
