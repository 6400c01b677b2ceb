import { resolve } from "node:path";
import { readConfigFile } from "./config-file.ts";
import type { CheckedConfig, ConfigProblems, RegistryConfig } from "./config-schema.ts";
import type { StorageConfig } from "./config-storages.ts";
import { defined } from "./defined.ts";
import type { StorageDriver } from "./driver.ts";
import type { GithubOptions } from "./drivers/github/index.ts";
import { isRegistryError, RegistryError } from "./errors.ts";
import { readVariables } from "./layers/config/variables.ts";
import { parseLocation } from "./location.ts";
import type { PublishPolicy } from "./policy/types.ts";
import type { RegistryOptions } from "./registry/context.ts";
import { PromptRegistry } from "./registry.ts";

export type {
  CacheConfig,
  CheckedConfig,
  Duration,
  Place,
  PolicyConfig,
  RegistryConfig,
  Size,
} from "./config-schema.ts";
export type { StorageConfig } from "./config-storages.ts";
export { parseLocation } from "./location.ts";

/** A location such as `file:./dir`, or a whole configuration. */
export type ConfigInput = string | RegistryConfig;

export interface LoadOptions {
  /** Where `prompt-registry.config.json|yaml|yml` is looked for and relative paths start. Default: the working directory. */
  readonly cwd?: string | undefined;
  /**
   * Where settings (`PROMPT_REGISTRY_*`) are looked for. Default `process.env`; `{}` for none. Tokens of backends are looked for
   * in the environment of the process.
   */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** A configuration file, or `false` to read none. Default: the one in `cwd`, if there is one. */
  readonly configFile?: string | false | undefined;
  /** Ends the wait for a configuration file that is a pipe nobody writes to. */
  readonly signal?: AbortSignal | undefined;
}

export const DEFAULT_STORAGE = "file:.";

type Backend = StorageConfig["backend"];
type Of<B extends Backend> = Extract<StorageConfig, { readonly backend: B }>;
interface Beside {
  readonly cwd: string;
  /** Whether the token of the environment is for this storage; see `openRegistry`. */
  readonly environmentToken: boolean;
}
type Openers = { readonly [B in Backend]: (config: Of<B>, beside: Beside) => Promise<StorageDriver> };

/** One line a backend. Each loads its code, and its SDK, only when it is opened. */
const BACKENDS: Openers = {
  memory: async () => (await import("./drivers/memory.ts")).memory(),
  file: async (config, { cwd }) => (await import("./drivers/fs/index.ts")).fs(inFolder(config, cwd)),
  sqlite: async (config, { cwd }) => (await import("./drivers/sql/index.ts")).sqlite(inFolder(config, cwd)),
  postgres: async ({ backend: _, ...options }) => (await import("./drivers/sql/index.ts")).postgresWhenThere(options),
  snapshot: async (config, { cwd }) => (await import("./drivers/snapshot/index.ts")).snapshot(inFolder(config, cwd)),
  http: async ({ backend: _, ...options }, { environmentToken }) =>
    (await import("./drivers/http/index.ts")).http({ ...options, environmentToken }),
  github: async (config, { cwd }) => (await import("./drivers/github/index.ts")).github(githubIn(config, cwd)),
  s3: async ({ backend: _, conditionalWrites, ...options }, { cwd }) => {
    const { s3 } = await import("./drivers/s3/index.ts");
    return s3({
      ...options,
      ...(conditionalWrites === undefined ? {} : { conditionalWrites: lockIn(conditionalWrites, cwd) }),
    });
  },
};

/** The options of a repository, with paths that start at `cwd`. */
export function githubIn({ backend: _, disk, app, ...options }: Of<"github">, cwd: string): GithubOptions {
  const { privateKeyFile: file } = app ?? {};
  return {
    ...options,
    ...(disk === undefined ? {} : { disk: resolve(cwd, disk) }),
    ...(app === undefined ? {} : { app: file === undefined ? app : { ...app, privateKeyFile: resolve(cwd, file) } }),
  };
}

/** A lock file is looked for where all other paths start. */
function lockIn(writes: NonNullable<Of<"s3">["conditionalWrites"]>, cwd: string) {
  if (typeof writes === "string") return writes;
  const path = /^sqlite:(?!\/\/)(.+)$/i.exec(writes.lock)?.[1];
  return path === undefined ? writes : { lock: `sqlite:${resolve(cwd, path)}` };
}

function inFolder<C extends { readonly backend: string; readonly path: string }>(config: C, cwd: string) {
  const { backend: _, path, ...options } = config;
  return { ...options, path: path === ":memory:" ? path : resolve(cwd, path) };
}

/**
 * Opens one storage.
 *
 * @param backend `memory`, `file`, `sqlite`, `postgres`, `github`, `s3`, `http` or `snapshot`
 * @param config that backend's options; every problem is named at once
 * @throws RegistryError CONFIG
 * @example
 * const driver = await createStorage("file", { path: "./registry" });
 */
export async function createStorage(
  backend: Backend,
  config: Readonly<Record<string, unknown>> = {},
  options: { readonly cwd?: string | undefined } = {},
): Promise<StorageDriver> {
  const { checkStorage } = await import("./config-schema.ts");
  const beside = { cwd: options.cwd ?? process.cwd(), environmentToken: true };
  return openStorage(checkStorage({ ...config, backend }), beside);
}

function openStorage<B extends Backend>(config: Of<B>, beside: Beside): Promise<StorageDriver> {
  return BACKENDS[config.backend as B](config, beside);
}

/**
 * Reads the configuration. Every key on its own comes from the first of: what was passed, the `PROMPT_REGISTRY_*`
 * variable, the configuration file, the default. Durations and sizes become numbers, locations are taken apart.
 *
 * @throws RegistryError CONFIG naming every problem at once
 */
