// The command: turns words into a request, gives that to a runner, and prints what comes back.
import { createInterface } from "node:readline/promises";
import { inspect } from "node:util";
import { catalog } from "../pipelines/catalog";
import { type Pipeline } from "../pipelines/definition";
import { quietSdkLogs } from "../beam";
import { nearest } from "../io/address";
import { inputAddresses, outputAddresses } from "../runners/addresses";
import { withPlaces } from "../runners/several-places";
import { examine, type Asked } from "../runners/doctor";
import { jobsIn, jobStatus, troubleOf } from "../runners/direct/job-status";
import { JobObserver } from "../runners/direct/job-observer";
import { deliverWaiting } from "../runners/direct/fallback";
import { hasState } from "../runners/direct/job-state";
import { jobSettings, lookForLetters, replay } from "../runners/direct/replay";
import { runBatch } from "../runners/direct/run-batch";
import { direct, type Engine } from "../runners/engine";
import { readDotEnv } from "../runners/dot-env";
import { detach, letGo, type Detached } from "../runners/flink/detach";
import { flink, type FlinkWishes } from "../runners/flink/flink";
import { viewText } from "../runners/flink/follow";
import { type JobView } from "../runners/flink/job-view";
import { beginStream, stream } from "../runners/flink/stream";
import { ownPipelines } from "../runners/own-pipelines";
import { runContinuous, type JobRequest } from "../runners/direct/run-continuous";
import { Log } from "../runners/observe/log";
import { CancelOptions, ReplayOptions, RunOptions, SavepointOptions, StatusOptions } from "../runners/run-options";
import { messageOf, RunError, UsageError } from "../schema/errors";
import { cancelClusterJob, keepClusterJob, showClusterJobs } from "./cluster-jobs";
import { describe, describeJson } from "./describe";
import { commandName, generalHelp, switchesOf, table, usages, verbHelp, verbs, type Verb } from "./help";
import { init } from "./init";
import { parametersOf, readParameters, type Parameter, type Said } from "./parameters";
import {
  deliveredText,
  examinedText,
  harmless,
  lettersText,
  print,
  printReport,
  Progress,
  replayedText,
  statusText,
  stoppedText,
} from "./screen";
import { namesIn, sortWords, splitWords, type Word } from "./words";

const DONE = 0;
const FAILED = 1;
const WRONG_USAGE = 2;
const INTERRUPTED = 130;

/** What a job has told in its log already, for machines: no other line may be among those. */
const logged = new WeakSet<Error>();

/** Does what the words say, and answers with the exit code. Never throws: what went wrong is printed. */
export async function command(args: readonly string[]): Promise<number> {
  quietSdkLogs();
  try {
    return await obey(args);
  } catch (error) {
    const isTheirs = error instanceof UsageError;
    if (error instanceof Error && logged.has(error)) return isTheirs ? WRONG_USAGE : FAILED;
    print(`${isTheirs ? "" : "Failed: "}${harmless(messageOf(error))}`);
    if (args.includes("--debug"))
      print(
        inspect(error)
          .split("\n")
          .map((line) => harmless(line))
          .join("\n"),
      );
    else if (!isTheirs && !(error instanceof RunError))
      print("Run it again with --debug to see where, and please report it.");
    return isTheirs ? WRONG_USAGE : FAILED;
  }
}

async function obey(args: readonly string[]): Promise<number> {
  const words = splitWords(args);
  const own = ownUnlessInTheWay(words);
  const pipelines = [...own, ...catalog.filter(({ name }) => !own.some((pipeline) => pipeline.name === name))];
  const { verb, pipeline, rest } = choose(words, pipelines, own);
  const parameters = parametersOfVerb(verb, pipeline);
  const { names, said } = sortWords(words, parameters, switchesOf(verb));
  if (said.has("help")) {
    process.stdout.write(`${rest.verb === null ? generalHelp(pipelines) : verbHelp(verb, pipeline)}\n`);
    return DONE;
  }
  const extra = names.slice(rest.used);
  const tooMuch = extra[takesJob(verb) ? 1 : 0];
  if (verb !== "init" && tooMuch !== undefined)
    throw new UsageError(`“${tooMuch}” is too much: ${commandName()} ${usages[verb]}`);
  switch (verb) {
    case "list":
      return list(pipelines, said);
    case "describe":
      return show(pipeline, said);
    case "status":
      return status(extra[0], said);
    case "savepoint":
    case "stop":
      return keep(verb, extra[0], said);
    case "cancel":
      return cancel(extra[0], said);
    case "replay":
      return replayJob(pipeline, said);
    case "doctor":
      return doctor(pipeline, said);
    case "init":
      await init(process.cwd(), extra, !said.has("no-install"));
      return DONE;
    case "run":
      return run(pipeline, said);
  }
}

