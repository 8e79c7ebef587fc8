// `file:` addresses: files of this machine, read and written.
import { type Connector } from "../connector";
import { fileSink } from "./sink";
import { fileSource } from "./source";

export const file: Connector = { name: "file", source: fileSource, sink: fileSink };
