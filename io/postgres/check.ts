// What `doctor` finds out of a database: who we are there, which tables there are and of which shape, and what we may do.
import { EVERYTHING, type Address, type Finding, type Output } from "../connector";
import { fine, findingsOf, missingTables, wrong } from "../findings";
import { batchesTable } from "./batches";
import { quoteTable } from "./names";
import { Session } from "./session";
import { settingsOf, shownServer } from "./settings";
import { compareTables } from "./shape";
import { planTable } from "./source";
import { checkOutputs } from "./target";

export const checkSource = (address: Address): Promise<readonly Finding[]> =>
  findingsOf(async () => {
    const [range] = await planTable(address, EVERYTHING);
    const shown = shownServer(settingsOf(address, "source"));
    return [fine(`${range?.source ?? address.options["table"]} in ${shown} can be read`)];
  });

export const checkSink = (address: Address, outputs: readonly Output[]): Promise<readonly Finding[]> =>
  findingsOf(async () => {
    checkOutputs(outputs);
    const settings = settingsOf(address, "sink");
    const shown = shownServer(settings);
    const { schema } = settings;
    const tables = [...outputs.map(({ table }) => table), batchesTable];
    const session = await Session.begin(settings, "READ ONLY");
    try {
      const there = await compareTables(session, schema, tables, shown);
      const missing = tables.map(({ name }) => name).filter((name) => !there.has(name));
      const [who] = await session.query(
        "SELECT current_user AS name, has_schema_privilege($1, 'CREATE')::text AS makes, current_setting('server_version') AS version",
        [schema],
      );
      const refused: string[] = [];
      for (const name of there) {
        const [row] = await session.query(
          "SELECT (has_table_privilege($1, 'SELECT') AND has_table_privilege($1, 'INSERT') AND has_table_privilege($1, 'UPDATE'))::text AS writes",
          [quoteTable(schema, name)],
        );
        if (row?.["writes"] !== "true") refused.push(name);
      }
      await session.commit();
      return [
        fine(`${shown} answers: PostgreSQL ${who?.["version"]}, as ${who?.["name"]}`),
        ...(refused.length === 0
          ? []
          : [
              wrong(
                `${who?.["name"]} may not write ${refused.join(", ")} in ${shown}: GRANT SELECT, INSERT, UPDATE, DELETE on it`,
              ),
            ]),
        ...(missing.length > 0 && who?.["makes"] !== "true"
          ? [
              wrong(
                `${who?.["name"]} may not make ${missing.join(", ")} in the schema ${schema} of ${shown}: GRANT CREATE on it, or make them by hand`,
              ),
            ]
          : missingTables(missing, shown)),
      ];
    } catch (error) {
      await session.rollback();
      throw error;
    }
  });
