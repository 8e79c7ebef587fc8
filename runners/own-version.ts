// Which beamline this is.
import fs from "node:fs";
import path from "node:path";

/** Of this package, whether it runs from its source or is built. */
export function ownVersion(): string {
  const file = ["..", "../.."].map((up) => path.join(__dirname, up, "package.json")).find((one) => fs.existsSync(one));
  const { version } = JSON.parse(fs.readFileSync(file as string, "utf8")) as { readonly version: string };
  return version;
}
