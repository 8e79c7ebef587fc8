// Sends documents in bulk, and takes the answer apart: what was taken, what is to be sent again, and what is refused for good.
import { RunError, UnavailableError } from "../../schema/errors";
import { type Rejected } from "../connector";
import { type Cluster } from "./cluster";
import { type Operation } from "./document";
import { blocked, isBlocked, mayPass, reasonOf, type ItemError } from "./failures";

const CONFLICT = 409;

interface BulkAnswer {
  readonly errors: boolean;
  readonly items: readonly Readonly<Record<string, { readonly status: number; readonly error?: ItemError }>>[];
}

/** Of the answer only what is looked at: the rest of it is several times as long. */
const BULK = "/_bulk?filter_path=errors,items.*.status,items.*.error";

/**
 * Sends all, each document at most once among them, one request after the other. Comes back when everything is acknowledged
 * or refused; throws when something could be neither within the time there is. Those that are about a version that is not there
 * any more are put into `outdated`.
 */
export async function sendBulk(
  cluster: Cluster,
  operations: readonly Operation[],
  outdated?: Set<Operation>,
): Promise<readonly Rejected[]> {
  const rejected: Rejected[] = [];
  for (const part of divided(operations, cluster.settings.bulkBytes)) await sendPart(cluster, part, rejected, outdated);
  return rejected;
}

function divided(operations: readonly Operation[], bytes: number): Operation[][] {
  const parts: Operation[][] = [];
  let part: Operation[] = [];
  let size = 0;
  for (const operation of operations) {
    const length = Buffer.byteLength(operation.lines);
    if (part.length > 0 && size + length > bytes) {
      parts.push(part);
      part = [];
      size = 0;
    }
    part.push(operation);
    size += length;
  }
  if (part.length > 0) parts.push(part);
  return parts;
}

async function sendPart(
  cluster: Cluster,
  part: readonly Operation[],
  rejected: Rejected[],
  outdated: Set<Operation> | undefined,
): Promise<void> {
  const patience = cluster.patience();
  let left = part;
  while (left.length > 0) {
    const { status, body } = await cluster.act<BulkAnswer>({
      method: "POST",
      path: BULK,
      lines: left.map(({ lines }) => lines).join(""),
      taken: [413],
    });
    if (status === 413) {
      await sendSmaller(cluster, left, rejected, outdated);
      return;
    }
    const again: Operation[] = [];
    let why = "";
    for (const [at, item] of body.items.entries()) {
      const operation = left[at];
      const [answer] = Object.values(item);
      if (operation === undefined || answer === undefined)
        throw new Error("The answer to a bulk request does not fit it");
      if (answer.status === CONFLICT && outdated !== undefined) {
        outdated.add(operation);
        continue;
      }
      const said = failureOf(cluster, answer, operation);
      if (said === null) continue;
      if (typeof said !== "string") rejected.push(said);
      else {
        why = said;
        again.push(operation);
      }
    }
    left = again;
    if (left.length > 0)
      await patience(new UnavailableError(`${cluster.shown} cannot take ${left.length} rows now (${why}): try again`));
  }
}

/** More than the server takes in one request. */
async function sendSmaller(
  cluster: Cluster,
  part: readonly Operation[],
  rejected: Rejected[],
  outdated: Set<Operation> | undefined,
): Promise<void> {
  const [first, second] = part;
  if (first !== undefined && second === undefined) {
    if (first.row === null) throw new Error("A deletion was too large");
    const megabytes = (Buffer.byteLength(first.lines) / 1e6).toFixed(1);
    rejected.push({ row: first.row, reason: "too-large", error: `the server takes no row of ${megabytes} MB` });
    return;
  }
  const half = Math.ceil(part.length / 2);
  await sendPart(cluster, part.slice(0, half), rejected, outdated);
  await sendPart(cluster, part.slice(half), rejected, outdated);
}

/** Null: it was taken. A text: why it is to be sent again. */
function failureOf(
  { shown }: Cluster,
  { status, error = {} }: { readonly status: number; readonly error?: ItemError },
  { row }: Operation,
): Rejected | string | null {
  if (status < 300 || (status === 404 && row === null)) return null;
  const said = reasonOf(error);
  if (isBlocked(error.type ?? "")) throw blocked(shown, said);
  if (mayPass(status)) return said;
  if (status === 413 && row !== null) return { row, reason: "too-large", error: said };
  if (status !== 400 || row === null || error.type === "strict_dynamic_mapping_exception")
    throw new RunError(`${shown} refused rows: ${said}. Was the index changed meanwhile?`);
  return { row, reason: "unfit-value", error: said };
}