export async function loadConfig(input: ConfigInput = {}, options: LoadOptions = {}): Promise<CheckedConfig> {
  const passed = typeof input === "string" ? { storage: input } : input;
  const { settings, problems: found } = readVariables(options.env ?? process.env);
  const { config: named, ...variables } = settings;
  const problems = [...found];
  // What is wrong in one place keeps nothing from being looked at in the others.
  const noting = async <T>(look: () => T | Promise<T>): Promise<T | undefined> => {
    try {
      return await look();
    } catch (error) {
      if (!isRegistryError(error, "CONFIG")) throw error;
      problems.unshift(error);
      return undefined;
    }
  };
  const file = await noting(() => readConfigFile(options, named as string | undefined));
  const merged = { storage: DEFAULT_STORAGE, ...file, ...variables, ...defined(passed) };
  // Checking needs a schema library that a plain folder should not have to wait for.
  if (problems.length === 0 && isPlain(merged)) return { storage: parseLocation(merged.storage) };
  const { checkConfig } = await import("./config-schema.ts");
  const config = await noting(() => checkConfig(merged));
  if (config === undefined || problems.length > 0) throw together(problems);
  return config;
}

/** One error that says all of it; one alone is thrown as it is, as it may know a line and a column. */
function together(problems: readonly RegistryError[]): RegistryError {
  const [first] = problems as readonly [RegistryError];
  if (problems.length === 1) return first;
  const issues = problems.flatMap(({ message, context }) => context.issues ?? [message]);
  return new RegistryError("CONFIG", `the configuration is wrong: ${issues.join("; ")}`, {
    issues,
    ...(first.context.field === undefined ? {} : { field: first.context.field }),
  });
}

function isPlain(config: Readonly<Record<string, unknown>>): config is { readonly storage: string } {
  const { storage } = config;
  return typeof storage === "string" && !storage.includes("?") && Object.keys(config).length === 1;
}

export interface OpenOptions extends LoadOptions, RegistryOptions {
  /** Named as author where neither a call nor the configuration names one. */
  readonly defaultAuthor?: string | undefined;
  /** Where neither a call nor the configuration says anything about a policy: the default one. Default `false`. */
  readonly defaultPolicy?: boolean | undefined;
  /** Put directly around every storage that is opened, below all layers: to count or to watch. Default: nothing. */
  readonly wrapStorage?: ((driver: StorageDriver) => StorageDriver) | undefined;
  /**
   * The one origin that `PROMPT_REGISTRY_TOKEN` is for, where `PROMPT_REGISTRY_TOKEN_ORIGIN` names none. Default: that of
   * the main storage.
   */
  readonly tokenOrigin?: string | undefined;
}

/**
 * Opens a registry. Without arguments: from the environment, the configuration file, or the folder `.`. A token in
 * `PROMPT_REGISTRY_TOKEN` is sent to one origin: the one in `PROMPT_REGISTRY_TOKEN_ORIGIN`, else that of the main storage;
 * a mirror, fallback or route elsewhere needs a `token` of its own, or what `login` stored.
 *
 * @throws RegistryError CONFIG naming every problem at once
 * @example
 * const registry = await openRegistry("file:./registry");
 * @example
 * const registry = await openRegistry({ storage: { backend: "file", path: "./registry", mode: "server" }, author: "ada" });
 */
export async function openRegistry(input: ConfigInput = {}, options: OpenOptions = {}): Promise<PromptRegistry> {
  const config = await loadConfig(input, options);
  const { storage, author, policy, server: _, ...layers } = config;
  const cwd = options.cwd ?? process.cwd();
  const { wrapStorage = (driver: StorageDriver) => driver } = options;
  const main = storage ?? parseLocation(DEFAULT_STORAGE);
  const tokenOrigin = options.tokenOrigin ?? originOf(main);
  const environmentToken = (place: StorageConfig) => tokenOrigin !== undefined && originOf(place) === tokenOrigin;
  const open = async (place: StorageConfig) =>
    wrapStorage(await openStorage(place, { cwd, environmentToken: environmentToken(place) }));
  const isBare = Object.keys(layers).length === 0 && !isRemote(main);
  const driver = isBare
    ? await open(main)
    : await (await import("./layers/config/compose.ts")).compose(main, layers, {
        ...{ open, cwd, isRemote, environmentToken },
      });
  const by = author ?? options.defaultAuthor;
  return new PromptRegistry(driver, {
    ...(by === undefined ? {} : { author: by }),
    ...policyOf(policy ?? options.defaultPolicy ?? false),
    ...defined(options),
  });
}

/** Of a registry server; a location that is no URL is refused where it is opened. */
export function originOf(place: StorageConfig): string | undefined {
  return place.backend === "http" && URL.canParse(place.url) ? new URL(place.url).origin : undefined;
}

/** The code of the policy is loaded with the first publication: who only reads does not wait for it. */
function policyOf(policy: NonNullable<CheckedConfig["policy"]>): { readonly policy?: PublishPolicy } {
  if (policy === false) return {};
  let made: Promise<PublishPolicy> | undefined;
  return {
    policy: async (publication) => {
      made ??= import("./policy/index.ts").then(({ createPolicy }) => createPolicy(policy === true ? {} : policy));
      return (await made)(publication);
    },
  };
}

/** Whether a network lies in between: then calls are tried again and bounded in time, unless that is switched off. */
function isRemote({ backend }: StorageConfig): boolean {
  return backend === "s3" || backend === "postgres" || backend === "http" || backend === "github";
}

export type { ConfigProblems };
