// A TEST DOUBLE of a schema registry's REST interface: no real registry can be had here, so what a real one says about
// compatibility is not proven by tests with it.
import http from "node:http";
import { type AddressInfo } from "node:net";

interface Stored {
  readonly schema: string;
  readonly schemaType?: string;
}

/** Schemas in memory. A field may not change its type, nor be new without a default or an “optional”. */
export class RegistryDouble {
  readonly schemas: Stored[] = [];
  readonly subjects = new Map<string, number[]>();
  requests = 0;
  failing = 0;
  login: string | null = null;
  private readonly server = http.createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += String(chunk)));
    request.on("end", () => {
      const [status, answer] = this.answer(request, body === "" ? null : (JSON.parse(body) as Stored));
      response.writeHead(status, { "content-type": "application/vnd.schemaregistry.v1+json", connection: "close" });
      response.end(JSON.stringify(answer));
    });
  });

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  stop(): Promise<void> {
    return new Promise((resolve) => this.server.close(() => resolve()));
  }

  private answer(request: http.IncomingMessage, body: Stored | null): [number, object] {
    this.requests += 1;
    if (this.failing > 0) {
      this.failing -= 1;
      return [500, {}];
    }
    if (this.login !== null && request.headers.authorization !== this.login) return [401, { error_code: 401 }];
    const parts = decodeURIComponent(request.url ?? "")
      .split("/")
      .slice(1);
    const missing: [number, object] = [404, { error_code: 40401, message: "not found" }];
    if (parts[0] === "schemas") {
      const stored = this.schemas[Number(parts[2]) - 1];
      return stored === undefined ? missing : [200, stored];
    }
    const subject = parts[0] === "compatibility" ? parts[2] : parts[1];
    const ids = this.subjects.get(subject ?? "") ?? [];
    const latest = this.schemas[(ids[ids.length - 1] ?? 0) - 1];
    if (parts[0] === "compatibility")
      return latest === undefined ? missing : [200, { is_compatible: mayFollow(latest.schema, body?.schema ?? "") }];
    if (request.method === "GET") return latest === undefined ? missing : [200, { ...latest, id: ids[ids.length - 1] }];
    const known = this.schemas.findIndex(({ schema }) => schema === body?.schema);
    const { schema = "", schemaType } = body ?? {};
    const id = known >= 0 ? known + 1 : this.schemas.push(schemaType === "AVRO" ? { schema } : { schema, schemaType });
    this.subjects.set(subject ?? "", [...ids, id]);
    return [200, { id }];
  }
}

function mayFollow(before: string, after: string): boolean {
  type Parsed = { fields?: { name: string; type: unknown; default?: unknown }[] };
  const [old, fresh] = [before, after].map((text) => (JSON.parse(text) as Parsed).fields ?? []);
  return (fresh ?? []).every((field) => {
    const same = old?.find(({ name }) => name === field.name);
    if (same === undefined) return field.default !== undefined;
    return JSON.stringify(same.type) === JSON.stringify(field.type);
  });
}
