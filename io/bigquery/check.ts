// What doctor says of a dataset that is to be written: whether it answers, whether its tables fit. Changes nothing.
import { messageOf } from "../../schema/errors";
import { type Address, type Finding, type Output } from "../connector";
import { batchesTable } from "./batches";
import { explain } from "./failures";
import { querying } from "./jobs";
import { Rest } from "./rest";
import { shownPlace, sinkSettingsOf } from "./settings";
import { compareTable, findLocation, noDataset } from "./shape";
import { checkOutputs } from "./target";

export async function checkSink(address: Address, outputs: readonly Output[]): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  const wrong = (error: unknown) => findings.push({ state: "wrong", text: messageOf(error) });
  try {
    const settings = sinkSettingsOf(address);
    const rest = new Rest(settings);
    const shown = shownPlace(settings);
    try {
      checkOutputs(outputs, settings);
      const location = await findLocation(rest, settings);
      // Costs nothing, and needs the permission to run jobs, without which nothing is written.
      await rest.ask({
        method: "POST",
        path: "/jobs",
        body: {
          jobReference: { projectId: settings.project, ...(location === null ? {} : { location }) },
          configuration: { dryRun: true, query: querying("SELECT 1") },
        },
      });
      if (location === null) {
        if (!settings.create) throw noDataset(settings);
        return [{ state: "missing", text: `${shown} is not there, and is made by the first run` }];
      }
      findings.push({ state: "fine", text: `${shown} answers; the dataset lies in ${location}` });
    } catch (error) {
      wrong(explain(error, settings));
      return findings;
    }
    for (const table of [...outputs.map((output) => output.table), batchesTable]) {
      try {
        const { found, added } = await compareTable(rest, settings, table);
        const names = added.map(({ column }) => column.name).join(", ");
        if (found === null)
          findings.push({ state: "missing", text: `${shown} has no table ${table.name}, which the first run makes` });
        else if (added.length > 0)
          findings.push({
            state: "missing",
            text: `${table.name} in ${shown} lacks ${names}, which the first run adds`,
          });
        else findings.push({ state: "fine", text: `${table.name} in ${shown} fits` });
      } catch (error) {
        wrong(explain(error, settings));
      }
    }
  } catch (error) {
    wrong(error);
  }
  return findings;
}
