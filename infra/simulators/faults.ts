// What goes wrong on demand: said by flags at the start, changed while it runs. One model is behind the flags, their help
// and the control endpoint.
import { z } from "zod";
import { parametersOf, readParameters } from "../../cli/parameters";
import { suggestion } from "../../io/address";
import { duration, positiveDuration } from "../../schema/duration";
import { UsageError } from "../../schema/errors";

const share = (description: string) =>
  z.number().min(0).max(1).default(0).describe(`share of ${description}`).meta({ value: "share" });

/** Of everything that comes over HTTP. */
export const HttpFaults = z.object({
  refuse: z.boolean().default(false).describe("every connection is reset, those of the control endpoint aside"),
  answer451: z
    .boolean()
    .default(false)
    .describe("everybody is answered 451, as in countries the exchange does not serve"),
  answer403: z.boolean().default(false).describe("everybody is answered 403"),
  answer429: share("requests that are answered 429; so are all until Retry-After has passed"),
  answer418: share("requests that are answered 418, in the same way"),
  retryAfter: positiveDuration().default(1000).describe("what Retry-After says, in whole seconds"),
  answer5xx: share("requests that are answered 500, 502, 503 or 504"),
  slow: duration().default(0).describe("how long every answer takes"),
  hanging: share("requests that are never answered"),
  cut: share("answers that break off in the middle"),
  garbageAnswers: share("answers with status 200 that are not JSON, truncated, empty or of another shape"),
});
export type HttpFaults = z.infer<typeof HttpFaults>;

/** Of what comes over a WebSocket. */
const FeedFaults = z.object({
  disconnectEvery: z.int().nonnegative().default(0).describe("a connection breaks after so many frames; 0 is never"),
  disconnects: share("frames after which their connection breaks"),
  garbage: share("trades before which a frame comes that is not JSON, of wrong types, binary or truncated"),
  duplicates: share("trades that are sent twice"),
  disorder: duration()
    .default(0)
    .describe("how much later than its turn a trade is sent at most, in the market's time"),
  gaps: share("trades that are made, but never sent: only the history has them"),
  gapLength: z.int().positive().default(5).describe("how many trades of a symbol are left out in a row"),
});

export const BinanceFaults = z.object({ ...FeedFaults.shape, ...HttpFaults.shape });
export type BinanceFaults = z.infer<typeof BinanceFaults>;

/** The faults of a simulator as they are now. */
export class Faults<Model extends z.ZodObject> {
  readonly #model: Model;
  #now: z.infer<Model>;

  constructor(model: Model, first: Partial<z.input<Model>> = {}) {
    this.#model = model;
    this.#now = model.parse({});
    this.change(first);
  }

  get now(): z.infer<Model> {
    return this.#now;
  }

  /** Sets those that are named; the others stay. A wrong name or value changes nothing. */
  change(changes: Partial<z.input<Model>>): z.infer<Model> {
    const parameters = parametersOf(this.#model);
    const said = new Map<string, string[]>();
    for (const [name, value] of Object.entries(changes)) {
      const parameter = parameters.find(({ key }) => key === name);
      if (parameter === undefined) {
        const known = parameters.map(({ key }) => key);
        throw new UsageError(`There is no fault “${name}”: ${suggestion(name, known)}`);
      }
      // Milliseconds are a number only where a program says them.
      const text = parameter.kind === "duration" && typeof value === "number" ? `${value}ms` : String(value);
      said.set(parameter.flag, [text]);
    }
    this.#now = readParameters(this.#model, said, {}, this.#now);
    return this.#now;
  }
}
