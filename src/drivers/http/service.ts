import type { Capabilities, Operation } from "../../driver.ts";
import { isRegistryError, RegistryError } from "../../errors.ts";
import * as schemas from "../../server/protocol/schemas.ts";
import type { Client } from "./client.ts";

/** What is assumed of a server that could not be asked yet: what any server can do. */
const CAUTIOUS: Capabilities = Object.freeze({
  write: true,
  atomicity: "document",
  listing: "scan",
  search: false,
  maxDocumentBytes: 2 ** 20 + 2 ** 15,
  maxBatch: 100,
  consistency: "session",
});
const CAUTIOUS_BODY = 2 ** 21;

/** What the server says of itself: asked once, and again while nobody answers. */
export class ServiceInfo {
  readonly #client: Client;
  #known: schemas.Service | undefined;

  constructor(client: Client) {
    this.#client = client;
  }

  get capabilities(): Capabilities {
    return this.#known?.capabilities ?? CAUTIOUS;
  }

  get bodyBytes(): number {
    return this.#known?.limits.bodyBytes ?? CAUTIOUS_BODY;
  }

  /** @throws RegistryError UNSUPPORTED for a server of another version of the protocol */
  async load(op?: Operation): Promise<schemas.Service> {
    if (this.#known !== undefined) return this.#known;
    this.#known = await this.ask(op);
    return this.#known;
  }

  async ask(op?: Operation): Promise<schemas.Service> {
    const ask = { method: "GET", path: "/v1", reply: schemas.service, operation: "open", op } as const;
    try {
      return await this.#client.ask(ask);
    } catch (error) {
      if (!isRegistryError(error, "UNAVAILABLE") && !isRegistryError(error, "NOT_FOUND")) throw error;
      await this.#explain(op);
      throw error;
    }
  }

  /** A server of another version says so where every version does. */
  async #explain(op: Operation | undefined): Promise<void> {
    const path = "/.well-known/prompt-registry.json";
    let found: { readonly protocols: readonly { readonly version: number }[] };
    try {
      found = await this.#client.ask({ method: "GET", path, reply: schemas.discovery, operation: "open", op });
    } catch {
      return;
    }
    const versions = found.protocols.map(({ version }) => version);
    if (versions.includes(1)) return;
    throw new RegistryError(
      "UNSUPPORTED",
      `the server at ${this.#client.place.base} speaks protocol ${versions.join(", ")}; this prompt-registry speaks 1: update the older one`,
      { ...this.#client.context },
    );
  }
}
