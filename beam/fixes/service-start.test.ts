import net from "node:net";
import { waitForSlowServices } from "./service-start";
import { SubprocessService } from "apache-beam/utils/service";

/** Waits for a service that opens its port after so many seconds, on a clock that goes a second at each look. */
async function startAfter(seconds: number, exitCode: number | null = null): Promise<void> {
  let now = 0;
  jest.spyOn(Date, "now").mockImplementation(() => 1000 * now++);
  jest.spyOn(net, "createConnection").mockImplementation(((_port: number, _host: string, connected: () => void) => {
    const socket = new net.Socket();
    setImmediate(() => (now >= seconds ? connected() : socket.emit("error", new Error("refused"))));
    return socket;
  }) as unknown as typeof net.createConnection);
  const service = Object.assign(new SubprocessService("java", []), { process: { exitCode } });
  await service.portReady(8099, "localhost", 10_000, 0);
}

afterEach(() => jest.restoreAllMocks());

test("without the fix a service that needs half a minute is given up", async () => {
  await expect(startAfter(30)).rejects.toThrow("Timed out waiting for service after 10000ms.");
});

describe("with the fix", () => {
  beforeAll(() => {
    waitForSlowServices();
    waitForSlowServices();
  });

  test("it is waited for", async () => {
    await expect(startAfter(30)).resolves.toBeUndefined();
  });

  test("one that never comes is given up after two minutes", async () => {
    await expect(startAfter(500)).rejects.toThrow("Timed out waiting for service after 120000ms.");
  });

  test("one that ended is given up at once", async () => {
    await expect(startAfter(30, 1)).rejects.toThrow("Aborted with error 1");
  });
});
