// Texts that came from outside, made fit for a log, a label or an HTTP answer: no credentials, nothing a terminal would
// obey, no endless length.

/** What is read of a text beyond what is shown, so that a credential cut in two is still seen as one. */
const SEEN_AHEAD = 4_096;
const LONGEST_SENTENCE = 500;

const SECRET_WORD = "passw(?:or)?d|passphrase|pwd|secret|token|credentials?|api[-_]?key|access[-_]?key|private[-_]?key";
const SECRET_NAME = new RegExp(`${SECRET_WORD}|authorization`, "i");

/**
 * No pattern goes far back over a text: a hostile one must not take long. They rather hide too much than too little; a
 * password may hold “/” or “@” when it was not written as a URL wants it.
 */
const CREDENTIALS: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[^-]*(?:-----END [A-Z ]{0,32}PRIVATE KEY-----)?/g, "***"],
  [/(authorization\\*["']?\s{0,3}[=:]\s{0,3})\\*["']?(?:(?:basic|bearer|digest)\s{1,3})?[^\s"',;]{1,4096}/gi, "$1***"],
  [/(\bbearer\s{1,3})[\w.~+/=-]{16,4096}/gi, "$1***"],
  // scheme://user:***@host; what follows the colon may also be a port.
  [/(:\/\/[^\s/?#@:"'<>]{0,256}:)(?!\d{1,5}(?:[/?#,]|$))[^\s"'<>]{0,512}@/g, "$1***@"],
  [
    new RegExp(
      `((?:${SECRET_WORD})[\\w.-]{0,32}\\\\*["']?(?:\\s{0,3}=|:)\\s{0,3})` +
        `(?:"(?:[^"\\\\]|\\\\.)*"?|'(?:[^'\\\\]|\\\\.)*'?|\\\\+"[^"]*"?|[^\\s&;,"']{1,4096})`,
      "gi",
    ),
    "$1***",
  ],
];

/** Whether a field of this name holds what nobody may see. */
export const isSecretName = (name: string): boolean => SECRET_NAME.test(name);

/** The text without passwords, tokens and keys, as far as they can be told from other words. */
export function maskCredentials(text: string): string {
  return CREDENTIALS.reduce((masked, [pattern, instead]) => masked.replace(pattern, instead), text);
}

/** The text, masked and no longer than this. */
export function shortened(text: string, longest: number): string {
  const masked = maskCredentials(text.slice(0, longest + SEEN_AHEAD));
  return masked.length > longest ? `${masked.slice(0, longest)}…` : masked;
}

/** What a terminal might obey, as dots: control, format and broken characters, and line ends. */
export const harmless = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, "·");

/** What went wrong, in one line for people. */
export function sentenceOf(error: unknown): string {
  return harmless(shortened(messages(error, 0), LONGEST_SENTENCE))
    .replace(/·+/g, " ")
    .trim();
}

/** Node says nothing in the message when several addresses of one host failed; the parts say it. */
function messages(error: unknown, depth: number): string {
  try {
    if (!(error instanceof Error))
      return typeof error === "string" ? error : `not an error was thrown: ${typeof error}`;
    const parts = error instanceof AggregateError && depth < 3 ? (error.errors as unknown[]) : [];
    const own = error.message || [...new Set(parts.map((part) => messages(part, depth + 1)))].join("; ") || error.name;
    const cause = error.cause === undefined || depth >= 3 ? "" : messages(error.cause, depth + 1);
    return cause === "" || own.includes(cause) ? own : `${own}: ${cause}`;
  } catch {
    return "an error that cannot be read";
  }
}
