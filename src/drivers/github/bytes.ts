import { RegistryError } from "../../errors.ts";
import type { What } from "./failure.ts";

/** @throws RegistryError UNSUPPORTED as soon as there are more, whatever the reply said of its length */
export async function collect(body: unknown, max: number, { operation, location }: What): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
    total += chunk.length;
    if (total > max) {
      throw new RegistryError("UNSUPPORTED", `${location}: ${operation} got more than ${max} bytes`, {
        ...{ backend: "github", location, operation },
      });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
