// `gs://` addresses: files in a bucket of Google Cloud Storage.
import { bucketConnector } from "../lake/bucket";
import { GcsStore } from "./gcs-store";

export const gs = bucketConnector({
  scheme: "gs",
  about: {
    summary:
      "Files in a bucket of Google Cloud Storage: a folder a table, Parquet unless another format is said, and a manifest a batch",
    settings: [
      {
        name: "GOOGLE_APPLICATION_CREDENTIALS",
        description: "file with a service account's key; else what gcloud or the machine's own account gives",
        secret: false,
      },
      {
        name: "STORAGE_EMULATOR_HOST",
        description: "address of an emulator that is used in its place, without credentials",
        secret: false,
      },
    ],
    provenAgainst: "fake-gcs-server; never Google Cloud Storage itself",
    killTests: ["test/lake-kill.integration.ts"],
  },
  open: (bucket) => GcsStore.open(bucket),
});
