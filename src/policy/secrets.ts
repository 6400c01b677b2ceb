/**
 * Credentials, by the shapes that their makers document. Shapes that anything could have (forty hex digits) are not looked
 * for: what cries wolf is switched off. Every pattern is linear: one quantifier over one class at a time, bounded.
 */
import type { Spot } from "./invisible.ts";
import type { PolicyRule } from "./types.ts";

interface Shape {
  readonly rule: PolicyRule;
  /** As the finding calls it. */
  readonly what: string;
  /** What stands in every match, in lower case: a text without it need not be searched. */
  readonly hint: string;
  /** The first group, where there is one, is the secret; else the whole match. */
  readonly pattern: RegExp;
  /** Whether what was matched is one after all. */
  readonly holds?: (secret: string, text: string, end: number) => boolean;
}

// Not in the middle of a longer word.
const S = "(?<![A-Za-z0-9_-])";
const E = "(?![A-Za-z0-9_-])";
const shape = (source: string, flags = "g") => new RegExp(source, flags);

const SHAPES: readonly Shape[] = [
  // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-unique-ids
  {
    rule: "secret/aws",
    what: "an AWS access key id",
    hint: "a",
    pattern: shape("(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Za-z0-9])"),
  },
  {
    rule: "secret/aws",
    what: "an AWS secret access key",
    hint: "secret",
    pattern: shape(
      `(?:aws|amazon)?[_ -]?secret[_ -]?(?:access[_ -]?)?key["'\`]?[ \\t]{0,8}(?:=|:|=>)[ \\t]{0,8}["'\`]?([A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])`,
      "gi",
    ),
    holds: (secret) => /[A-Z]/.test(secret) && /[a-z]/.test(secret) && /\d/.test(secret),
  },
  // https://github.blog/engineering/platform-security/behind-githubs-new-authentication-token-formats/
  {
    rule: "secret/github",
    what: "a GitHub token",
    hint: "gh",
    pattern: shape(`${S}gh[pousr]_[A-Za-z0-9_]{36,255}${E}`),
  },
  {
    rule: "secret/github",
    what: "a GitHub token",
    hint: "github_pat_",
    pattern: shape(`${S}github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}${E}`),
  },
  {
    rule: "secret/anthropic",
    what: "an Anthropic key",
    hint: "sk-ant-",
    pattern: shape(`${S}sk-ant-[a-z0-9]{2,12}-[A-Za-z0-9_-]{32,200}${E}`),
  },
  {
    rule: "secret/openai",
    what: "an OpenAI key",
    hint: "sk-",
    pattern: shape(`${S}sk-(?:proj|svcacct|admin|None)-[A-Za-z0-9_-]{20,250}${E}`),
    holds: isMixed,
  },
  // Also what others who speak OpenAI's protocol give out (DeepSeek, Moonshot, OpenRouter).
  {
    rule: "secret/openai",
    what: "an OpenAI key, or one of its kind",
    hint: "sk-",
    pattern: shape(`${S}sk-(?:or-v1-)?[A-Za-z0-9]{32,64}${E}`),
    holds: isMixed,
  },
  {
    rule: "secret/google",
    what: "a Google API key",
    hint: "aiza",
    pattern: shape(`${S}AIza[A-Za-z0-9_-]{35}${E}`),
  },
  {
    rule: "secret/google",
    what: "a Google OAuth client secret",
    hint: "gocspx-",
    pattern: shape(`${S}GOCSPX-[A-Za-z0-9_-]{28}${E}`),
  },
  // https://api.slack.com/concepts/token-types
  {
    rule: "secret/slack",
    what: "a Slack token",
    hint: "xox",
    pattern: shape(`${S}xox[abeoprs]-[0-9]{1,13}-[A-Za-z0-9-]{16,250}${E}`),
  },
  {
    rule: "secret/slack",
    what: "a Slack app token",
    hint: "xapp-",
    pattern: shape(`${S}xapp-\\d-[A-Z0-9]{8,15}-\\d{8,15}-[a-z0-9]{32,80}${E}`),
  },
  {
    rule: "secret/slack",
    what: "a Slack webhook",
    hint: "hooks.slack.com",
    pattern: shape("hooks\\.slack\\.com/(?:services|workflows)/(T[A-Z0-9]{8,12}/[A-Z0-9]{8,12}/[A-Za-z0-9/]{16,60})"),
  },
  {
    rule: "secret/stripe",
    what: "a Stripe key",
    hint: "k_",
    pattern: shape(`${S}[sr]k_(?:live|test)_[A-Za-z0-9]{24,247}${E}`),
  },
  {
    rule: "secret/stripe",
    what: "a Stripe webhook secret",
    hint: "whsec_",
    pattern: shape(`${S}whsec_[A-Za-z0-9+/]{32,64}`),
  },
  {
    rule: "secret/registry",
    what: "a token of a prompt-registry server",
    hint: "prg_",
    pattern: shape(`${S}prg_[0-9a-z]{12}_[0-9A-Za-z]{49}${E}`),
  },
  ...(
    [
      ["a GitLab token", "glpat-", `glpat-[A-Za-z0-9_-]{20,64}`],
      ["a Hugging Face token", "hf_", `hf_[A-Za-z]{34}`],
      ["an npm token", "npm_", `npm_[A-Za-z0-9]{36}`],
      ["a PyPI token", "pypi-", `pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,250}`],
      ["a Groq key", "gsk_", `gsk_[A-Za-z0-9]{40,64}`],
      ["an xAI key", "xai-", `xai-[A-Za-z0-9]{70,90}`],
      ["a Perplexity key", "pplx-", `pplx-[A-Za-z0-9]{40,64}`],
      ["a Replicate token", "r8_", `r8_[A-Za-z0-9]{37}`],
      ["a Databricks token", "dapi", `dapi[0-9a-f]{32}`],
      ["a SendGrid key", "sg.", `SG\\.[A-Za-z0-9_-]{22}\\.[A-Za-z0-9_-]{43}`],
      ["a DigitalOcean token", "_v1_", `do[opr]_v1_[0-9a-f]{64}`],
      ["a Shopify token", "shp", `shp(?:at|ca|pa|ss)_[0-9a-f]{32}`],
      ["a Linear key", "lin_api_", `lin_api_[A-Za-z0-9]{40}`],
      ["a LangSmith key", "lsv2_", `lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}`],
      ["a Langfuse secret key", "sk-lf-", `sk-lf-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`],
      ["a Telegram bot token", ":aa", `\\d{8,10}:AA[A-Za-z0-9_-]{33}`],
    ] as const
  ).map(([what, hint, source]): Shape => ({ rule: "secret/api-key", what, hint, pattern: shape(S + source + E) })),
  {
    rule: "secret/api-key",
    what: "an Azure storage key",
    hint: "accountkey",
    pattern: shape("AccountKey=([A-Za-z0-9+/]{86}==)", "gi"),
  },
  {
    rule: "secret/private-key",
    what: "a private key",
    hint: "private key",
    pattern: shape("-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"),
    holds: (_, text, end) => hasKeyBody(text, end),
  },
  // RFC 7515: a header and a payload, both JSON objects, and a signature.
  {
    rule: "secret/jwt",
    what: "a signed token (JWT)",
    hint: "eyj",
    pattern: shape(`${S}eyJ[A-Za-z0-9_-]{10,2000}\\.eyJ[A-Za-z0-9_-]{8,8000}\\.[A-Za-z0-9_-]{20,1400}`),
    holds: (secret) => isToken(secret),
  },
  {
    rule: "secret/url",
    what: "a password in a URL",
    hint: "://",
    pattern: shape(
      "(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{1,20}://[^\\s:/?#@\"'`<>{}]{0,100}:([^\\s/?#@\"'`<>{}$*]{3,200})@[A-Za-z0-9\\[]",
    ),
    holds: (secret) => !COMMON_PASSWORDS.test(secret),
  },
];

