import { openStored, sameText } from "../document.ts";
import { RegistryError } from "../errors.ts";
import { parseName } from "../names.ts";
import { checkRequest, type StoreRequest } from "../registry/request.ts";
import type { PromptRegistry } from "../registry.ts";
import { bumpVersion, compareVersions, type Version } from "../semver.ts";

interface Known {
  readonly version: Version;
  /** Not there for a deleted version. */
  readonly text?: string;
}

const FIRST = "1.0.0" as Version;

/** Tells what storing would do, as far as reading tells. It keeps in mind what it foretold before. */
export class Forecast {
  readonly #registry: PromptRegistry;
  readonly #signal: AbortSignal;
  readonly #made = new Map<string, Known>();

  constructor(registry: PromptRegistry, signal: AbortSignal) {
    this.#registry = registry;
    this.#signal = signal;
  }

  /** @throws RegistryError what storing would throw */
  async store(request: StoreRequest): Promise<{ readonly version: Version; readonly status: "created" | "unchanged" }> {
    const { name, text, wantedVersion, bump = "patch" } = checkRequest(request);
    if (wantedVersion === undefined) {
      const top = await this.#highest(name);
      if (top?.text !== undefined && sameText(top.text, text)) return { version: top.version, status: "unchanged" };
      return this.#create(name, top === undefined ? FIRST : bumpVersion(top.version, bump), text);
    }
    const there = this.#made.get(`${name}@${wantedVersion}`) ?? (await this.#read(name, wantedVersion));
    if (there === undefined) return this.#create(name, wantedVersion, text);
    if (there.text !== undefined && sameText(there.text, text)) return { version: wantedVersion, status: "unchanged" };
    const why = there.text === undefined ? "was deleted" : "exists with another text";
    throw new RegistryError("ALREADY_EXISTS", `${name}@${wantedVersion} ${why}`, { name, version: wantedVersion });
  }

  #create(name: string, version: Version, text: string): { readonly version: Version; readonly status: "created" } {
    const known = { version, text };
    this.#made.set(`${name}@${version}`, known);
    // Files come in the order of their versions, so the last one made is the highest one made.
    this.#made.set(name, known);
    return { version, status: "created" };
  }

  async #highest(name: string): Promise<Known | undefined> {
    const query = { limit: 1, includeRemoved: true, signal: this.#signal };
    const [top] = (await this.#registry.listVersions(name, query)).items;
    const made = this.#made.get(name);
    if (top === undefined) return made;
    if (made !== undefined && compareVersions(made.version, top.version) > 0) return made;
    return this.#read(name, top.version);
  }

  async #read(name: string, version: Version): Promise<Known | undefined> {
    const parsed = parseName(name);
    const ask = { name: parsed, selector: { kind: "version" as const, version } };
    const [answer] = await this.#registry.driver.read([ask], { signal: this.#signal });
    if (answer?.status === "removed") return { version };
    if (answer?.status !== "found") return undefined;
    const opened = openStored(answer.document.text, { name: parsed, version });
    return opened.kind === "document" ? { version, text: opened.text } : { version };
  }
}
