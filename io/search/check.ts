// What a person is told of a cluster before anything is written: who answers there, and whether the outputs fit.
import { messageOf } from "../../schema/errors";
import { type Address, type Finding, type Output } from "../connector";
import { Cluster } from "./cluster";
import { indicesOf } from "./index-names";
import { checkOutputs, compareIndex } from "./indices";
import { checkLifecycle } from "./lifecycle";
import { settingsOf } from "./options";

interface Info {
  readonly version?: { readonly distribution?: string; readonly number?: string };
}

export async function checkCluster(address: Address, outputs: readonly Output[]): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  try {
    const settings = settingsOf(address);
    const cluster = new Cluster({ ...settings, giveUp: 1 });
    const { body } = await cluster.look<Info>({ method: "GET", path: "/" });
    const { distribution, number } = body.version ?? {};
    const kind = distribution === "opensearch" ? "OpenSearch" : "Elasticsearch";
    const { user, apiKey } = settings.access;
    const who = user === null ? (apiKey === null ? "without a login" : "with an API key") : `as ${user.username}`;
    findings.push({
      state: "fine",
      text: `${settings.shown} is ${kind} ${number ?? "of no known version"}, reached ${who}`,
    });
    checkOutputs(settings, outputs);
    await checkLifecycle(cluster);
    const indices = indicesOf(settings, outputs);
    for (const output of outputs) findings.push(await findingOf(cluster, indices.get(output.name) ?? "", output));
  } catch (error) {
    findings.push({ state: "wrong", text: messageOf(error) });
  }
  return findings;
}

async function findingOf(cluster: Cluster, index: string, output: Output): Promise<Finding> {
  const block = await blockOf(cluster, index);
  if (block !== null)
    return {
      state: "wrong",
      text: `The index ${index} takes no rows: its setting index.blocks.${block} is true; set it to null`,
    };
  const { isThere, missing } = await compareIndex(cluster, index, output);
  if (!isThere) return { state: "missing", text: `The index ${index} is not there; the first run makes it` };
  if (missing.length === 0) return { state: "fine", text: `The index ${index} fits ${output.table.name}` };
  const names = missing.map(({ name }) => name).join(", ");
  return { state: "missing", text: `The index ${index} lacks ${names}; the first run adds that` };
}

type Settings = Readonly<
  Record<string, { readonly settings?: { readonly index?: { readonly blocks?: Record<string, string> } } }>
>;

/** What makes an index, or one of those under the name, read-only. */
async function blockOf(cluster: Cluster, index: string): Promise<string | null> {
  const { status, body } = await cluster.look<Settings>({
    method: "GET",
    path: `/${encodeURIComponent(index)}/_settings`,
    taken: [403, 404],
  });
  // Whoever may not see the settings may write all the same.
  if (status !== 200) return null;
  for (const { settings } of Object.values(body)) {
    const found = Object.entries(settings?.index?.blocks ?? {}).find(([, value]) => value === "true");
    if (found !== undefined) return found[0];
  }
  return null;
}
