// The sinks that take part, the server each needs, and its addresses.
import { type ServiceName } from "../../infra/services/server-kind";
import { type RunningService } from "../../infra/services/services";

export const sinkNames = ["sqlite", "postgres", "kafka", "file"] as const;
export type SinkName = (typeof sinkNames)[number];

export interface BenchedSink {
  readonly services: readonly ServiceName[];
  /** A write costs too much for the usual number of rows. */
  readonly rows?: number;
  /** What each of the two writes to; `name` is new for each run, and so is the directory. */
  readonly addresses: (place: PlaceOfRun) => Promise<{ readonly beamline: string; readonly plain: string }>;
}

export interface PlaceOfRun {
  readonly name: string;
  readonly directory: string;
  readonly services: Partial<Record<ServiceName, RunningService>>;
}

export const sinks: Record<SinkName, BenchedSink> = {
  sqlite: {
    services: [],
    addresses: async ({ directory }) => ({ beamline: `sqlite:${directory}/out.db`, plain: `${directory}/out.db` }),
  },
  postgres: {
    services: ["postgres"],
    async addresses({ name, services }) {
      const url = services.postgres?.url ?? "";
      const { Client } = await import("pg");
      const client = new Client({ connectionString: url });
      await client.connect();
      await client.query(`CREATE DATABASE ${name}`);
      await client.end();
      const made = new URL(url);
      made.pathname = `/${name}`;
      return { beamline: made.toString(), plain: made.toString() };
    },
  },
  kafka: {
    services: ["kafka"],
    addresses: async ({ name, services }) => ({
      beamline: `${services.kafka?.url}/${name}?create=true&partitions=4`,
      plain: `${services.kafka?.url}/${name}`,
    }),
  },
  file: {
    services: [],
    addresses: async ({ directory }) => ({ beamline: `file:${directory}/out/`, plain: `${directory}/out` }),
  },
};
