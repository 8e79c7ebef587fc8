// How far a download is, read from what the program that does it prints.
const sizes: Readonly<Record<string, number>> = { B: 1, bytes: 1, kB: 1e3, MB: 1e6, GB: 1e9 };

/** Maven's lines say `Downloaded from central: a.jar (6.7 MB at 34 MB/s)`, pip's `Downloading a.whl (6.7 MB)`. */
const FILE = /Download(?:ed from|ing) .*\((\d+(?:\.\d+)?) (B|bytes|kB|MB|GB)\b/;

/** Takes the output as it comes, and says at most once a second how much was downloaded. */
export function downloadProgress(say: (text: string) => void, now: () => number = Date.now): (text: string) => void {
  let rest = "";
  let files = 0;
  let bytes = 0;
  let last = now();
  return (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const [, amount, unit = ""] = FILE.exec(line) ?? [];
      if (amount === undefined) continue;
      files += 1;
      bytes += Number(amount) * (sizes[unit] ?? 0);
    }
    if (files === 0 || now() - last < 1000) return;
    last = now();
    say(`fetched ${files} files, ${megabytes(bytes)}`);
  };
}

export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
