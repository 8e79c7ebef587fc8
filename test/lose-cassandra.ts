// Writes to Cassandra while its connections are cut again and again, and then has nothing more to do: whether a process ends by
// itself after that only a process of its own can show. Argument: the server's port.
import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { parseAddress } from "../io/address";
import { sinkOf } from "../io/registry";
import { tableOf } from "../schema/table";
import { startFaultProxy } from "./fault-proxy";

async function main(port: number): Promise<void> {
  const proxy = await startFaultProxy({ port });
  const output = { name: "lost", table: tableOf("lost", z.object({ id: z.int() }), { key: ["id"] }) };
  const address = parseAddress(`cassandra://127.0.0.1:${proxy.port}/beamline_test?timeout=1s`);
  const batch = { job: "lost", pipeline: "p", id: "b1", ranges: [], replays: [], plan: "p1", turn: null };
  const target = await sinkOf(address).open(address, [output], batch);
  for (let id = 0; id < 30; id += 1) {
    await target.write("lost", [{ id }]);
    proxy.cut();
    await sleep(100);
  }
  await target.commit();
  await proxy.close();
}

void main(Number(process.argv[2]));