function parametersOfVerb(verb: Verb, pipeline: Pipeline | null): Parameter[] {
  if (verb === "status") return parametersOf(StatusOptions);
  if (verb === "cancel") return parametersOf(CancelOptions);
  if (verb === "savepoint" || verb === "stop") return parametersOf(SavepointOptions);
  if (pipeline === null) return [];
  if (verb === "run" || verb === "doctor") return withOwn(verb, parametersOf(RunOptions), pipeline);
  return verb === "replay" ? withOwn("replay", parametersOf(ReplayOptions), pipeline) : [];
}

/** The parameters of every run and the pipeline's own, which must not be told apart by chance. */
function withOwn(verb: Verb, everys: readonly Parameter[], pipeline: Pipeline): Parameter[] {
  const flags = new Set([...everys.map(({ flag }) => flag), ...switchesOf(verb)]);
  for (const { flag } of parametersOf(pipeline.params)) {
    if (flags.has(flag))
      throw new UsageError(`${pipeline.name} has a parameter --${flag}, but that is a flag already: rename it`);
    flags.add(flag);
  }
  return [...everys, ...parametersOf(pipeline.params)];
}

/** The user's own pipelines. When they cannot be loaded, help and `init` are what repairs that, and work without them. */
function ownUnlessInTheWay(words: readonly Word[]): Pipeline[] {
  if (words[0]?.kind === "name" && words[0].text === "init") return [];
  try {
    return ownPipelines(process.cwd());
  } catch (error) {
    if (!wantsHelp(words)) throw error;
    print(harmless(messageOf(error)));
    return [];
  }
}

/** The verb and the pipeline that the names say. Both can be left out. */
function choose(words: readonly Word[], pipelines: readonly Pipeline[], own: readonly Pipeline[]) {
  const everyParameter = [RunOptions, ReplayOptions, ...pipelines.map(({ params }) => params)].flatMap(parametersOf);
  const [first, second] = namesIn(words, everyParameter);
  const isVerb = (verbs as readonly string[]).includes(first ?? "");
  const verb = (isVerb ? first : "run") as Verb;
  const name = isVerb ? second : first;
  const used = (isVerb ? 1 : 0) + (name === undefined || verb === "init" || takesJob(verb) ? 0 : 1);
  const rest = { verb: first ?? null, used };
  if (verb === "list" || verb === "init" || takesJob(verb)) return { verb, pipeline: null, rest: { ...rest, used: 1 } };
  if (name === undefined) {
    if (verb === "describe" && !wantsHelp(words))
      throw new UsageError(`describe what? ${commandName()} describe ${pipelines[0]?.name}`);
    return { verb, pipeline: usual(pipelines, own, wantsHelp(words)), rest };
  }
  const pipeline = pipelines.find((known) => known.name === name);
  if (pipeline !== undefined) return { verb, pipeline, rest };
  // Behind a misspelt flag, its value looks like a name: then the flag is what is wrong.
  sortWords(words, everyParameter, verbs.flatMap(switchesOf));
  const known = [...pipelines.map((candidate) => candidate.name), ...(isVerb ? [] : verbs)];
  const near = nearest(name, known);
  const what = isVerb ? "pipeline" : "verb or pipeline";
  throw new UsageError(
    `There is no ${what} “${name}”${near === null ? `; ${commandName()} list shows all` : `: did you mean “${near}”?`}`,
  );
}

/** By its name, where others take a pipeline. */
const takesJob = (verb: Verb): verb is "status" | "savepoint" | "stop" | "cancel" =>
  ["status", "savepoint", "stop", "cancel"].includes(verb);

const wantsHelp = (words: readonly Word[]) => words.some(({ kind, text }) => kind !== "name" && text === "help");

function usual(pipelines: readonly Pipeline[], own: readonly Pipeline[], isExample: boolean): Pipeline {
  if (own.length > 1 && !isExample) throw new UsageError(`Which pipeline? ${own.map(({ name }) => name).join(", ")}`);
  const pipeline = own[0] ?? pipelines[0];
  if (pipeline === undefined) throw new UsageError("There is no pipeline");
  return pipeline;
}

