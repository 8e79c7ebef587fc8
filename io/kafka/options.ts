// What may stand behind the question mark of a kafka: address.
import { type AddressOption } from "../address-options";
import { FORMATS } from "./message-format";

export const readOptions: readonly AddressOption[] = [
  {
    name: "registry",
    usual: null,
    description: "the schema registry by which messages with a schema are understood, such as http://host:8081",
  },
];

export const writeOptions: readonly AddressOption[] = [
  { name: "create", usual: "false", description: "true makes the topic when it is missing" },
  {
    name: "partitions",
    usual: null,
    description: "how many partitions a topic that is made gets; else as many as the broker gives it",
  },
  { name: "replication", usual: null, description: "how many copies of each; else as many as the broker makes" },
  {
    name: "format",
    usual: "json",
    description: `the form of messages: ${FORMATS.join(", ")}; those with a schema need the registry`,
  },
  { name: "registry", usual: null, description: "the schema registry that the table's schema is put into" },
  {
    name: "time",
    usual: null,
    description:
      "the column with the time that messages get; else the one that the table says, else that of the writing",
  },
];
