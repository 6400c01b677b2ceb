import { openStored, sameText } from "../document.ts";
import { RegistryError } from "../errors.ts";
import { type PromptName, parseName } from "../names.ts";
import { enforce } from "../policy/enforce.ts";
import type { Publication } from "../policy/types.ts";
import { checkRequest, type StoreRequest, type Wanted } from "../registry/request.ts";
import type { PromptRegistry } from "../registry.ts";
import { bumpVersion, compareVersions, isPrerelease, type Version } from "../semver.ts";

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
    const wanted = checkRequest(request);
    const { name, text, wantedVersion, bump = "patch" } = wanted;
    if (wantedVersion === undefined) {
      const top = await this.#highest(name);
      if (top?.text !== undefined && sameText(top.text, text)) return { version: top.version, status: "unchanged" };
      return this.#create(wanted, top === undefined ? FIRST : bumpVersion(top.version, bump));
    }
    const there = this.#made.get(`${name}@${wantedVersion}`) ?? (await this.#read(name, wantedVersion));
    if (there === undefined) return this.#create(wanted, wantedVersion);
    if (there.text !== undefined && sameText(there.text, text)) return { version: wantedVersion, status: "unchanged" };
    const why = there.text === undefined ? "was deleted" : "exists with another text";
    throw new RegistryError("ALREADY_EXISTS", `${name}@${wantedVersion} ${why}`, { name, version: wantedVersion });
  }

  async #create(wanted: Wanted, version: Version): Promise<{ readonly version: Version; readonly status: "created" }> {
    const { name, text } = wanted;
    await this.#judge(wanted, version);
    const known = { version, text };
    this.#made.set(`${name}@${version}`, known);
    // Files come in the order of their versions, so the last one made is the highest one made.
    this.#made.set(name, known);
    return { version, status: "created" };
  }

  /** @throws RegistryError INVALID for what the policy will block */
  async #judge({ name, text, sealed, allow, message }: Wanted, version: Version): Promise<void> {
    const { policy } = this.#registry;
    if (policy === undefined) return;
    const previous = sealed === undefined ? await this.#release(name, version) : undefined;
    const publication: Publication = {
      ...{ name, version, text },
      ...(message === undefined ? {} : { message }),
      ...(previous === undefined ? {} : { previous }),
    };
    enforce(await policy(publication), { name, version, allow });
  }

  /** The release that a version follows. */
  async #release(name: PromptName, version: Version): Promise<Publication["previous"]> {
    const isBelow = (other: Version) => !isPrerelease(other) && compareVersions(other, version) < 0;
    const stored = (await this.#registry.listVersions(name, { signal: this.#signal }).all()).find(
      (e) => e.yanked === undefined && isBelow(e.version),
    );
    const made = this.#made.get(name);
    if (made?.text !== undefined && isBelow(made.version)) {
      if (stored === undefined || compareVersions(made.version, stored.version) > 0)
        return { version: made.version, text: made.text };
    }
    const text = stored === undefined ? undefined : (await this.#read(name, stored.version))?.text;
    return stored === undefined || text === undefined ? undefined : { version: stored.version, text };
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
