// What a person is told of a keyspace before anything is written: who answers there, and whether the outputs fit.
import { messageOf } from "../../schema/errors";
import { type Address, type Finding, type Output } from "../connector";
import { settingsOf } from "./options";
import { Session } from "./session";
import { checkOutputs, compareTable, hasKeyspace } from "./shape";

export async function checkKeyspace(address: Address, outputs: readonly Output[]): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  let session: Session | null = null;
  try {
    const settings = settingsOf(address);
    session = await Session.open({ ...settings, giveUp: 1 });
    const [local] = await session.rows("SELECT release_version, data_center FROM system.local");
    const who = settings.user === null ? "without a login" : `as ${settings.user.username}`;
    findings.push({
      state: "fine",
      text: `${settings.shown} is Cassandra ${String(local?.["release_version"])} in the data centre ${String(local?.["data_center"])}, reached ${who}`,
    });
    checkOutputs(settings, outputs);
    if (!(await hasKeyspace(session)))
      return [
        ...findings,
        { state: "missing", text: `The keyspace ${settings.keyspace} is not there; the first run makes it` },
      ];
    for (const output of outputs) findings.push(await findingOf(session, output));
  } catch (error) {
    findings.push({ state: "wrong", text: messageOf(error) });
  } finally {
    session?.release("run");
  }
  return findings;
}

async function findingOf(session: Session, { table }: Output): Promise<Finding> {
  const { isThere, missing } = await compareTable(session, table);
  if (!isThere) return { state: "missing", text: `The table ${table.name} is not there; the first run makes it` };
  if (missing.length === 0) return { state: "fine", text: `The table ${table.name} fits` };
  const names = missing.map(({ name }) => name).join(", ");
  return { state: "missing", text: `The table ${table.name} lacks ${names}; the first run adds that` };
}