// Words that documentation puts in the place of a password.
const COMMON_PASSWORDS =
  /^(?:.{0,12}(?:pass|pwd|secret|token|key|credential|hunter2|changeme).{0,8}|postgres|mysql|root|admin|user(?:name)?|guest|mongo|redis|rabbitmq|test|s3cr3t|abc123|123456\d{0,4}|foo|bar|pw|xxx+|\.\.\.)$/i;

// Documentation and tests: AWS's own AKIAIOSFODNN7EXAMPLE, sk-your-key-here, ghp_xxxxxxxx. A random key of forty characters holds one
// of these words once in ten thousand times.
const PLACEHOLDER =
  /example|sample|your|dummy|fake|placeholder|redacted|changeme|replace|insert|xxxx|00000000|1234567|abcdefg/i;

const DECODED: ReadonlySet<PolicyRule> = new Set(["secret/private-key", "secret/jwt"]);

/** Finds credentials; of those that overlap, the one that is named first. */
export function findSecrets(text: string): Spot[] {
  const lower = text.toLowerCase();
  const spots: Spot[] = [];
  for (const { rule, what, hint, pattern, holds } of SHAPES) {
    if (!lower.includes(hint)) continue;
    for (const match of text.matchAll(pattern)) {
      const secret = match[1] ?? match[0];
      const at = match.index + (match[1] === undefined ? 0 : match[0].lastIndexOf(match[1]));
      const end = at + secret.length;
      // What is long has any word in it somewhere; it is decoded instead.
      if (!DECODED.has(rule) && isPlaceholder(secret)) continue;
      if (holds !== undefined && !holds(secret, text, end)) continue;
      if (spots.some((s) => s.at < end && at < s.at + s.length)) continue;
      const message = `this looks like ${what}; take it out, and revoke it: it has been seen`;
      spots.push({ rule, at, length: secret.length, message, shown: mask(secret) });
    }
  }
  return spots.sort((a, b) => a.at - b.at);
}

