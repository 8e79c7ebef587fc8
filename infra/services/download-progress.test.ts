import { downloadProgress } from "./download-progress";

let now: number;
let said: string[];
let take: (text: string) => void;

beforeEach(() => {
  now = 0;
  said = [];
  take = downloadProgress(
    (text) => said.push(text),
    () => now,
  );
});

test("Maven's, once a second, from lines that come in pieces", () => {
  take("[INFO] Downloaded from central: a.jar (6.7 MB at 34 MB/s)\n[INFO] Downlo");
  now = 1500;
  take("aded from central: b.jar (300 kB at 1 MB/s)\n");
  take("Downloaded from central: c.jar (1 B at 1 B/s)\n");
  expect(said).toEqual(["fetched 2 files, 7.0 MB"]);
});

test("pip's", () => {
  now = 1500;
  take(
    "Collecting a==1 (from -r x)\n  Downloading a-1-py3-none-any.whl (9.3 MB)\n  Downloading b.whl.metadata (500 bytes)\n",
  );
  expect(said).toEqual(["fetched 2 files, 9.3 MB"]);
});
