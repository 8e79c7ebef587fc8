import java.io.Closeable;
import java.util.Arrays;

/**
 * Starts codelibs' runner of OpenSearch or Elasticsearch and keeps it until the process is asked to end. The runner has a main
 * of its own, which knows no port above 9299 and keeps silent about what went wrong.
 */
public final class SearchServer {
    /** The runner's class, then its own words. */
    public static void main(String[] args) throws Exception {
        Class<?> type = Class.forName(args[0]);
        Closeable runner = (Closeable) type.getConstructor().newInstance();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                runner.close();
            } catch (Exception error) {
                error.printStackTrace();
            }
        }));
        // Without a highest port it takes the one that follows its base port, and looks for no other.
        type.getMethod("setMaxHttpPort", int.class).invoke(runner, -1);
        try {
            type.getMethod("build", String[].class).invoke(runner, (Object) Arrays.copyOfRange(args, 1, args.length));
        } catch (Exception error) {
            error.printStackTrace();
            System.exit(1);
        }
        Thread.sleep(Long.MAX_VALUE);
    }
}
