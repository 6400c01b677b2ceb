import { isRegistryError } from "../../errors.ts";
import { PromptRegistry } from "../../registry.ts";
import { askOf } from "../builders.ts";
import { ok, rejects, same, sameText } from "./expect.ts";
import { type Case, type Lab, test } from "./types.ts";

const TEXT = "---\nmodel: m\n---\nSort this: {{ticket}} ✓\n";
const CODES = ["CORRUPT", "INVALID", "UNSUPPORTED"];

/** Damages, looks, and puts the bytes back. */
async function withDamage(
  lab: Lab,
  version: string,
  edit: (bytes: Uint8Array) => Uint8Array,
  look: (registry: PromptRegistry) => Promise<void>,
): Promise<void> {
  let original: Uint8Array | undefined;
  await lab.damage("a", version, (bytes) => {
    original = Uint8Array.from(bytes);
    return edit(Uint8Array.from(bytes));
  });
  try {
    await look(lab.registry);
    // A handle without memory of better days.
    await look(new PromptRegistry((await lab.another()).driver));
  } finally {
    await lab.damage("a", version, () => original as Uint8Array);
  }
}

/** Whatever the selector, the right text or an error, never other bytes. */
async function neverServed(registry: PromptRegistry, what: string): Promise<void> {
  for (const selector of ["a@1.0.0", "a", "a@production", "a@^1"]) {
    try {
      const prompt = await registry.getPrompt(selector);
      sameText(prompt.text, TEXT, `${what}: ${selector} was served`);
    } catch (error) {
      if (!isRegistryError(error)) throw error;
      ok(CODES.includes(error.code), `${what}: ${selector} gave ${error.code}: ${error.message}`);
    }
  }
}

async function found(registry: PromptRegistry, what: string): Promise<void> {
  const { ok: fine, problems } = await registry.verify();
  ok(!fine && problems.length > 0, `${what}: verify finds nothing`);
  ok(
    problems.some((p) => p.name === "a" && p.version === "1.0.0"),
    `${what}: verify does not name a@1.0.0, but ${JSON.stringify(problems)}`,
  );
}

async function prepare({ registry }: Lab): Promise<void> {
  await registry.storePrompt({ name: "a", version: "1.0.0", text: TEXT, labels: ["production"], author: "ada" });
}

const cut = (part: number) => (bytes: Uint8Array) => bytes.subarray(0, Math.floor(bytes.length * part));