/** The first four characters and the length; of a short secret, such as a password, the length alone. */
export function mask(secret: string): string {
  return `${secret.length < 16 ? "" : secret.slice(0, 4)}… (${secret.length} characters)`;
}

/** The text with every secret masked. */
export function hideSecrets(text: string): string {
  let hidden = "";
  let done = 0;
  for (const { at, length, shown } of findSecrets(text)) {
    hidden += text.slice(done, at) + shown;
    done = at + length;
  }
  return hidden + text.slice(done);
}

function isPlaceholder(secret: string): boolean {
  if (PLACEHOLDER.test(secret)) return true;
  if (secret.length < 20) return false;
  const tail = secret.slice(-20);
  return new Set(tail).size < 7;
}

/** Digits as well as letters: a long word, or a name in kebab-case, is no key. */
function isMixed(secret: string): boolean {
  return /\d/.test(secret) && /[A-Za-z]/.test(secret.slice(3));
}

/** A header alone is what a prompt about keys may name; a key has lines of Base64 below it. */
function hasKeyBody(text: string, end: number): boolean {
  const below = text.slice(end, end + 1000).replace(/\\[rn]/g, "\n");
  const body = below.replace(/^[A-Za-z-]{1,30}: [^\n]{0,200}$/gm, "").replace(/[\s"',\\]/g, "");
  const base64 = /^[A-Za-z0-9+/]{40,}/.exec(body)?.[0];
  return base64 !== undefined && new Set(base64).size >= 10 && !/example|placeholder|redacted/i.test(base64);
}

// The one that https://jwt.io shows everybody.
const EXAMPLE_SUBJECT = "1234567890";

function isToken(secret: string): boolean {
  const [header, payload] = secret.split(".").slice(0, 2).map(readPart);
  if (typeof header?.alg !== "string" || header.alg === "none" || payload === undefined) return false;
  return payload.sub !== EXAMPLE_SUBJECT;
}

function readPart(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
