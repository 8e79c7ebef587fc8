// What the reference says of a connector. The options in it are the lists that addresses are checked by.
import { type ColumnType } from "../schema/table";
import { type AddressOption } from "./address-options";

/** What a connector takes from the environment. */
export interface EnvironmentSetting {
  readonly name: string;
  /** What holds where it is not set, as a person would write it. */
  readonly usual?: string;
  readonly description: string;
  /** Its value must never be printed or stored. */
  readonly secret: boolean;
}

export interface About {
  /** What its addresses mean, in one sentence. */
  readonly summary: string;
  /** Addresses as people write them, the simplest first. */
  readonly examples: readonly [string, ...string[]];
  /** The options of an address that is read from. */
  readonly readOptions: readonly AddressOption[];
  /** The options of an address that is written to. */
  readonly writeOptions: readonly AddressOption[];
  readonly settings: readonly EnvironmentSetting[];
  /** What a column of a type is there. Absent where nothing is written. */
  readonly typeOf?: (type: ColumnType) => string;
  /** What test/conformance has written to and read back: the place itself, or what stands for it. */
  readonly provenAgainst?: string;
  /** Tests that kill a job which writes there, and find every record counted once; paths from the package's directory. */
  readonly killTests: readonly string[];
}
