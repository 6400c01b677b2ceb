import { isWellFormed } from "../../frontmatter.ts";

/** A message of a chat prompt, as any of the formats has it. */
export type ChatMessage = Readonly<Record<string, unknown>>;

const ROLES = "system|user|assistant|developer|tool|function|model";
const MARKER = new RegExp(`^(?:${ROLES}|message):$`);
const ESCAPED = new RegExp(`^\\\\+(?:${ROLES}|message):$`);
const ROLE = new RegExp(`^(?:${ROLES})$`);

/**
 * Messages as text that people can read and edit: a line `user:` starts a message. A line of a message that looks like
 * that gets a backslash. A message that is more than a role and a text is a line of JSON below `message:`.
 *
 * @example
 * encodeMessages([{ role: "system", content: "Be kind." }]); // "system:\nBe kind.\n"
 */
export function encodeMessages(messages: readonly unknown[]): string {
  return messages.map(encodeMessage).join("");
}

function encodeMessage(message: unknown): string {
  if (typeof message === "object" && message !== null && Object.keys(message).length === 2) {
    const { role, content } = message as ChatMessage;
    const isText = typeof content === "string" && isWellFormed(content) && !content.includes("\0");
    if (typeof role === "string" && ROLE.test(role) && isText) return `${role}:\n${escapeLines(content)}\n`;
  }
  // JSON escapes what a text may not hold.
  return `message:\n${JSON.stringify(message)}\n`;
}

function escapeLines(content: string): string {
  return content
    .split("\n")
    .map((line) => (MARKER.test(line) || ESCAPED.test(line) ? `\\${line}` : line))
    .join("\n");
}

/**
 * The reverse; `undefined` for a text that does not start with a message.
 *
 * @example
 * decodeMessages("user:\nHello\n"); // [{ role: "user", content: "Hello" }]
 */
export function decodeMessages(body: string): ChatMessage[] | undefined {
  const lines = body.split("\n");
  if (!MARKER.test(lines[0] as string)) return undefined;
  // The line end that closes the last message; a hand may have left it out.
  if (lines.at(-1) === "") lines.pop();
  const messages: ChatMessage[] = [];
  let content: string[] = [];
  let role = "";
  const close = () => {
    if (role === "") return;
    messages.push(role === "message" ? parseMessage(content) : { role, content: content.join("\n") });
  };
  for (const line of lines) {
    if (MARKER.test(line)) {
      close();
      role = line.slice(0, -1);
      content = [];
    } else content.push(ESCAPED.test(line) ? line.slice(1) : line);
  }
  close();
  return messages;
}

function parseMessage(lines: readonly string[]): ChatMessage {
  const text = lines.join("\n");
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as ChatMessage;
  } catch {
    // Somebody wrote it by hand: it is kept as a text.
  }
  return { role: "user", content: text };
}

/** The messages of a body; a body that is none is one system message. */
export function messagesOf(body: string): ChatMessage[] {
  return decodeMessages(body) ?? [{ role: "system", content: body }];
}
