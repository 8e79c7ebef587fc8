// Whether S3 does what clients need: a list of buckets, asked for with credentials. Signed here and not by the client's
// package, whose warning about this Node would stand between the lines of the command.
import { createHash, createHmac } from "node:crypto";

export interface S3Credentials {
  readonly AWS_ACCESS_KEY_ID: string;
  readonly AWS_SECRET_ACCESS_KEY: string;
}

/** Throws when it does not answer with a list. */
export async function probeS3(url: string, region: string, credentials: S3Credentials): Promise<void> {
  const response = await fetch(url, { headers: signedHeaders(new URL(url).host, region, credentials, new Date()) });
  const text = await response.text();
  if (!text.includes("<ListAllMyBucketsResult")) throw new Error(`it answered ${response.status} to a list of buckets`);
}

/** The headers of a GET of `/`, signed by AWS Signature Version 4. */
export function signedHeaders(
  host: string,
  region: string,
  { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY }: S3Credentials,
  now: Date,
): Record<string, string> {
  const time = now.toISOString().replace(/[:-]|\.\d+/g, "");
  const scope = `${time.slice(0, 8)}/${region}/s3/aws4_request`;
  const headers = { "x-amz-content-sha256": sha256(""), "x-amz-date": time };
  const names = ["host", ...Object.keys(headers)].join(";");
  const lines = Object.entries({ host, ...headers }).map(([name, value]) => `${name}:${value}\n`);
  const request = ["GET", "/", "", lines.join(""), names, sha256("")].join("\n");
  const text = ["AWS4-HMAC-SHA256", time, scope, sha256(request)].join("\n");
  const key = scope.split("/").reduce<string | Buffer>((key, part) => hmac(key, part), `AWS4${AWS_SECRET_ACCESS_KEY}`);
  const signature = hmac(key, text).toString("hex");
  const authorization = `AWS4-HMAC-SHA256 Credential=${AWS_ACCESS_KEY_ID}/${scope}, SignedHeaders=${names}, Signature=${signature}`;
  return { ...headers, authorization };
}

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const hmac = (key: string | Buffer, text: string): Buffer => createHmac("sha256", key).update(text).digest();
