import { kafkaSettings } from "./settings";

test("it listens on this machine only, and keeps what it is given", () => {
  const lines = kafkaSettings({ data: "/srv/a", port: 19_092, controllerPort: 19_093 }).split("\n");
  expect(lines).toEqual(
    expect.arrayContaining([
      "listeners=PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093",
      "advertised.listeners=PLAINTEXT://127.0.0.1:19092",
      "log.dirs=/srv/a",
      "log.retention.ms=-1",
      "auto.create.topics.enable=false",
    ]),
  );
});

test("a second listener leads clients to a proxy", () => {
  const proxied = { port: 29_092, advertised: 29_093 };
  const lines = kafkaSettings({ data: "/", port: 19_092, controllerPort: 19_093, proxied }).split("\n");
  expect(lines).toEqual(
    expect.arrayContaining([
      "listeners=PLAINTEXT://127.0.0.1:19092,PROXIED://127.0.0.1:29092,CONTROLLER://127.0.0.1:19093",
      "advertised.listeners=PLAINTEXT://127.0.0.1:19092,PROXIED://127.0.0.1:29093",
      "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
    ]),
  );
});

test("a path that Java would read otherwise is escaped", () => {
  expect(kafkaSettings({ data: "/srv/ü \\x", port: 1, controllerPort: 2 })).toContain("log.dirs=/srv/\\u00fc \\\\x\n");
});
