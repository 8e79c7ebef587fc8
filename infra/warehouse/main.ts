// Where the warehouses' command starts as a process of its own.
import { command } from "./command";

void command(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});
