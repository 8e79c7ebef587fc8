import { signedHeaders } from "./probe";

test("a signature as botocore makes it", () => {
  const credentials = {
    AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
    AWS_SECRET_ACCESS_KEY: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
  };
  expect(signedHeaders("127.0.0.1:19000", "us-east-1", credentials, new Date("2026-01-05T10:30:00Z"))).toEqual({
    "x-amz-content-sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "x-amz-date": "20260105T103000Z",
    authorization:
      "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260105/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=3c20862f74a1b5a0e207ba409d8c8cd2d5f87491e721b7285aba370bb8e8338f",
  });
});
