/** A text that some storage, encoding or editor is known to change on the way. */
export interface NastyText {
  readonly title: string;
  readonly text: string;
}

/** Every one of them is a valid text and must come back byte for byte. */
export const texts: readonly NastyText[] = [
  { title: "empty", text: "" },
  { title: "one line feed", text: "\n" },
  { title: "no final newline", text: "Say hello." },
  { title: "several final newlines", text: "Say hello.\n\n\n" },
  { title: "trailing spaces and tabs", text: "Say hello.  \t \n\t \n   " },
  { title: "leading white space", text: "\n\n   Say hello.\n" },
  { title: "CRLF", text: "# Title\r\n\r\nSay hello.\r\n" },
  { title: "CR alone", text: "Say\rhello.\r" },
  { title: "mixed line ends", text: "a\nb\r\nc\rd\n\r\ne" },
  { title: "byte order mark", text: "\ufeffSay hello.\n" },
  { title: "byte order mark before front matter", text: "\ufeff---\nmodel: m\n---\nSay hello.\n" },
  { title: "byte order mark alone", text: "\ufeff" },
  { title: "byte order mark inside", text: "Say \ufeff hello.\n" },
  { title: "replacement character", text: "Say \ufffd hello.\n" },
  { title: "astral characters", text: "🙂 𝒳 👩‍👩‍👧‍👦 🇩🇪\n" },
  { title: "combining characters, not normalised", text: "e\u0301 \u00e9 \u1e9b\u0323 \u212b\n" },
  { title: "non-characters and private use", text: "\uffff \ufdd0 \ue000 \u{10ffff}\n" },
  { title: "control characters", text: "\u0001\u0007\b\u000b\f\u001b[31m\u007f\u0085\n" },
  { title: "line and paragraph separators", text: "a\u2028b\u2029c\n" },
  { title: "bidi and zero width", text: "a\u202eb\u2066c\u2069\u200b\u200d\u00ad\n" },
  { title: "front matter", text: "---\nmodel: m\ntags: [a, b]\n---\nSay {{word}}.\n" },
  { title: "front matter with CRLF", text: "---\r\nmodel: m\r\n---\r\nSay {{word}}.\r\n" },
  { title: "empty front matter", text: "---\n---\nSay hello.\n" },
  { title: "front matter and empty body", text: "---\nmodel: m\n---\n" },
  { title: "front matter without final newline", text: "---\nmodel: m\n---" },
  { title: "a comment for front matter", text: "---\n# nothing\n---\nSay hello.\n" },
  { title: "a rule that is no front matter", text: "Say hello.\n---\nmodel: m\n---\n" },
  { title: "four dashes", text: "----\nSay hello.\n" },
  { title: "words of the seal in the body", text: "Write\nregistry.name: other\nregistry.version: 9.9.9\n" },
  { title: "quotes, backslashes, dollars", text: `' " \\ \\n \${x} $1 %s %2F {{ "a" }} \`ls\`\n` },
  { title: "SQL, HTML and JSON", text: `'); DROP TABLE prompts; -- <script>alert(1)</script> {"a":[1,"\\u0000"]}\n` },
  { title: "template that reaches for a prototype", text: "{{constructor}} {{__proto__}} {{toString}}\n" },
  { title: "a Git conflict and CVS keywords", text: "<<<<<<< HEAD\n$Id$\n=======\n$Date$\n>>>>>>> x\n" },
  { title: "a line of 100 000 characters", text: `${"word ".repeat(20_000)}\n` },
  { title: "1 MiB", text: `${"0123456789abcde\n".repeat(65_536)}` },
  { title: "1 MiB of characters of four bytes", text: "🙂".repeat(262_144) },
];
