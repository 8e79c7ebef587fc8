// What a portable runner is sent when a job is submitted, without a runner behind it.
import "../../node-compat";
import "apache-beam";
import { type PrepareJobRequest } from "apache-beam/proto/beam_job_api";
import { Struct } from "apache-beam/proto/google/protobuf/struct";
import { PortableRunner } from "apache-beam/runners/portable_runner/runner";

type RunnerOptions = ConstructorParameters<typeof PortableRunner>[0];

/** A runner that takes a job, says nothing about it and keeps what it was. */
export class CapturingRunner extends PortableRunner {
  job: PrepareJobRequest | undefined;

  constructor(options: Exclude<RunnerOptions, string> = { jobEndpoint: "nowhere:0" }) {
    super(options);
    const client = {
      prepare: (job: PrepareJobRequest) => {
        this.job = job;
        return { response: Promise.resolve({ preparationId: "1" }) };
      },
      run: () => ({ response: Promise.resolve({ jobId: "1" }) }),
    };
    this.getClient = async () => client as unknown as Awaited<ReturnType<PortableRunner["getClient"]>>;
  }

  /** The job's options as a runner reads them. */
  get options(): Record<string, unknown> {
    return Struct.toJson(this.job!.pipelineOptions!) as Record<string, unknown>;
  }
}
