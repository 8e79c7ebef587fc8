// What clients do wrong must not end the simulator, nor what they say be believed.
import net from "node:net";
import { startBinance, type BinanceSimulator } from "./binance/binance";
import { connect } from "./scene";

let simulator: BinanceSimulator;
beforeEach(async () => {
  simulator = await startBinance();
});
afterEach(() => simulator.close());

/** Says this over TCP, then breaks the connection or waits for what is answered. */
async function say(bytes: string, then: "break" | "wait"): Promise<string> {
  const socket = net.connect(Number(new URL(simulator.url).port), "127.0.0.1");
  let answer = "";
  socket.on("data", (part) => (answer += part.toString()));
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("error", () => undefined);
  await new Promise<void>((resolve) => socket.write(bytes, () => resolve()));
  if (then === "break") socket.resetAndDestroy();
  await closed;
  return answer;
}

const get = (target: string) => `GET ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`;

test.each([
  ["a target that is no path", get("//"), "wait", "404"],
  ["a target with a host", get("http://example.com:99999/api"), "wait", "404"],
  ["a target that cannot be decoded", get("/api/v3/trades?symbol=%E0%A4%A"), "wait", "400"],
  ["no HTTP", "hello\r\n\r\n", "wait", "400"],
  ["a body that breaks off", "POST /_simulator/faults HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{", "break", ""],
  [
    "a body without end",
    `POST /_simulator/faults HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 70000\r\n\r\n${"x".repeat(70_000)}`,
    "wait",
    "400",
  ],
  [
    "a WebSocket without a key",
    "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    "wait",
    "400",
  ],
  [
    "a WebSocket that is gone at once",
    "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n",
    "break",
    "",
  ],
] as const)("%s", async (_name, bytes, then, status) => {
  const answer = await say(bytes, then);
  expect(answer.split(" ")[1] ?? "").toBe(status);
  expect((await fetch(`${simulator.url}/api/v3/ping`)).status).toBe(200);
});

test("frames that are none, too long or of another kind end one connection only", async () => {
  const [broken, long, well] = [
    await connect(`${simulator.wsUrl}/ws`),
    await connect(`${simulator.wsUrl}/ws`),
    await connect(`${simulator.wsUrl}/ws`),
  ];
  (broken.socket as unknown as { _socket: net.Socket })._socket.write(Buffer.from([0xff, 0xff, 0xff]));
  expect((await broken.closed)[0]).toBe(1002);
  long.socket.send("x".repeat(70_000));
  expect((await long.closed)[0]).toBe(1009);
  well.socket.send(Buffer.from('{"method":"LIST_SUBSCRIPTIONS","id":1}'), { binary: true });
  expect(await well.ask({ method: "LIST_SUBSCRIPTIONS", id: 2 })).toMatchObject({ result: [] });
});
