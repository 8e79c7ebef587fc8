// What BigQuery's Storage Write API answers, of which the emulator never does some: it refuses single rows of an append and
// then takes none of it, and loses answers. It runs no SQL and keeps nothing but the rows of each stream.
import { Server, ServerCredentials, type ServerDuplexStream, type ServerUnaryCall } from "@grpc/grpc-js";
import { Root, type INamespace, type Type } from "protobufjs";
import protos from "@google-cloud/bigquery-storage/build/protos/protos.json";

const PACKAGE = "google.cloud.bigquery.storage.v1";
const ALREADY_EXISTS = 6;
const INVALID_ARGUMENT = 3;
const UNAVAILABLE = 14;

interface Append {
  readonly offset?: { readonly value?: unknown } | null;
  readonly protoRows?: { readonly rows?: { readonly serializedRows?: readonly Uint8Array[] } };
}

type Answer = (error: Error | null, answer?: object) => void;

export class WriteApiDouble {
  /** The rows that were taken, in order. */
  readonly rows: Uint8Array[] = [];
  /** How many rows each append had that came. */
  readonly appends: number[] = [];
  /** Told of the table whose rows are to be seen from now on. */
  onCommit: (table: string) => void = () => undefined;
  /** Why it refuses a row, by its bytes; undefined: it takes it. */
  refuses: (row: Uint8Array) => string | undefined = () => undefined;
  /** How many of the next appends it takes without an answer. */
  loses = 0;
  port = 0;
  private readonly server = new Server();

  static async start(): Promise<WriteApiDouble> {
    const double = new WriteApiDouble();
    double.server.addService(definition(), {
      CreateWriteStream: (_: ServerUnaryCall<object, object>, answer: Answer) =>
        answer(null, { name: "projects/p/datasets/d/tables/t/streams/s", type: 2 }),
      AppendRows: (stream: ServerDuplexStream<Append, object>) => {
        stream.on("data", (append: Append) => double.take(append, stream));
        stream.on("end", () => stream.end());
      },
      FinalizeWriteStream: (_: ServerUnaryCall<object, object>, answer: Answer) =>
        answer(null, { rowCount: double.rows.length }),
      BatchCommitWriteStreams: ({ request }: ServerUnaryCall<{ parent: string }, object>, answer: Answer) => {
        double.onCommit(request.parent.slice(request.parent.lastIndexOf("/") + 1));
        answer(null, { commitTime: { seconds: 1 } });
      },
    });
    double.port = await new Promise((resolve, reject) =>
      double.server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      ),
    );
    return double;
  }

  close(): void {
    this.server.forceShutdown();
  }

  private take({ offset, protoRows }: Append, stream: ServerDuplexStream<Append, object>): void {
    const given = protoRows?.rows?.serializedRows ?? [];
    const at = Number(offset?.value ?? this.rows.length);
    this.appends.push(given.length);
    if (at < this.rows.length) {
      stream.write({ error: { code: ALREADY_EXISTS, message: "The offset is within stream" } });
      return;
    }
    const rowErrors = given.flatMap((row, index) => {
      const message = this.refuses(row);
      return message === undefined ? [] : [{ index, code: 1, message }];
    });
    if (rowErrors.length > 0) {
      stream.write({ error: { code: INVALID_ARGUMENT, message: "Errors found while processing rows" }, rowErrors });
      return;
    }
    this.rows.push(...given);
    if (this.loses > 0) {
      this.loses -= 1;
      stream.emit("error", Object.assign(new Error("The connection broke"), { code: UNAVAILABLE }));
      return;
    }
    stream.write({ appendResult: { offset: { value: at } } });
  }
}

/** The service as gRPC takes it, out of the description that Google's client brings. */
function definition() {
  const root = Root.fromJSON(protos as unknown as INamespace);
  const coded = (name: string) => {
    const type: Type = root.lookupType(name);
    return {
      serialize: (value: object) => Buffer.from(type.encode(type.fromObject(value)).finish()),
      deserialize: (bytes: Buffer) => type.decode(bytes),
    };
  };
  const { methods } = root.lookupService(`${PACKAGE}.BigQueryWrite`);
  return Object.fromEntries(
    Object.entries(methods).map(([name, { requestType, responseType, requestStream, responseStream }]) => {
      const of = (type: string) => coded(type.startsWith("google.") ? type : `${PACKAGE}.${type}`);
      const [request, response] = [of(requestType), of(responseType)];
      return [
        name,
        {
          path: `/${PACKAGE}.BigQueryWrite/${name}`,
          requestStream: requestStream ?? false,
          responseStream: responseStream ?? false,
          requestSerialize: request.serialize,
          requestDeserialize: request.deserialize,
          responseSerialize: response.serialize,
          responseDeserialize: response.deserialize,
        },
      ];
    }),
  );
}
