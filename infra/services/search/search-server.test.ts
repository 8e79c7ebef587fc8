import { searchSettings } from "./search-server";

test("it listens on this machine only", () => {
  expect(JSON.parse(searchSettings(19_201))).toMatchObject({
    "network.host": "127.0.0.1",
    "transport.port": "19201",
    "discovery.type": "single-node",
  });
});
