import { isRegistryError, type RegistryError } from "../../src/errors.ts";

/** What a call throws, which must be an error of the registry. */
export function failure(run: () => unknown): RegistryError {
  try {
    run();
  } catch (error) {
    if (isRegistryError(error)) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
