// `https://host/path?for=the-server#every=30s&items=results`: what may stand behind the `#`, and what it means.
import { UsageError } from "../../schema/errors";
import { GivenOptions, type AddressOption } from "../address-options";
import { type Address } from "../connector";
import { pathOf, type JsonPath } from "../json-text";
import { shownUrl, urlOf } from "../web-url";

export const httpOptions = [
  { name: "every", usual: "30s", description: "how long after a request the next one is made, give or take a tenth" },
  {
    name: "for",
    usual: null,
    description: "ends after this time; else a run with an end asks once, and a job goes on",
  },
  { name: "times", usual: null, description: "ends after so many requests (with paging: rounds of requests)" },
  {
    name: "items",
    usual: null,
    description:
      "where in the JSON answer an array lies whose elements are the records: results, data.items, or . for the answer itself; else the answer is one record",
  },
  { name: "pages", usual: "1", description: "follows the answer's next pages, so many at most" },
  {
    name: "page",
    usual: null,
    description:
      "the query parameter that counts pages, until one is empty; else the answer's Link header says the next",
  },
  { name: "timeout", usual: "10s", description: "how long one request may take, to its last byte" },
  { name: "max-bytes", usual: "16777216", description: "a longer answer is a failure" },
  {
    name: "give-up",
    usual: null,
    description:
      "how long a server may fail before the source does: in a job that goes on its --give-up-after, else 30s",
  },
  {
    name: "variable",
    usual: null,
    description: "the environment variable that the address comes from, for messages that ask for another one",
  },
] as const satisfies readonly AddressOption[];

/** A URL that is asked again and again. Times in milliseconds. */
export interface Polled {
  readonly url: URL;
  readonly shown: string;
  readonly every: number;
  readonly for: number | null;
  readonly times: number | null;
  readonly items: JsonPath | null;
  readonly pages: number;
  readonly page: string | null;
  readonly timeout: number;
  readonly maxBytes: number;
  readonly giveUp: number | null;
  readonly variable: string | null;
}

/** The options as they are needed where the address is read, without a look at the address again. */
export function polledOf(address: Address): Polled {
  const url = urlOf(address);
  const shown = shownUrl(url);
  const options = new GivenOptions(shown, address.options, httpOptions);
  const items = options.text("items");
  if (items !== null && items !== "." && items.split(".").includes(""))
    throw options.refused("items", items, "write names with dots between, or a single dot for the whole answer");
  const page = options.text("page");
  if (page !== null && items === null)
    throw new UsageError(`${shown} has the option page=${page}, which needs items=…: the end is a page without any`);
  const pages = options.whole("pages", 1) ?? 1;
  if (page !== null && pages === 1)
    throw new UsageError(`${shown} has the option page=${page}, which needs pages=…: how many pages at most`);
  return {
    url,
    shown,
    every: options.duration("every") ?? 0,
    for: options.duration("for"),
    times: options.whole("times", 1),
    items: items === null ? null : pathOf(items),
    pages,
    page,
    timeout: options.duration("timeout") ?? 0,
    maxBytes: options.whole("max-bytes", 1) ?? 0,
    giveUp: options.duration("give-up"),
    variable: options.text("variable"),
  };
}
