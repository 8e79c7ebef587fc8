// A stretch of time as a part of a source's name: numbered are only the rows that are chosen, and in another stretch the
// same number is another row's.
import { timeText } from "../schema/time-text";
import { type Stretch } from "./connector";

export const stretchText = ({ since, until }: Stretch): string =>
  (since === null ? "" : ` since ${timeText(since)}`) + (until === null ? "" : ` until ${timeText(until)}`);
