// What goes wrong between us and a web server, as one sentence for a person; and whether the same again may go well.
import { STATUS_CODES } from "node:http";
import { codeOf, messageOf, RunError, UnavailableError, UsageError } from "../schema/errors";
import { shownUrl } from "./web-url";

/** What a person is told to change. */
export interface Named {
  /** The environment variable that the address comes from, when one is known. */
  readonly variable: string | null;
}

/** Of a certificate that nobody trusts, or a server that speaks no TLS: no waiting helps. */
const TLS_CODE = /^(ERR_SSL|ERR_TLS|ERR_OSSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_(VERIFY|GET_ISSUER)|EPROTO)/;

/** A request or connection that was never answered, or not to its end. */
export function explainFailure(error: unknown, url: URL, environment = process.env): Error {
  if (error instanceof UsageError || error instanceof RunError) return error;
  const at = url.host;
  const code = codeOf(error) ?? "";
  if (TLS_CODE.test(code))
    return new UsageError(
      `The TLS connection to ${at} failed (${code}): check the address, and where its certificate is one of your own, NODE_EXTRA_CA_CERTS`,
    );
  if (/^(HPE_|Z_|ERR__ERROR)/.test(code))
    return new UnavailableError(`${at} did not answer as HTTP wants it (${code})`);
  const more = proxyWords(url, environment);
  if (code === "ECONNREFUSED")
    return new UnavailableError(
      `No server answers at ${at} (connection refused): start it, or correct the address${more}`,
    );
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return new UnavailableError(`The host of ${at} is not known here: correct the address, or the name service${more}`);
  if (code === "ECONNRESET" || code === "EPIPE" || code === "ECONNABORTED")
    return new UnavailableError(`${at} broke the connection off${more}`);
  return new UnavailableError(`${at} cannot be reached (${code === "" ? messageOf(error) : code})${more}`);
}

export const silentFor = (url: URL, milliseconds: number, environment = process.env): UnavailableError =>
  new UnavailableError(
    `${url.host} has not answered to the end within ${milliseconds / 1000} s${proxyWords(url, environment)}`,
  );

/** Node does not look at these variables; who sets them must be told, or looks for the mistake elsewhere. */
function proxyWords({ protocol }: URL, environment: Readonly<Record<string, string | undefined>>): string {
  const kind = protocol === "https:" || protocol === "wss:" ? "HTTPS_PROXY" : "HTTP_PROXY";
  const name = [kind, kind.toLowerCase(), "ALL_PROXY", "all_proxy"].find((variable) => environment[variable]);
  return name === undefined ? "" : `; ${name} is set, but no proxy is used: this machine must reach it directly`;
}

/** Whether a status is about now, and not about the request. */
export const mayPass = (status: number): boolean =>
  status === 408 || status === 425 || status === 429 || status === 418 || status >= 500;

/** Where else the data of a host can be had, and how without it. */
const ELSEWHERE: readonly {
  readonly host: RegExp;
  readonly other: (url: URL) => string;
  readonly simulator: string;
}[] = [
  {
    host: /(^|\.)binance\.(com|us|vision)$/,
    other: ({ protocol }) =>
      protocol.startsWith("ws") ? "wss://data-stream.binance.vision" : "https://data-api.binance.vision",
    simulator: "npm run simulate -- binance",
  },
  { host: /(^|\.)randomuser\.me$/, other: () => "", simulator: "npm run simulate -- randomuser" },
];

/** An answer that is a refusal. Asking again would change nothing, unless `mayPass`. */
export function explainStatus(status: number, url: URL, { variable }: Named, location?: string): Error {
  const shown = shownUrl(url);
  const answers = `${shown} answers ${status}${STATUS_CODES[status] === undefined ? "" : ` ${STATUS_CODES[status]}`}`;
  const by = variable ?? "--from";
  if (mayPass(status)) return new UnavailableError(answers);
  if (status === 401 || status === 407)
    return new UsageError(
      `${answers}: it wants to know who asks; set BEAMLINE_HTTP_AUTHORIZATION or BEAMLINE_HTTP_HEADERS, and BEAMLINE_HTTP_HOSTS=${url.hostname}`,
    );
  if (status === 403 || status === 451) {
    const elsewhere = ELSEWHERE.find(({ host }) => host.test(url.hostname));
    const other = elsewhere?.other(url) ?? "";
    const publicData =
      other === "" || url.href.startsWith(other) ? "" : `, such as ${other} for its public market data`;
    const simulator = elsewhere === undefined ? "" : `, or use the simulator: ${elsewhere.simulator}`;
    return new UsageError(
      `${answers}: it does not serve this machine, or not here; choose another address by ${by}${publicData}${simulator}`,
    );
  }
  if (status >= 300 && status < 400) {
    const there =
      location !== undefined && URL.canParse(location, url.href) ? ` to ${shownUrl(new URL(location, url))}` : "";
    return new UsageError(`${answers}${there}, where it is not followed: correct the address by ${by}`);
  }
  return new UsageError(`${answers}: correct the address by ${by}`);
}
