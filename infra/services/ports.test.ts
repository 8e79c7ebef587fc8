import net from "node:net";
import { setTimeout } from "node:timers/promises";
import { choosePort, freePort, isFree, isListening, parsePorts } from "./ports";

let server: net.Server;
let taken: number;

beforeEach(async () => {
  server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  taken = (server.address() as net.AddressInfo).port;
});

afterEach(() => new Promise((resolve) => server.close(resolve)));

test("a port that is taken is not free, and listens; another is free and does not", async () => {
  const other = await freePort();
  expect([await isFree(taken), await isListening(taken)]).toEqual([false, true]);
  expect([await isFree(other), await isListening(other)]).toEqual([true, false]);
});

test("the given port, else the one it had, else the usual one", async () => {
  const [given, recorded, usual] = [await freePort(), await freePort(), await freePort()];
  expect(await choosePort("kafka", { given, recorded, usual, count: 1 })).toBe(given);
  expect(await choosePort("kafka", { recorded, usual, count: 1 })).toBe(recorded);
  expect(await choosePort("kafka", { usual, count: 1 })).toBe(usual);
});

test("another when the usual one is taken, but never silently instead of a given one or the one it had", async () => {
  const chosen = await choosePort("kafka", { usual: taken, count: 1 });
  expect(chosen).not.toBe(taken);
  expect(await isFree(chosen)).toBe(true);
  await expect(choosePort("kafka", { given: taken, usual: 1, count: 1 })).rejects.toThrow(
    /^Port \d+ is taken by another program: .* npm run services -- up kafka --port kafka=\d+$/,
  );
  await expect(choosePort("kafka", { recorded: taken, usual: 1, count: 1 })).rejects.toThrow(
    /^Port \d+, where kafka was before, is taken by another program/,
  );
}, 20_000);

test("the one it had is waited for: what was killed there may not have let go of it yet", async () => {
  const choosing = choosePort("kafka", { recorded: taken, usual: 1, count: 1 });
  await setTimeout(300);
  server.close();
  expect(await choosing).toBe(taken);
});

test("two ports that follow each other", async () => {
  const [usual, second] = [await freePort(2), taken - 1];
  expect(await choosePort("kafka", { usual, count: 2 })).toBe(usual);
  expect(await choosePort("kafka", { usual: second, count: 2 })).not.toBe(second);
  await expect(choosePort("kafka", { given: second, usual, count: 2 })).rejects.toThrow(
    new RegExp(`^Port ${taken} is taken by another program`),
  );
});

test("--port", () => {
  expect(parsePorts(["kafka=19092", "postgres=5432"])).toEqual({ kafka: 19092, postgres: 5432 });
  for (const [text, message] of [
    ["19092", "--port 19092: it must be a service and a port from 1 to 65535, such as kafka=19092"],
    ["kafka=0", "--port kafka=0: it must be a service and a port from 1 to 65535, such as kafka=19092"],
    ["kafka=65536", "--port kafka=65536: it must be a service and a port from 1 to 65535, such as kafka=19092"],
    ["kafak=1", "--port kafak=1: there is no service “kafak”: did you mean “kafka”?"],
  ] as const)
    expect(() => parsePorts([text])).toThrow(message);
});
