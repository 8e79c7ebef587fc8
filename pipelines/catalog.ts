// Every pipeline that comes with beamline. A user's own are found by the command; see runners/own-pipelines.ts.
import { type Pipeline } from "./definition";
import { tickerClean } from "./ticker/ticker-clean";
import { tickerDaily } from "./ticker/ticker-daily";
import { tickerIngest } from "./ticker/ticker-ingest";
import { tradesAggregate } from "./trades/trades-aggregate";
import { tradesIngest } from "./trades/trades-ingest";

export const catalog: readonly Pipeline[] = [tradesAggregate, tradesIngest, tickerIngest, tickerClean, tickerDaily];
