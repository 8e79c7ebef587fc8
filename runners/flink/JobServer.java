// Beam's job server for Flink with two things that it has no options for. A job brings no jars to a cluster that has them,
// where Beam's own sends 150 MB with each. And a topic is read by Flink itself: what this project calls a read of Kafka
// becomes Beam's KafkaIO as an unbounded source, whose records the workers decode, so that no Java worker is needed.
//   -Dbeamline.jars=none: the cluster has all that a job needs
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.beam.model.pipeline.v1.RunnerApi;
import org.apache.beam.runners.flink.FlinkJobInvoker;
import org.apache.beam.runners.flink.FlinkJobServerDriver;
import org.apache.beam.runners.flink.FlinkPipelineOptions;
import org.apache.beam.runners.flink.FlinkPipelineRunner;
import org.apache.beam.runners.jobsubmission.JobInvocation;
import org.apache.beam.runners.jobsubmission.PortablePipelineRunner;
import org.apache.beam.sdk.Pipeline;
import org.apache.beam.sdk.PipelineResult;
import org.apache.beam.sdk.PipelineRunner;
import org.apache.beam.sdk.io.kafka.KafkaIO;
import org.apache.beam.sdk.options.ExperimentalOptions;
import org.apache.beam.sdk.options.PipelineOptions;
import org.apache.beam.sdk.options.PipelineOptionsFactory;
import org.apache.beam.sdk.util.construction.PTransformTranslation;
import org.apache.beam.sdk.util.construction.PipelineTranslation;
import org.apache.beam.sdk.util.construction.SdkComponents;
import org.apache.beam.sdk.util.construction.SplittableParDo;
import org.apache.beam.vendor.guava.v32_1_2_jre.com.google.common.util.concurrent.ListeningExecutorService;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.joda.time.Duration;
import org.joda.time.Instant;

@SuppressWarnings("deprecation")
public final class JobServer extends FlinkJobInvoker {
  private static final String READ_KAFKA = "beamline:read_kafka:v1";
  private static final boolean CLUSTER_HAS_JARS = "none".equals(System.getProperty("beamline.jars"));

  private JobServer(FlinkJobServerDriver.FlinkServerConfiguration settings) {
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
    PortablePipelineRunner runner =
        CLUSTER_HAS_JARS ? new FlinkPipelineRunner(options, null, List.of()) : withAllJars;
    return super.createJobInvocation(id, retrievalToken, executor, withKafka(pipeline), options, runner);
  }

  private static RunnerApi.Pipeline withKafka(RunnerApi.Pipeline pipeline) {
    RunnerApi.Components.Builder components = pipeline.getComponents().toBuilder();
    pipeline.getComponents().getTransformsMap().forEach((id, transform) -> {
      if (!transform.getSpec().getUrn().equals(READ_KAFKA)) return;
      RunnerApi.Components made = made(transform.getSpec().getPayload().toStringUtf8());
      RunnerApi.PTransform read =
          made.getTransformsMap().values().stream()
              .filter(one -> one.getSpec().getUrn().equals(PTransformTranslation.READ_TRANSFORM_URN))
              .findFirst()
              .orElseThrow();
      components.putTransforms(
          id, transform.toBuilder().setSpec(read.getSpec()).clearEnvironmentId().build());
      String output = only(transform.getOutputsMap());
      String coder = made.getPcollectionsOrThrow(only(read.getOutputsMap())).getCoderId();
      String itsCoder = components.getPcollectionsOrThrow(output).getCoderId();
      components.putCoders(itsCoder, made.getCodersOrThrow(coder));
    });
    return pipeline.toBuilder().setComponents(components).build();
  }

  private static String only(Map<String, String> named) {
    return named.values().iterator().next();
  }

  /** A pipeline of Beam's own that does nothing but this read. */
  private static RunnerApi.Components made(String wishes) {
    try {
      JsonNode wanted = new ObjectMapper().readTree(wishes);
      Map<String, Object> consumer = new HashMap<>();
      wanted.get("consumer").fields().forEachRemaining(one -> consumer.put(one.getKey(), one.getValue().asText()));
      KafkaIO.Read<byte[], byte[]> read =
          KafkaIO.<byte[], byte[]>read()
              .withBootstrapServers(wanted.get("brokers").asText())
              .withTopic(wanted.get("topic").asText())
              .withKeyDeserializer(ByteArrayDeserializer.class)
              .withValueDeserializer(ByteArrayDeserializer.class)
              .withConsumerConfigUpdates(consumer)
              .withCreateTime(Duration.millis(wanted.get("delay").asLong()));
      if (wanted.hasNonNull("since")) read = read.withStartReadTime(new Instant(wanted.get("since").asLong()));
      ExperimentalOptions options = PipelineOptionsFactory.create().as(ExperimentalOptions.class);
      options.setExperiments(List.of("use_deprecated_read"));
      options.setRunner(NoRunner.class);
      Pipeline pipeline = Pipeline.create(options);
      pipeline.apply("read", read);
      SplittableParDo.convertReadBasedSplittableDoFnsToPrimitiveReads(pipeline);
      return PipelineTranslation.toProto(pipeline, SdkComponents.create(options)).getComponents();
    } catch (Exception problem) {
      throw new IllegalStateException("The read of Kafka cannot be made: " + problem, problem);
    }
  }

  /** A pipeline must have a runner also where it is only looked at. */
  public static final class NoRunner extends PipelineRunner<PipelineResult> {
    public static NoRunner fromOptions(PipelineOptions options) {
      return new NoRunner();
    }

    @Override
    public PipelineResult run(Pipeline pipeline) {
      throw new UnsupportedOperationException();
    }
  }

  public static void main(String[] args) throws Exception {
    FlinkJobServerDriver.FlinkServerConfiguration settings = FlinkJobServerDriver.parseArgs(args);
    FlinkJobServerDriver.fromConfig(settings, () -> new JobServer(settings)).run();
  }
}
