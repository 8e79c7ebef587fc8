// Stands before an emulator of a service that keeps objects, whose buckets have no end: told that there is no room, it
// refuses what is to be kept, in the service's words. All else passes.
import { once } from "node:events";
import http from "node:http";
import { type AddressInfo } from "node:net";

const HOST = "127.0.0.1";

export interface Refusal {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export interface BucketFront {
  readonly port: number;
  hasRoom: boolean;
  close(): Promise<void>;
}

export async function startBucketFront(behind: number, refusal: Refusal): Promise<BucketFront> {
  const agent = new http.Agent({ keepAlive: true });
  const server = http.createServer((request, response) => {
    if (!front.hasRoom && (request.method === "PUT" || request.method === "POST")) {
      request.resume().once("end", () => {
        response.writeHead(refusal.status, { "content-type": refusal.type }).end(refusal.body);
      });
      return;
    }
    const { method, url: path, headers } = request;
    const forwarded = http.request({ host: HOST, port: behind, agent, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.rawHeaders);
      answer.pipe(response);
    });
    // Broken on one side, it breaks on the other.
    forwarded.once("error", () => response.destroy());
    response.once("close", () => forwarded.destroy());
    request.pipe(forwarded);
  });
  server.listen(0, HOST);
  await once(server, "listening");
  const front: BucketFront = {
    port: (server.address() as AddressInfo).port,
    hasRoom: true,
    async close() {
      server.close();
      server.closeAllConnections();
      agent.destroy();
      await once(server, "close");
    },
  };
  return front;
}