function list(pipelines: readonly Pipeline[], said: Said): number {
  if (said.has("json")) {
    process.stdout.write(`${JSON.stringify(pipelines.map(({ name, summary }) => ({ name, summary })))}\n`);
  } else {
    process.stdout.write(`${table(pipelines.map(({ name, summary }) => [name, summary])).join("\n")}\n`);
  }
  return DONE;
}

function show(pipeline: Pipeline, said: Said): number {
  process.stdout.write(`${said.has("json") ? JSON.stringify(describeJson(pipeline)) : describe(pipeline)}\n`);
  return DONE;
}

async function status(job: string | undefined, said: Said): Promise<number> {
  readDotEnv();
  const { "state-dir": directory, "max-age": maxAge, ...options } = readParameters(StatusOptions, said, process.env);
  // Only by flag: from the environment it is meant for every run.
  if (said.has("flink-master") && options["flink-master"] !== undefined) {
    if (maxAge !== undefined) throw new UsageError("--max-age is about jobs of this machine: leave --flink-master out");
    return (await showClusterJobs(options["flink-master"], job, said.has("json"))) ? DONE : FAILED;
  }
  const statuses = [];
  for (const name of job === undefined ? jobsIn(directory) : [job]) statuses.push(await jobStatus(directory, name));
  if (said.has("json")) process.stdout.write(`${JSON.stringify(statuses)}\n`);
  else if (statuses.length === 0) print(`No job has left a state in ${directory}`);
  else process.stdout.write(`${statuses.map(statusText).join("\n\n")}\n`);
  if (maxAge === undefined) return DONE;
  const troubles = statuses.flatMap((one) => troubleOf(one, maxAge, Date.now()) ?? []);
  for (const trouble of troubles) print(harmless(trouble));
  return statuses.length === 0 || troubles.length > 0 ? FAILED : DONE;
}

async function cancel(job: string | undefined, said: Said): Promise<number> {
  readDotEnv();
  const { "flink-master": master } = readParameters(CancelOptions, said, process.env);
  if (job === undefined) throw new UsageError(`cancel what? ${commandName()} ${usages.cancel}`);
  if (master === undefined) throw new UsageError("cancel ends a job on a cluster: give --flink-master");
  const ended = await cancelClusterJob(master, job);
  if (said.has("json")) process.stdout.write(`${JSON.stringify(ended)}\n`);
  print(harmless(`Ended ${ended.name}, job ${ended.id}: ${ended.state}. What it has written stays`));
  return DONE;
}

/** Keeps where a job on a cluster stands; `stop` ends it with that. */
async function keep(verb: "savepoint" | "stop", job: string | undefined, said: Said): Promise<number> {
  readDotEnv();
  const { "flink-master": master, "savepoint-dir": directory } = readParameters(SavepointOptions, said, process.env);
  if (job === undefined) throw new UsageError(`${verb} what? ${commandName()} ${usages[verb]}`);
  if (master === undefined) throw new UsageError(`${verb} is for a job on a cluster: give --flink-master`);
  const kept = await keepClusterJob(master, job, { ends: verb === "stop", directory });
  if (said.has("json")) process.stdout.write(`${JSON.stringify(kept)}\n`);
  print(
    harmless(
      `${verb === "stop" ? "Ended" : "Kept"} ${kept.name}, job ${kept.id}: run it again with --from-savepoint ${kept.savepoint}`,
    ),
  );
  return DONE;
}

