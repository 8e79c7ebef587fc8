// What Flink says when a job cannot go on from a savepoint, for people.
import { UsageError } from "../../schema/errors";

/** Null where Flink's own words will do. */
export function explainSavepoint(said: string): Error | null {
  const [, savepoint = "the savepoint"] = /Failed to rollback to checkpoint\/savepoint ([^\s]*[^\s.])/.exec(said) ?? [];
  if (/Cannot map checkpoint\/savepoint state/.test(said))
    return new UsageError(
      `${savepoint} does not fit this pipeline: what is kept there is of another topic, or of windows, keys, measures or duplicates ` +
        "that were defined otherwise. Run the pipeline that it was made by, or leave --from-savepoint out to begin anew",
    );
  const [, missing] =
    /Cannot find (?:checkpoint or savepoint|meta data) file\/?(?:directory)? '([^']*)'/.exec(said) ?? [];
  if (missing !== undefined)
    return new UsageError(`--from-savepoint: there is no savepoint at ${missing}, as the cluster sees it`);
  return null;
}
