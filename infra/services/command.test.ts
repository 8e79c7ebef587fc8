import { scratchDirectory } from "../../test/scratch";
import { command } from "./command";
import { refuseWindows } from "./other-ways";
import { serviceNames } from "./server-kind";

const scratch = scratchDirectory();
const environment = { ...process.env };
let out: string;
let err: string;

beforeEach(() => {
  process.env["BEAMLINE_SERVICES_DIR"] = scratch();
  out = err = "";
  jest.spyOn(process.stdout, "write").mockImplementation((text) => {
    out += String(text);
    return true;
  });
  jest.spyOn(process.stderr, "write").mockImplementation((text) => {
    err += String(text);
    return true;
  });
});

afterEach(() => {
  process.env = { ...environment };
  jest.restoreAllMocks();
});

test("help", async () => {
  for (const words of [[], ["--help"], ["-h"], ["up", "--help"], ["status", "kafka", "--help"]]) {
    out = "";
    expect([await command(words), out.split("\n")[0], err]).toEqual([
      0,
      "Real servers for development and tests, on this machine only.",
      "",
    ]);
  }
});

test.each([
  ["up --port gcs=1", "--port gcs=… has no effect: gcs is not among what to start"],
  ["start", "There is no verb “start”: it must be one of up, down, status"],
  ["up kafak", "There is no service “kafak”: did you mean “kafka”?"],
  ["up --data", "There is no flag --data; --help lists all"],
  ["up kafka --port", "--port needs a value: --port name=port"],
  ["up kafka --port 19092", "--port 19092: it must be a service and a port from 1 to 65535, such as kafka=19092"],
  ["up kafka --port postgres=1", "--port postgres=… has no effect: postgres is not among what to start"],
  ["status --jso", "There is no flag --jso: did you mean --json?"],
  ["--json", "Which verb? It must be one of up, down, status"],
])("%s", async (words, message) => {
  expect([await command(words.split(" ")), err]).toEqual([2, `${message}\n`]);
});

test("status and down where nothing was ever started", async () => {
  expect(await command(["status", "--json"])).toBe(0);
  const stopped = { url: null, environment: {}, pid: null, ready: false, state: "stopped" };
  expect(JSON.parse(out)).toEqual(serviceNames.map((name) => expect.objectContaining({ name, ...stopped }) as unknown));
  out = "";
  expect(await command(["status", "kafka", "postgres"])).toBe(0);
  expect(out).toBe("kafka     stopped\npostgres  stopped\n");
  expect(await command(["down"])).toBe(0);
  expect(err).toContain(`${serviceNames.join(", ")} down`);
});

test("without Java, nothing is started", async () => {
  process.env["PATH"] = scratch("bin");
  delete process.env["JAVA_HOME"];
  expect(await command(["up"])).toBe(2);
  expect(err).toMatch(/^Kafka needs Java 17 or newer, and java was not found: .*\n$/);
});

test("on Windows", () => {
  expect(() => refuseWindows("kafka", "linux")).not.toThrow();
  expect(() => refuseWindows("kafka", "win32")).toThrow(
    "Servers are not started on Windows itself: run the same command in WSL, or run it in a container: docker compose -f infra/compose.yaml up --wait kafka",
  );
});
