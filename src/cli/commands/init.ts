import { access } from "node:fs/promises";
import { join, relative } from "node:path";
import { RegistryError } from "../../errors.ts";
import type { PromptRegistry } from "../../registry.ts";
import { createWhole, writeFault } from "../../whole-file.ts";
import { usageError } from "../args.ts";
import { AUTHOR, type Context, defineCommand } from "../command.ts";
import { FINDINGS } from "../exit.ts";
import { ignoreOwn } from "../gitignore.ts";
import { reason } from "../input.ts";

const FILE = "prompt-registry.config.json";
const FILES = [FILE, "prompt-registry.config.yaml", "prompt-registry.config.yml"];
// Also within the value of an option: `lock:postgres://user:password@host/db`.
const PASSWORD = /:\/\/[^/@?#&]*:[^/@?#&]*@|[?&;#](?:[a-z_-]*password|[a-z_-]*token|[a-z_-]*secret[a-z_-]*|auth)=/i;

export const command = defineCommand({
  usage: [""],
  details: [
    `Tries the storage out and writes ${FILE} into this folder, so that every later call here`,
    "finds the prompts without --storage. A folder needs no set-up: `push` creates what it needs. In a work tree of Git, it",
    "gets a .gitignore for what is each clone's own. Exits with 1, and writes nothing, when the storage does not work.",
  ],
  arguments: [],
  options: {
    author: { ...AUTHOR, help: "who is named as author of changes from here on" },
    create: { type: "boolean", help: "with github: make the repository, its first commit or the branch if missing" },
  },
  examples: [
    ["prompt-registry init", "keep prompts in this folder"],
    ["prompt-registry init --storage file:./registry --author ada", "keep them in another one"],
    ["prompt-registry init --storage github:acme/prompts#main --create", "in a repository, made if it is missing"],
  ],
  busy: "trying the storage",
  async run(context, { values }) {
    const { terminal, io } = context;
    const there = await existing(io.cwd);
    if (there !== undefined) {
      if (context.storage !== undefined || values.author !== undefined) {
        throw new RegistryError("ALREADY_EXISTS", `${there} is there already; edit it, or remove it first`, {
          path: there,
        });
      }
      if (context.json) terminal.json({ status: "unchanged", config: there });
      else terminal.out(`${there} unchanged\n`);
      return undefined;
    }
    const storage = context.storage ?? "file:.";
    if (await hasPassword(storage)) {
      throw usageError(
        "a password does not belong into a file; leave it out of --storage (PostgreSQL takes PGPASSWORD)",
      );
    }
    const registry = values.create ? await creating(context, storage) : await context.registry();
    const health = await registry.check({ signal: context.signal });
    if (values.create) await registry.close();
    if (!health.ok) {
      if (context.json) terminal.json(health);
      else for (const { ok, name, detail } of health.checks) if (!ok) terminal.error(`${name}: ${detail}`);
      return FINDINGS;
    }
    await writeConfig(context, { storage, ...(values.author === undefined ? {} : { author: values.author }) });
    const ignored = await ignoreOwn(storage, io.cwd);
    const made = ignored?.status === "created" ? relative(io.cwd, ignored.file) : undefined;
    if (context.json) {
      terminal.json({ status: "created", config: FILE, storage, ...(made === undefined ? {} : { gitignore: made }) });
    } else {
      terminal.out(`${FILE} created (storage ${storage})\n`);
      if (made !== undefined) terminal.out(`${made} created\n`);
    }
    if (ignored?.status === "missing") {
      terminal.warn(
        `write ".heads/" into ${relative(io.cwd, ignored.file)}: it is each clone's own, and does not belong into Git`,
      );
    }
    if (io.env.PROMPT_REGISTRY_STORAGE) terminal.warn(`PROMPT_REGISTRY_STORAGE is set and goes before ${FILE}`);
    terminal.hint(
      "next: `prompt-registry push NAME FILE` stores a prompt, `prompt-registry import DIR` a folder of them",
    );
    return undefined;
  },
});

/** Whether there is one in any of the forms that a backend takes it in. */
async function hasPassword(storage: string): Promise<boolean> {
  for (let text = storage, before = ""; text !== before; ) {
    if (PASSWORD.test(text)) return true;
    before = text;
    text = decoded(text);
  }
  const { parseLocation } = await import("../../config.ts");
  const place = parseLocation(storage);
  if (place.backend !== "postgres") return false;
  const { resolveOptions } = await import("../../drivers/sql/postgres/options.ts");
  return resolveOptions(place).config.password !== undefined;
}

function decoded(text: string): string {
  return text.replace(/%[0-9a-f]{2}/gi, (byte) => String.fromCharCode(Number.parseInt(byte.slice(1), 16)));
}

/** Only this once: what the configuration names later on has to be there. */
async function creating({ io }: Context, storage: string): Promise<PromptRegistry> {
  if (!/^github:/i.test(storage)) throw usageError("--create goes with --storage github:owner/repo");
  const { openRegistry } = await import("../../config.ts");
  const at = storage.search(/[?#]/);
  const [place, rest] = at < 0 ? [storage, ""] : [storage.slice(0, at), storage.slice(at)];
  const asked = rest.startsWith("?") ? `${place}?create=true&${rest.slice(1)}` : `${place}?create=true${rest}`;
  return await openRegistry(asked, { cwd: io.cwd, env: {}, configFile: false });
}

async function existing(folder: string): Promise<string | undefined> {
  for (const file of FILES) {
    const found = await access(join(folder, file)).then(
      () => true,
      () => false,
    );
    if (found) return file;
  }
  return undefined;
}

async function writeConfig({ io }: Context, config: object): Promise<void> {
  try {
    await createWhole(join(io.cwd, FILE), `${JSON.stringify(config, null, 2)}\n`);
  } catch (error) {
    throw new RegistryError(writeFault(error) ?? "CONFIG", `can't write ${FILE}: ${reason(error)}`, {
      path: FILE,
      cause: error,
    });
  }
}
