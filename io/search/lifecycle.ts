// How long the indices of days, months or years are kept: a policy of the server's own index management, which is ILM in
// Elasticsearch and ISM in OpenSearch.
import { isDeepStrictEqual } from "node:util";
import { RunError, UsageError } from "../../schema/errors";
import { type Cluster } from "./cluster";
import { saidIn } from "./failures";
import { prefixOf } from "./index-names";
import { type Period, type SearchSettings } from "./options";

const DAYS: Readonly<Record<Period, number>> = { day: 1, month: 31, year: 366 };

const policyName = (alias: string): string => `beamline-${alias}`;

/** From the beginning of a period on, until its last row is old enough. */
const daysKept = ({ lifecycleDays, rollover }: SearchSettings): number =>
  (lifecycleDays ?? 0) + (rollover === null ? 0 : DAYS[rollover.period]);

/** What an index needs to be under its policy. In OpenSearch the policy itself names its indices. */
export function lifecycleSettings(settings: SearchSettings, alias: string): Readonly<Record<string, unknown>> {
  if (settings.lifecycleDays === null || settings.kind === "opensearch") return {};
  // Its age counts from the day in its name, and not from when it was made.
  return { "index.lifecycle.name": policyName(alias), "index.lifecycle.parse_origination_date": true };
}

/** Makes the policy, or changes it to what is asked for. */
export async function ensureLifecycle(cluster: Cluster, alias: string): Promise<void> {
  const { settings } = cluster;
  if (settings.lifecycleDays === null) return;
  if (settings.kind === "elasticsearch") await ensureIlm(cluster, alias);
  else await ensureIsm(cluster, alias);
}

/** Whether the server has index management at all; a UsageError when it does not. */
export async function checkLifecycle(cluster: Cluster): Promise<void> {
  if (cluster.settings.lifecycleDays === null) return;
  const isElastic = cluster.settings.kind === "elasticsearch";
  const path = isElastic ? "/_ilm/policy" : "/_plugins/_ism/policies";
  const { status, body } = await cluster.look<unknown>({ method: "GET", path, taken: [400, 404, 405] });
  if (status >= 400) throw refusal(cluster, status, body);
}

async function ensureIlm(cluster: Cluster, alias: string): Promise<void> {
  const name = policyName(alias);
  const path = `/_ilm/policy/${encodeURIComponent(name)}`;
  const phases = {
    hot: { min_age: "0ms", actions: {} },
    delete: { min_age: `${daysKept(cluster.settings)}d`, actions: { delete: {} } },
  };
  type Policies = Record<string, { policy?: { phases?: { delete?: { min_age?: string } } } }>;
  const found = await cluster.act<Policies>({ method: "GET", path, taken: [400, 404, 405] });
  if (found.body[name]?.policy?.phases?.delete?.min_age === phases.delete.min_age) return;
  const { status, body } = await cluster.act<unknown>({
    ...{ method: "PUT", path, body: { policy: { phases } } },
    taken: [400, 404, 405],
  });
  if (status >= 400) throw refusal(cluster, status, body);
}

async function ensureIsm(cluster: Cluster, alias: string): Promise<void> {
  const { rollover } = cluster.settings;
  const path = `/_plugins/_ism/policies/${encodeURIComponent(policyName(alias))}`;
  const transitions = [{ state_name: "delete", conditions: { min_index_age: `${daysKept(cluster.settings)}d` } }];
  const policy = {
    description: `Indices of ${alias} are deleted when their last row is old enough`,
    default_state: "kept",
    states: [
      { name: "kept", actions: [], transitions },
      { name: "delete", actions: [{ delete: {} }], transitions: [] },
    ],
    ism_template: [{ index_patterns: [`${prefixOf(alias, rollover?.period ?? "day")}*`], priority: 500 }],
  };
  interface Policy {
    readonly _seq_no?: number;
    readonly _primary_term?: number;
    readonly policy?: { readonly states?: readonly { readonly name: string; readonly transitions: unknown }[] };
  }
  const found = await cluster.act<Policy>({ method: "GET", path, taken: [400, 404, 405] });
  const { _seq_no: number, _primary_term: term } = found.body;
  const kept = found.body.policy?.states?.find(({ name }) => name === "kept");
  if (kept !== undefined && isDeepStrictEqual(kept.transitions, transitions)) return;
  const query =
    found.status === 200 && number !== undefined && term !== undefined
      ? { query: { if_seq_no: String(number), if_primary_term: String(term) } }
      : {};
  const { status, body } = await cluster.act<unknown>({
    ...{ method: "PUT", path, body: { policy }, ...query },
    taken: [400, 404, 405, 409],
  });
  // Another process was first, and asked for the same or says so itself.
  if (status >= 400 && status !== 409) throw refusal(cluster, status, body);
}

/** Without index management, its addresses are taken for names of indices, or are nothing. */
function refusal({ shown, settings }: Cluster, status: number, body: unknown): Error {
  const { type, reason } = saidIn(body);
  if (status === 400 && !/invalid_index_name|no handler|^$/.test(`${type}${reason}`) && type !== "")
    return new RunError(`${shown} refused the policy that lifecycle= asks for: ${reason}`);
  const needed =
    settings.kind === "elasticsearch"
      ? "index lifecycle management (ILM, not in its OSS build)"
      : "the plugin Index Management (ISM)";
  return new UsageError(
    `${shown} has no ${needed.replace(/^the /, "")}, which lifecycle= needs: install it, or leave the option out and delete old indices by other means`,
  );
}
