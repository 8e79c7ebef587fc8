import { cassandraSettings } from "./settings";

test("it listens on this machine only, and keeps what it is given", () => {
  const text = cassandraSettings({ data: "/srv/ü a", port: 19_042, storagePort: 19_043 });
  expect(JSON.parse(text)).toMatchObject({
    listen_address: "127.0.0.1",
    rpc_address: "127.0.0.1",
    native_transport_port: 19_042,
    storage_port: 19_043,
    seed_provider: [{ parameters: [{ seeds: "127.0.0.1:19043" }] }],
    data_file_directories: ["/srv/ü a/data"],
    auto_snapshot: false,
  });
});
