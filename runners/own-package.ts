// What this package says of itself.
import fs from "node:fs";
import path from "node:path";

/** The text of its package.json, whether it runs from its source or is built. */
export function ownPackageText(): string {
  const file = ["..", "../.."].map((up) => path.join(__dirname, up, "package.json")).find((one) => fs.existsSync(one));
  return fs.readFileSync(file ?? "", "utf8");
}

export const ownVersion = (): string => (JSON.parse(ownPackageText()) as { readonly version: string }).version;