export const damage: readonly Case[] = [
  test(
    "I9 no flipped byte is ever served, and verify finds each",
    async (lab) => {
      await prepare(lab);
      let length = 0;
      await lab.damage("a", "1.0.0", (bytes) => {
        length = bytes.length;
        return bytes;
      });
      ok(length > TEXT.length, "the stored bytes");
      for (let at = 0; at < length; at += 3) {
        const edit = (bytes: Uint8Array) => {
          bytes[at] = (bytes[at] as number) ^ (1 << (at % 7));
          return bytes;
        };
        await withDamage(lab, "1.0.0", edit, async (registry) => {
          await neverServed(registry, `byte ${at} of ${length}`);
          await found(registry, `byte ${at} of ${length}`);
        });
      }
      sameText((await lab.registry.getPrompt("a@production")).text, TEXT, "after the repair");
      same((await lab.registry.verify()).problems, [], "problems after the repair");
    },
    "damage",
  ),

  test(
    "I9 cut, emptied, zeroed, doubled and foreign bytes are never served, and verify finds each",
    async (lab) => {
      await prepare(lab);
      const edits: Readonly<Record<string, (bytes: Uint8Array) => Uint8Array>> = {
        emptied: () => new Uint8Array(),
        "cut to a tenth": cut(0.1),
        "cut in half": cut(0.5),
        "cut by the last byte": (bytes) => bytes.subarray(0, -1),
        zeroed: (bytes) => new Uint8Array(bytes.length),
        "zeroed at the end": (bytes) => bytes.fill(0, bytes.length - 16),
        doubled: (bytes) => Uint8Array.from([...bytes, ...bytes]),
        "with one more line": (bytes) => Uint8Array.from([...bytes, 0x0a]),
        "no UTF-8": (bytes) => bytes.fill(0xff, bytes.length - 8, bytes.length - 4),
        "with CRLF": (bytes) => new TextEncoder().encode(new TextDecoder().decode(bytes).replaceAll("\n", "\r\n")),
        "with a byte order mark": (bytes) => Uint8Array.from([0xef, 0xbb, 0xbf, ...bytes]),
      };
      for (const [what, edit] of Object.entries(edits)) {
        await withDamage(lab, "1.0.0", edit, async (registry) => {
          await neverServed(registry, what);
          await found(registry, what);
        });
      }
      sameText((await lab.registry.getPrompt("a")).text, TEXT, "after the repair");
    },
    "damage",
  ),

  test(
    "I9 a document at the place of another version is never served",
    async (lab) => {
      await prepare(lab);
      await lab.registry.storePrompt({ name: "b", version: "1.0.0", text: "of b\n" });
      await lab.registry.storePrompt({ name: "a", version: "0.9.0", text: "of before\n" });
      for (const [name, version] of [
        ["a", "0.9.0"],
        ["b", "1.0.0"],
      ] as const) {
        let other: Uint8Array | undefined;
        await lab.damage(name, version, (bytes) => {
          other = Uint8Array.from(bytes);
          return bytes;
        });
        await withDamage(
          lab,
          "1.0.0",
          () => other as Uint8Array,
          async (registry) => {
            await neverServed(registry, `the bytes of ${name}@${version}`);
            await found(registry, `the bytes of ${name}@${version}`);
          },
        );
      }
    },
    "damage",
  ),

  test(
    "I3 bytes that are no UTF-8 are CORRUPT, by a driver that gives texts",
    async (lab) => {
      await prepare(lab);
      await lab.damage("a", "1.0.0", (bytes) => bytes.fill(0xff, bytes.length - 8, bytes.length - 4));
      const view = await lab.another();
      await lab.registry.storePrompt({ name: "b", version: "1.0.0", text: "fine\n" });
      const alone = await view.driver.read([askOf("a", "1.0.0")]).catch(() => undefined);
      if (alone === undefined) {
        const both = () => view.driver.read([askOf("b", "1.0.0"), askOf("a", "1.0.0")]);
        await rejects(both, "CORRUPT", "a batch fails as a whole");
      }
      await rejects(
        async () => {
          for (const what of ["1.0.0", "latest", "production"]) {
            const answer = await view.ask("a", what);
            // A store that keeps texts, not bytes, can't hold such bytes at all: then the seal must tell.
            const text = "document" in answer ? answer.document.text : "";
            ok(text.includes("\ufffd"), `${what} was answered with ${answer.status}`);
          }
          await new PromptRegistry(view.driver).getPrompt("a@1.0.0");
        },
        "CORRUPT",
        "bytes that are no UTF-8",
      );
    },
    "damage",
  ),

  test(
    "I9 one damaged version is no other version's business",
    async (lab) => {
      await prepare(lab);
      await lab.registry.storePrompt({ name: "a", version: "1.1.0", text: "fine\n" });
      await lab.registry.storePrompt({ name: "b", version: "1.0.0", text: "fine\n" });
      await withDamage(lab, "1.0.0", cut(0.7), async (registry) => {
        same((await registry.getPrompt("a@1.1.0")).text, "fine\n", "another version");
        same((await registry.getPrompt("a")).version, "1.1.0", "latest");
        same((await registry.getPrompt("b")).text, "fine\n", "another prompt");
        same(
          (await registry.listVersions("a").all()).map((e) => e.version),
          ["1.1.0", "1.0.0"],
          "the versions",
        );
        same(
          (await registry.listPrompts().all()).map((e) => e.name),
          ["a", "b"],
          "the names",
        );
        const report = await registry.verify();
        same(
          report.problems.map((p) => [p.kind, p.name, p.version]),
          [["corrupt", "a", "1.0.0"]],
          "problems",
        );
      });
    },
    "damage",
  ),

  test(
    "I9 a damaged version is not overwritten by publishing it again",
    async (lab) => {
      await prepare(lab);
      await lab.damage("a", "1.0.0", cut(0.7));
      const { registry } = lab;
      await rejects(
        () => registry.storePrompt({ name: "a", version: "1.0.0", text: "other\n" }),
        ["ALREADY_EXISTS", "CORRUPT", "INVALID"],
        "another text",
      );
      await neverServed(registry, "after publishing another text");
      await found(registry, "after publishing another text");
    },
    "damage",
  ),
];