async function run(asked: Pipeline, said: Said): Promise<number> {
  let pipeline = asked;
  const stop = new AbortController();
  const stopListening = stopOnSignals(stop);
  const progress = new Progress();
  let runner: string | null = null;
  let isForMachines = false;
  try {
    readDotEnv();
    const options = readParameters(RunOptions, said, process.env);
    runner = options.runner;
    isForMachines = options.streaming && options.log === "json";
    const params = readParameters(pipeline.params, said, process.env);
    checkTogether(options);
    const outputs = outputAddresses(pipeline, options.to, params);
    pipeline = withPlaces(pipeline, Object.keys(outputs));
    const onProgress = (counters: Readonly<Record<string, number>>) => progress.update(counters);
    const tell = (sentence: string) => {
      progress.clear();
      print(harmless(sentence));
    };
    const request = { pipeline, params, options, outputs, signal: stop.signal, onProgress };
    if (options.detach) {
      const inputs = inputAddresses(pipeline, options.from, params);
      const wishes = wishesOf(pipeline, options, tell);
      const detached = options.streaming
        ? await letGo(pipeline.name, await beginStream({ ...request, inputs }, wishes), stop.signal)
        : await detach({ ...request, inputs }, wishes);
      tell(detachedText(detached));
      if (said.has("json")) process.stdout.write(`${JSON.stringify(detached)}\n`);
      return DONE;
    }
    if (options.streaming && options.runner === "flink") {
      const inputs = inputAddresses(pipeline, options.from, params);
      const onView = (view: JobView) => progress.update(view.counters, viewText(view, Date.now()));
      const stopped = await stream({ ...request, inputs }, wishesOf(pipeline, options, tell), onView);
      progress.clear();
      print(stoppedText(stopped));
      if (said.has("json")) process.stdout.write(`${JSON.stringify(stopped)}\n`);
      return INTERRUPTED;
    }
    const report = options.streaming
      ? await runJob({ ...request, inputs: addressesOf(pipeline, options.from, params) }, progress)
      : await runBatch({
          ...request,
          tell,
          engine: engineOf(pipeline, options, tell),
          inputs: inputAddresses(pipeline, options.from, params),
        });
    progress.clear();
    const places = Object.fromEntries(
      Object.entries(outputs).map(([name, { scheme, path }]) => [name, `${scheme}:${path}`]),
    );
    if (!isForMachines) {
      printReport(report, places);
      printNextSteps(pipeline, places);
    }
    if (said.has("json")) {
      const { sample: _, ...object } = report;
      process.stdout.write(`${JSON.stringify(object)}\n`);
    }
    if (report.state === "interrupted") return INTERRUPTED;
    return report.state === "degraded" && options.strict ? FAILED : DONE;
  } catch (error) {
    progress.clear();
    const state = stop.signal.aborted ? "interrupted" : "failed";
    if (said.has("json")) {
      const object = { pipeline: pipeline.name, runner, state, error: harmless(messageOf(error)) };
      process.stdout.write(`${JSON.stringify(object)}\n`);
    }
    if (!stop.signal.aborted) throw error;
    if (!isForMachines) print(interruptedWords(said));
    return INTERRUPTED;
  } finally {
    stopListening();
  }
}

const detachedText = ({ job, id, on }: Detached): string =>
  `Flink has it: job ${id}, ${job}, on ${on}. It goes on without this process; ` +
  `${commandName()} status ${job} --flink-master ${on} tells how it stands, and cancel ends it`;

const engineOf = (pipeline: Pipeline, options: RunOptions, tell: (sentence: string) => void): Engine =>
  options.runner === "flink" ? flink(wishesOf(pipeline, options, tell)) : direct;

function wishesOf(pipeline: Pipeline, options: RunOptions, tell: (sentence: string) => void): FlinkWishes {
  const { job = pipeline.name, parallelism, "flink-master": master, workers, "worker-host": workerHost } = options;
  return { job, parallelism, master, workers, workerHost, orHere: options["fallback-runner"] === "direct", tell };
}

/** Looks at all that a run with the same words would need, and changes nothing. */
async function doctor(pipeline: Pipeline, said: Said): Promise<number> {
  const asked: Asked = { pipeline, options: null, params: null, inputs: {}, outputs: {} };
  const mistakes: string[] = [];
  const attempt = (read: () => void): void => {
    try {
      read();
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      mistakes.push(messageOf(error));
    }
  };
  attempt(readDotEnv);
  attempt(() => checkTogether((asked.options = readParameters(RunOptions, said, process.env))));
  attempt(() => (asked.params = readParameters(pipeline.params, said, process.env)));
  const { options, params } = asked;
  if (options !== null && params !== null) {
    attempt(() => (asked.inputs = addressesOf(pipeline, options.from, params)));
    attempt(() => (asked.outputs = outputAddresses(pipeline, options.to, params)));
    asked.pipeline = withPlaces(pipeline, Object.keys(asked.outputs));
  }
  const found = await examine(asked, mistakes);
  const state = found.some((one) => one.state === "wrong") ? "wrong" : "fine";
  if (said.has("json"))
    process.stdout.write(`${JSON.stringify({ pipeline: pipeline.name, state, findings: found })}\n`);
  else process.stdout.write(`${examinedText(pipeline.name, found)}\n`);
  return state === "wrong" ? FAILED : DONE;
}

