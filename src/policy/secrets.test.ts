import { describe, expect, test } from "vitest";
import { loadCorpus } from "../../test/support/corpus.ts";
import { createPolicy } from "./check.ts";
import { findSecrets, hideSecrets } from "./secrets.ts";

const BASE62 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEX = "0123456789abcdef";
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** Made up here, from a fixed seed, so that no file holds anything that looks like a key. */
function maker(seed: number): (length: number, digits?: string) => string {
  let state = seed;
  return (length, digits = BASE62) => {
    let text = "";
    for (let i = 0; i < length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      text += digits[Math.floor((state / 2 ** 32) * digits.length)];
    }
    return text;
  };
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");

type Make = (length: number, digits?: string) => string;
/** Each kind as its maker documents it, in the surroundings in which it gets into prompts. */
const KINDS: readonly (readonly [rule: string, make: (r: Make) => string, secret?: (whole: string) => string])[] = [
  ["secret/aws", (r) => `AK${"IA"}${r(16, BASE32)}`],
  ["secret/aws", (r) => `AS${"IA"}${r(16, BASE32)}`],
  ["secret/aws", (r) => `aws_secret_access_key = ${r(20)}/a1B${r(16)}`, (w) => w.split(" = ")[1] as string],
  ["secret/aws", (r) => `AWS_SECRET_ACCESS_KEY="${r(36)}+b2C"`, (w) => w.split('"')[1] as string],
  ["secret/aws", (r) => `"SecretAccessKey": "${r(37)}d3E"`, (w) => w.split('"')[3] as string],
  ...["p", "o", "u", "s", "r"].map((kind) => ["secret/github", (r: Make) => `gh${kind}_${r(36)}`] as const),
  ["secret/github", (r) => `github${"_pat_"}${r(22)}_${r(59)}`],
  ["secret/openai", (r) => `sk-${"proj-"}${r(60)}_${r(20)}`],
  ["secret/openai", (r) => `sk-${"svcacct-"}${r(58)}`],
  ["secret/openai", (r) => `sk-${r(20)}T3Blbk${"FJ"}${r(20)}`],
  ["secret/openai", (r) => `sk-${r(32, HEX)}`],
  ["secret/openai", (r) => `sk-or-${"v1-"}${r(64, HEX)}`],
  ["secret/anthropic", (r) => `sk-${"ant-"}api03-${r(40)}-${r(40)}_${r(11)}AA`],
  ["secret/anthropic", (r) => `sk-${"ant-"}admin01-${r(93)}AA`],
  ["secret/google", (r) => `AI${"za"}${r(33)}_-`],
  ["secret/google", (r) => `GOC${"SPX-"}${r(28)}`],
  ["secret/slack", (r) => `xo${"xb-"}${r(12, "123456789")}-${r(13, "123456789")}-${r(24)}`],
  ["secret/slack", (r) => `xo${"xp-"}${r(12, "123456789")}-${r(12, "123456789")}-${r(12, "123456789")}-${r(32, HEX)}`],
  [
    "secret/slack",
    (r) => `https://hooks.slack.com/${"services"}/T${r(8, BASE32)}/B${r(8, BASE32)}/${r(24)}`,
    (w) => w.slice(33),
  ],
  ["secret/stripe", (r) => `sk_${"live_"}${r(24)}`],
  ["secret/stripe", (r) => `rk_${"live_"}${r(99)}`],
  ["secret/stripe", (r) => `sk_${"test_"}${r(24)}`],
  ["secret/registry", (r) => `pr${"g_"}${r(12, `${HEX}xyz`)}_${r(49)}`],
  ["secret/api-key", (r) => `glp${"at-"}${r(20)}`],
  ["secret/api-key", (r) => `hf${"_"}${r(34, BASE62.slice(0, 52))}`],
  ["secret/api-key", (r) => `npm${"_"}${r(36)}`],
  ["secret/api-key", (r) => `gsk${"_"}${r(52)}`],
  ["secret/api-key", (r) => `SG${"."}${r(22)}.${r(43)}`],
  ["secret/api-key", (r) => `lsv2${"_pt_"}${r(32, HEX)}_${r(10, HEX)}`],
  ["secret/api-key", (r) => `${r(10, "123456789")}:A${"A"}${r(33)}`],
  [
    "secret/private-key",
    (r) => `-----BEGIN RSA ${"PRIVATE"} KEY-----\n${r(64)}\n${r(64)}\n${r(30)}==\n-----END RSA ${"PRIVATE"} KEY-----`,
    () => `-----BEGIN RSA ${"PRIVATE"} KEY-----`,
  ],
  [
    "secret/private-key",
    (r) => `{"private_key": "-----BEGIN ${"PRIVATE"} KEY-----\\n${r(64)}\\n${r(64)}\\n"}`,
    () => `-----BEGIN ${"PRIVATE"} KEY-----`,
  ],
  [
    "secret/private-key",
    (r) => `-----BEGIN OPENSSH ${"PRIVATE"} KEY-----\n${r(70)}\n${r(70)}\n`,
    () => `-----BEGIN OPENSSH ${"PRIVATE"} KEY-----`,
  ],
  [
    "secret/jwt",
    (r) => `${encode({ alg: "RS256", typ: "JWT" })}.${encode({ sub: r(8), iss: "https://issuer", exp: 1 })}.${r(86)}`,
  ],
  ["secret/jwt", (r) => `${encode({ alg: "HS256" })}.${encode({ user: r(12), role: "admin" })}.${r(43)}`],
  ["secret/url", (r) => `postgres://app:${r(14)}@db.internal:5432/app`, (w) => w.slice(15, 29)],
];

const SURROUNDINGS: readonly ((secret: string) => string)[] = [
  (s) => s,
  (s) => `Call the API with the header Authorization: Bearer ${s}\nand answer in JSON.`,
  (s) => `---\nmodel: m\nkey: ${s}\n---\nText`,
  (s) => `\`\`\`sh\nexport TOKEN="${s}"\n\`\`\``,
  (s) => `(${s}).`,
];

/** What prompts, documentation and code say that looks like a secret and is none. */
const NO_SECRETS: readonly string[] = [
  "Never print an API key such as sk-... or ghp_... to the user.",
  "export OPENAI_API_KEY=sk-your-key-here",
  "OPENAI_API_KEY=sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
  `aws_access_key_id = AKIA${"IOSFODNN7EXAMPLE"}`,
  `aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCY${"EXAMPLEKEY"}`,
  "GITHUB_TOKEN=ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
  "GITHUB_TOKEN=ghp_YOUR_GITHUB_TOKEN_GOES_RIGHT_HERE_12",
  "token: $\u007bGITHUB_TOKEN}, {{api_key}}, <YOUR_API_KEY>, $OPENAI_API_KEY, process.env.SLACK_TOKEN",
  "sk-learn, sk-toggleable-content, sk-proj-management-and-planning-tools, sk-estimator",
  "task-management-for-large-projects-and-their-many-dependencies-explained",
  "Flag lines that hold -----BEGIN RSA PRIVATE KEY----- as a leak.",
  "-----BEGIN PRIVATE KEY-----\n<your key here>\n-----END PRIVATE KEY-----",
  "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
  "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAu1SU1LfVLPHCozMxH2Mo\n-----END PUBLIC KEY-----",
  `${encode({ alg: "HS256", typ: "JWT" })}.${encode({ sub: "1234567890", name: "John Doe", iat: 1516239022 })}.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c`,
  "eyJhbGciOi...",
  "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
  "commit 5f3c0d1e8a7b4c2d9e6f1a0b3c5d7e9f1a2b3c4d",
  "id: 123e4567-e89b-12d3-a456-426614174000",
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  "postgres://user:password@localhost:5432/db",
  "postgres://postgres:postgres@localhost/test, redis://:changeme@host, amqp://guest:guest@rabbit",
  "mongodb+srv://<user>:<password>@cluster0.mongodb.net, https://$\u007bUSER}:$\u007bPASS}@host/",
  "https://example.com:8080/path@2x.png and git@github.com:owner/repo.git, ssh://git@host:22/x",
  "xoxb-your-token, xoxb-..., the prefix xoxb- is of a bot",
  "Slack: https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
  "sk_test_..., pk_live_51H8example, stripe.api_key",
  "AIza... keys are of Google; AIzaSyYourApiKeyGoesHereXXXXXXXXXXXXXXXX",
  "npm_config_registry, npm_package_name, hf_hub_download, hf_transformers_cache_directory_setting",
  "The password is hunter2. Secret: none. api_key=",
  "prg_abc, prg_, a program, prg_file_name_that_is_long_enough_to_be_looked_at_twice_or_more_often",
  "AKIA is the prefix of AWS access key ids; AROA that of roles.",
  "SECRET_KEY_BASE, secret_key: see the vault, secret access key = (ask operations)",
  "https://user@host/x, mailto:a:b@c, http://[::1]:80/@x",
];

describe("secrets", () => {
  test("recall: of every kind, in every surrounding, all are found, and at their place", () => {
    let positives = 0;
    let hits = 0;
    const missed: string[] = [];
    KINDS.forEach(([rule, make, inner], kind) => {
      for (let seed = 1; seed <= 40; seed++) {
        const whole = make(maker(seed * 7919 + kind));
        const secret = inner?.(whole) ?? whole;
        for (const around of SURROUNDINGS) {
          const text = around(whole);
          positives++;
          const spots = findSecrets(text);
          if (spots.length === 1 && spots[0]?.rule === rule && spots[0].at === text.indexOf(secret)) hits++;
          else missed.push(`${rule} ${kind} ${JSON.stringify(spots)}`);
        }
      }
    });
    // 1.000 of what is made here; a real key whose characters spell a word of a placeholder is missed, about 1 in 10,000.
    expect(missed.slice(0, 5)).toEqual([]);
    expect(hits / positives).toBe(1);
  });

  test.each(NO_SECRETS)("precision: no secret in %j", (text) => {
    expect(findSecrets(text)).toEqual([]);
  });

  test("precision: nothing is blocked in any text of the corpus", () => {
    const policy = createPolicy();
    const { revisions } = loadCorpus();
    for (const { name, version, text } of revisions) {
      const blocked = policy({ name, version, text }).filter((f) => f.severity === "block");
      expect(blocked, `${name}@${version}`).toEqual([]);
    }
  });

  test("nothing of a secret is told but four characters and its length", () => {
    const random = maker(42);
    for (const [, make, inner] of KINDS) {
      const whole = make(random);
      const secret = inner?.(whole) ?? whole;
      const findings = createPolicy({ rules: { "secret/url": "block" } })({
        name: "a",
        version: "1.0.0",
        text: `x ${whole} y`,
        message: whole,
        author: whole.slice(0, 200),
      });
      expect(findings.length).toBeGreaterThanOrEqual(2);
      const told = JSON.stringify(findings);
      if (secret.startsWith("-----BEGIN")) continue;
      for (let at = 0; at + 6 <= secret.length; at++) {
        if (/^[a-z_ -]+$/i.test(secret.slice(at, at + 6))) continue;
        expect(told, secret).not.toContain(secret.slice(at, at + 6));
      }
      expect(hideSecrets(`x ${whole} y`)).not.toContain(secret.slice(5, 12));
    }
  });

  test("takes time linear in the text, whatever the text", () => {
    const near = [
      "eyJ",
      "eyJaaaaaaaaaa.",
      "sk-",
      "sk-ant-api03-a",
      "-----BEGIN ",
      "-----BEGIN A B PRIVATE KEY-----",
      "://a:b",
      "xoxb-1-",
    ];
    for (const bit of [...near, "aws_secret_key = ", "a://", "AccountKey=", "github_pat_", "1234567890:AA", "SG.a."]) {
      const text = bit.repeat(Math.ceil(2 ** 20 / bit.length));
      const started = performance.now();
      findSecrets(text);
      // A tenth of a second on a quiet machine; quadratic would be minutes.
      expect(performance.now() - started, bit).toBeLessThan(10_000);
    }
  });
});
