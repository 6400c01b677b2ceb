import { RegistryError } from "../../errors.ts";

/** Loaded when a database is opened, and not before. */
export async function loadKysely(): Promise<typeof import("kysely")> {
  try {
    return await import("kysely");
  } catch (cause) {
    throw new RegistryError("CONFIG", "SQL storages need the package kysely: npm install kysely@0.28", {
      field: "storage",
      cause,
    });
  }
}
