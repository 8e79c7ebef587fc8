// `s3://` addresses: files in a bucket of S3, or of a server that speaks as it does.
import { bucketConnector } from "../lake/bucket";
import { S3Store } from "./s3-store";

export const s3 = bucketConnector({
  scheme: "s3",
  about: {
    summary:
      "Files in a bucket of S3: a folder a table, Parquet unless another format is said, and a manifest a batch. The user comes from the environment, a profile or the machine's role, as in Amazon's own tools",
    settings: [
      { name: "AWS_REGION", description: "where the bucket lies", secret: false },
      {
        name: "AWS_ACCESS_KEY_ID",
        description: "who writes, unless a profile or the machine's role says it",
        secret: false,
      },
      { name: "AWS_SECRET_ACCESS_KEY", description: "the secret that goes with it", secret: true },
      { name: "AWS_SESSION_TOKEN", description: "of credentials that last for some hours", secret: true },
      { name: "AWS_PROFILE", description: "a profile of ~/.aws", secret: false },
      {
        name: "AWS_ENDPOINT_URL_S3",
        description: "address of another server that speaks S3; buckets are then a part of its paths",
        secret: false,
      },
    ],
    provenAgainst: "moto; never Amazon S3 itself",
    killTests: ["test/lake-kill.integration.ts"],
  },
  open: (bucket) => S3Store.open(bucket),
});