/** Tries dead letters of a job again. What is not said is as the job was last run. */
async function replayJob(asked: Pipeline, said: Said): Promise<number> {
  let pipeline = asked;
  readDotEnv();
  const chosen = readParameters(ReplayOptions, said, process.env);
  // Only by flag: from the environment it is meant for every run.
  if (said.has("fallback") && chosen.fallback !== undefined) return deliver(pipeline, said, chosen, chosen.fallback);
  const { reason: reasons, since, "dry-run": isDry, from, to } = chosen;
  const job = chosen.job ?? pipeline.name;
  const known = jobSettings(chosen["state-dir"], job);
  if (known.pipeline !== pipeline.name)
    throw new UsageError(
      `The job ${job} runs ${known.pipeline}: ${commandName()} replay ${known.pipeline} --job ${job}`,
    );
  const params = readParameters(pipeline.params, said, process.env, known.params);
  const outputs = to.length === 0 ? known.outputs : outputAddresses(pipeline, to, params);
  pipeline = withPlaces(pipeline, Object.keys(outputs));
  const choice = { reasons, since: since === undefined ? null : Date.parse(since) };
  if (isDry) {
    const found = await lookForLetters(chosen["state-dir"], { pipeline, job, outputs }, choice);
    if (said.has("json"))
      process.stdout.write(`${JSON.stringify({ ...found, chosen: Object.fromEntries(found.chosen) })}\n`);
    else print(lettersText(found));
    return DONE;
  }
  const stop = new AbortController();
  const stopListening = stopOnSignals(stop);
  try {
    const { reason: _, "dry-run": __, since: ___, ...taken } = chosen;
    const options = { ...RunOptions.parse({}), ...taken, streaming: true };
    const inputs = from.length === 0 ? known.inputs : addressesOf(pipeline, from, params);
    const request = { pipeline, params, options, inputs, outputs, signal: stop.signal };
    const log = logOf(request, job, () => undefined);
    const observer = new JobObserver(request, job, log);
    const replayed = await replay({ ...request, onEvent: (event) => observer.tell(event) }, choice).finally(() =>
      observer.close(),
    );
    if (said.has("json")) {
      const state = stop.signal.aborted ? "interrupted" : "done";
      process.stdout.write(`${JSON.stringify({ pipeline: pipeline.name, job, state, ...replayed })}\n`);
    }
    print(replayedText(replayed));
    return stop.signal.aborted ? INTERRUPTED : DONE;
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    print(interruptedWords(new Map([["streaming", ["true"]]])));
    return INTERRUPTED;
  } finally {
    stopListening();
  }
}

/** Delivers the rows of a job that wait, to where they were to go or to where --to says, and does nothing else. */
async function deliver(pipeline: Pipeline, said: Said, chosen: ReplayOptions, fallback: string): Promise<number> {
  const job = chosen.job ?? pipeline.name;
  const addresses =
    chosen.to.length === 0
      ? null
      : outputAddresses(pipeline, chosen.to, readParameters(pipeline.params, said, process.env));
  const { delivered, waiting, failures } = await deliverWaiting({ ...chosen, fallback }, job, addresses);
  const state = failures.length === 0 ? "done" : "degraded";
  if (said.has("json"))
    process.stdout.write(`${JSON.stringify({ pipeline: pipeline.name, job, state, delivered, waiting })}\n`);
  print(deliveredText(delivered, waiting));
  for (const failure of failures) print(harmless(messageOf(failure)));
  return failures.length === 0 ? DONE : FAILED;
}

const addressesOf = (pipeline: Pipeline, from: readonly string[], params: unknown) =>
  Object.fromEntries(
    Object.entries(inputAddresses(pipeline, from, params)).map(([name, { address }]) => [name, address]),
  );

const interruptedWords = (said: Said): string =>
  said.has("streaming")
    ? "Interrupted: the batch under way was left, and is run again at the next start"
    : "Interrupted: nothing of this run was kept";

