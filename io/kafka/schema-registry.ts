// A schema registry: its REST calls, and the schemas behind the ids that stand before registered messages.
// Parsing schemas, with what they refer to, is left to @kafkajs/confluent-schema-registry; it has no call for a
// compatibility check and sets the subject's own rules aside, so that registering is done here.
import type * as Library from "@kafkajs/confluent-schema-registry";
import { codeOf, messageOf, RunError, UnavailableError, UsageError } from "../../schema/errors";
import { within } from "./patience";
import { registryAccessOf, type RegistryAccess } from "./settings";

const ANSWER_LIMIT_MS = 10_000;

/** Before a registered message: a zero, then the schema's id in four bytes. */
export const HEAD_BYTES = 5;

export type SchemaKind = "AVRO" | "JSON";

/** A schema as the registry has it; null for kinds that are not read, such as Protobuf. */
export interface RegisteredSchema {
  readonly kind: SchemaKind | null;
  readonly text: string;
}

/** What writes and reads the bytes of an Avro schema. */
export interface AvroType {
  toBuffer(value: object): Buffer;
  fromBuffer(bytes: Buffer): unknown;
}

export function registryUrl(text: string): string {
  if (text.includes("@"))
    throw new UsageError(
      "“?registry=” has an “@” in it, but a user and password never stand in an address: set KAFKA_REGISTRY_USERNAME and KAFKA_REGISTRY_PASSWORD_FILE",
    );
  if (!/^https?:\/\/[^/?#]+(\/[^?#]*)?$/.test(text))
    throw new UsageError(`“?registry=${text}” is not the address of a schema registry: write http://host:port`);
  return text.replace(/\/+$/, "");
}

interface Answer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

export class Registry {
  private readonly access: RegistryAccess | null = registryAccessOf();
  private readonly library: Library.SchemaRegistry;

  constructor(private readonly url: string) {
    // Loaded when it is needed: it brings three schema languages with it.
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- as connectors are loaded
    const { SchemaRegistry } = require("@kafkajs/confluent-schema-registry") as typeof Library;
    this.library = new SchemaRegistry({
      host: url,
      ...(this.access === null ? {} : { auth: { ...this.access } }),
      retry: { retries: 0 },
    });
  }

  /** Null when the registry has no schema of that id. */
  async schema(id: number): Promise<RegisteredSchema | null> {
    const { status, body } = await this.ask("GET", `/schemas/ids/${id}`);
    if (status === 404) return null;
    const kind = body["schemaType"] ?? "AVRO";
    return { kind: kind === "AVRO" || kind === "JSON" ? kind : null, text: String(body["schema"]) };
  }

  /** Null when the schema cannot be understood. */
  async avroType(id: number): Promise<AvroType | null> {
    try {
      const found: unknown = await within(this.library.getSchema(id), ANSWER_LIMIT_MS, this.silence());
      return found as AvroType;
    } catch (error) {
      if (error instanceof UnavailableError) throw error;
      // Only answers of the registry have a status: all else is about the schema.
      if ((error as { status?: unknown }).status !== undefined)
        throw new UnavailableError(`The schema registry at ${this.url} failed: ${messageOf(error)}`);
      return null;
    }
  }

  /** The newest schema of a subject; null when there is none. */
  async latest(subject: string): Promise<RegisteredSchema | null> {
    const { status, body } = await this.ask("GET", `/subjects/${encodeURIComponent(subject)}/versions/latest`);
    if (status === 404) return null;
    const kind = body["schemaType"] ?? "AVRO";
    return { kind: kind === "AVRO" || kind === "JSON" ? kind : null, text: String(body["schema"]) };
  }

  /** Whether a schema may follow the newest one by the rules of the subject. */
  async isCompatible(subject: string, kind: SchemaKind, schema: string): Promise<boolean> {
    const path = `/compatibility/subjects/${encodeURIComponent(subject)}/versions/latest`;
    const { status, body } = await this.ask("POST", path, { schemaType: kind, schema });
    return status === 404 || body["is_compatible"] === true;
  }

  /** The id of the schema, which is in the registry after this. */
  async register(subject: string, kind: SchemaKind, schema: string): Promise<number> {
    const path = `/subjects/${encodeURIComponent(subject)}/versions`;
    const { status, body } = await this.ask("POST", path, { schemaType: kind, schema });
    if (status >= 400)
      throw new RunError(`The schema registry at ${this.url} does not take the schema: ${String(body["message"])}`);
    return Number(body["id"]);
  }

  private async ask(method: string, path: string, content?: object): Promise<Answer> {
    const headers: Record<string, string> = { accept: "application/vnd.schemaregistry.v1+json" };
    if (content !== undefined) headers["content-type"] = "application/vnd.schemaregistry.v1+json";
    if (this.access !== null) {
      const login = `${this.access.username}:${this.access.password}`;
      headers["authorization"] = `Basic ${Buffer.from(login).toString("base64")}`;
    }
    const body = content === undefined ? undefined : JSON.stringify(content);
    let response: Response;
    let text: string;
    try {
      response = await fetch(this.url + path, { method, headers, body, signal: AbortSignal.timeout(ANSWER_LIMIT_MS) });
      text = await response.text();
    } catch (error) {
      const code = codeOf((error as { cause?: unknown }).cause);
      throw new UnavailableError(`${this.silence()} (${code ?? messageOf(error)})`);
    }
    if (response.status === 401 || response.status === 403)
      throw new UsageError(
        `The schema registry at ${this.url} does not take the login: check KAFKA_REGISTRY_USERNAME and KAFKA_REGISTRY_PASSWORD`,
      );
    if (response.status >= 500)
      throw new UnavailableError(`The schema registry at ${this.url} has a failure of its own (${response.status})`);
    try {
      return { status: response.status, body: JSON.parse(text) as Answer["body"] };
    } catch {
      throw new UsageError(`What answers at ${this.url} is no schema registry: correct “?registry=”`);
    }
  }

  private silence(): string {
    return `The schema registry at ${this.url} does not answer: start it, or correct “?registry=”`;
  }
}
