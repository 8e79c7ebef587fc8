// The page after a page: by the Link header of an answer, or by counting a query parameter up.
import { RunError } from "../../schema/errors";
import { type WebAnswer } from "../web-request";
import { parameterOf, shownUrl, withParameter } from "../web-url";
import { type Polled } from "./options";

/** Null when this was the last one. `found` is how many records were on it; null when nobody knows. */
export function nextPage({ page }: Polled, asked: URL, { headers, url }: WebAnswer, found: number | null): URL | null {
  if (page === null) return linked([headers.link ?? ""].flat().join(), url);
  if (found === 0) return null;
  const now = Number(parameterOf(asked, page) ?? 1);
  if (!Number.isSafeInteger(now))
    throw new RunError(`${shownUrl(asked)} does not say by a whole number which page it is: correct ${page}=`);
  return withParameter(asked, page, now + 1);
}

/** `<https://…?page=2>; rel="next", <…>; rel="last"` */
function linked(header: string, from: URL): URL | null {
  for (const [, target = "", parameters = ""] of header.matchAll(/<([^<>]*)>([^<]*)/g)) {
    const [, quoted, bare] = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))/i.exec(parameters) ?? [];
    if (!(quoted ?? bare ?? "").toLowerCase().split(/\s+/).includes("next")) continue;
    const to = URL.canParse(target, from.href) ? new URL(target, from) : null;
    if (to?.origin !== from.origin || to.username !== "" || to.password !== "")
      throw new RunError(`${shownUrl(from)} says that its next page lies at another server: that is not followed`);
    return to.href === from.href ? null : to;
  }
  return null;
}
