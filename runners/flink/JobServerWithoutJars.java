// Beam's job server for Flink, for a cluster that has all jars already: with Beam's own, each job would bring 150 MB of them.
import java.util.List;
import org.apache.beam.model.pipeline.v1.RunnerApi;
import org.apache.beam.runners.flink.FlinkJobInvoker;
import org.apache.beam.runners.flink.FlinkJobServerDriver;
import org.apache.beam.runners.flink.FlinkPipelineOptions;
import org.apache.beam.runners.flink.FlinkPipelineRunner;
import org.apache.beam.runners.jobsubmission.JobInvocation;
import org.apache.beam.runners.jobsubmission.PortablePipelineRunner;
import org.apache.beam.vendor.guava.v32_1_2_jre.com.google.common.util.concurrent.ListeningExecutorService;

public final class JobServerWithoutJars extends FlinkJobInvoker {
  private JobServerWithoutJars(FlinkJobServerDriver.FlinkServerConfiguration settings) {
    super(settings);
  }

  @Override
  protected JobInvocation createJobInvocation(
      String id,
      String retrievalToken,
      ListeningExecutorService executor,
      RunnerApi.Pipeline pipeline,
      FlinkPipelineOptions options,
      PortablePipelineRunner withAllJars) {
    PortablePipelineRunner runner = new FlinkPipelineRunner(options, null, List.of());
    return super.createJobInvocation(id, retrievalToken, executor, pipeline, options, runner);
  }

  public static void main(String[] args) throws Exception {
    FlinkJobServerDriver.FlinkServerConfiguration settings = FlinkJobServerDriver.parseArgs(args);
    FlinkJobServerDriver.fromConfig(settings, () -> new JobServerWithoutJars(settings)).run();
  }
}