/** Flags that say nothing without --streaming, or that contradict each other. */
function checkTogether(options: RunOptions): void {
  const { streaming, once, flush, reset, migrate, strict, fallback, runner } = options;
  if (strict && fallback === undefined) throw new UsageError("--strict goes with --fallback only");
  const alone = Object.entries({ once, flush, migrate }).find(([, isSaid]) => isSaid)?.[0];
  if (!streaming && alone !== undefined) throw new UsageError(`--${alone} goes with --streaming only`);
  if (migrate && reset) throw new UsageError("--migrate keeps what --reset forgets: say one of the two");
  if (once && flush) throw new UsageError("--once leaves windows open and --flush closes them: say one of the two");
  if (streaming && runner === "flink") checkStream(options);
  else if (options["from-savepoint"] !== undefined && runner === "flink")
    throw new UsageError("--from-savepoint goes with --streaming only: what has an end has no savepoints");
  const flinks = (["flink-master", "worker-host", "parallelism", "fallback-runner", "from-savepoint"] as const).find(
    (name) => options[name] !== undefined,
  );
  if (runner !== "flink" && flinks !== undefined) throw new UsageError(`--${flinks} goes with --runner=flink only`);
  const { detach: isDetached, workers, "fallback-runner": orElse } = options;
  if (isDetached && workers === "here")
    throw new UsageError("--detach goes with --workers=process or host:port: its code cannot run in this process");
  if (isDetached && (fallback !== undefined || orElse !== undefined))
    throw new UsageError(
      `--${fallback === undefined ? "fallback-runner" : "fallback"} needs this process to the end: leave it or --detach out`,
    );
  const ofCluster = { "worker-host": options["worker-host"] !== undefined, workers: workers !== "here" };
  const lonely = Object.entries(ofCluster).find(([, isSaid]) => isSaid)?.[0];
  if (options["flink-master"] === undefined && lonely !== undefined)
    throw new UsageError(`--${lonely} goes with --flink-master only`);
  if (options.until !== undefined && streaming)
    throw new UsageError("--until says where a run ends, but one with --streaming goes on: leave one of the two out");
}

/** What a job that goes on cannot be told when a cluster keeps it. */
function checkStream(options: RunOptions): void {
  const { once, flush, reset, migrate, http, fallback, "fallback-runner": orElse } = options;
  const isSaid = { once, flush, reset, migrate, http, fallback, "fallback-runner": orElse };
  const direct = Object.entries(isSaid).find(([, said]) => said !== undefined && said !== false)?.[0];
  if (direct !== undefined)
    throw new UsageError(`--${direct} is not for a job that goes on on Flink: leave it out, or use --runner=direct`);
  if (options["flink-master"] !== undefined && options.workers === "here")
    throw new UsageError(
      "A job that goes on on a cluster has its code there: give --workers=process, or host:port of a pool",
    );
}

/** A job that goes on: it asks before it forgets, and tells what happens to it. */
async function runJob(request: JobRequest, progress: Progress) {
  const { options, pipeline } = request;
  const job = options.job ?? pipeline.name;
  if (options.reset && !options.yes && hasState(options["state-dir"], job))
    await confirm(`Forget all that job ${job} has read and counted?`);
  const observer = new JobObserver(
    request,
    job,
    logOf(request, job, () => progress.clear()),
  );
  try {
    await observer.listen();
    return await runContinuous({ ...request, onEvent: (event) => observer.tell(event) });
  } catch (error) {
    if (options.log === "json" && error instanceof Error) logged.add(error);
    throw error;
  } finally {
    await observer.close();
  }
}

function logOf({ pipeline, options }: JobRequest, job: string, beforeLine: () => void): Log {
  const write = (line: string): void => {
    beforeLine();
    process.stderr.write(line);
  };
  const out = { write, isTTY: process.stderr.isTTY === true };
  return new Log({ job, pipeline: pipeline.name, form: options.log, out });
}

async function confirm(question: string): Promise<void> {
  if (process.stdin.isTTY !== true) throw new UsageError(`${question} Say so with --yes`);
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await asking.question(`${question} [y/N] `);
  asking.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new UsageError("Nothing was forgotten");
}

function printNextSteps(pipeline: Pipeline, places: Readonly<Record<string, string>>): void {
  const [output, place] = Object.entries(places)[0] ?? [];
  if (place?.startsWith("sqlite:")) {
    const name = pipeline.outputs[output ?? ""]?.table.name;
    print("");
    // Quoted so that every shell takes it: paths with spaces, and patterns that the shell itself would look for.
    print(`  Look around:    sqlite3 "${harmless(place.slice("sqlite:".length))}" "select * from ${name} limit 10"`);
    print(`  Your own data:  ${commandName()} run ${pipeline.name} --from "file:path/to/*.ndjson"`);
    print(`  What it does:   ${commandName()} describe ${pipeline.name}`);
  }
}

/** A first signal ends the run cleanly, a second one at once. */
function stopOnSignals(stop: AbortController): () => void {
  const listeners = (["SIGINT", "SIGTERM"] as const).map((signal) => {
    const listener = () => stop.abort(new RunError(`Interrupted by ${signal}`));
    process.once(signal, listener);
    return () => process.off(signal, listener);
  });
  return () => listeners.forEach((stopListening) => stopListening());
}
