import { RegistryError, show } from "../../errors.ts";
import { writeFault } from "../../whole-file.ts";

export function inTheWay(file: string): RegistryError {
  return new RegistryError("INVALID", `${show(file)} is there already; choose another name, or overwrite it`, {
    field: "file",
    path: file,
  });
}

/** @internal */
export function fileError(error: unknown, file: string): unknown {
  if (error instanceof RegistryError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === "EEXIST") return inTheWay(file);
  return new RegistryError(writeFault(error) ?? "INVALID", `${show(file)}: ${message ?? String(error)}`, {
    field: "file",
    path: file,
    cause: error,
  });
}
