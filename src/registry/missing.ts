import type { ReadAnswer, Yank } from "../driver.ts";
import { RegistryError } from "../errors.ts";
import { formatSelector, type PromptName, type PromptRef } from "../names.ts";

export function notFound(name: PromptName): RegistryError {
  return new RegistryError("NOT_FOUND", `there is no prompt ${name}; list the names to see what there is`, { name });
}

/** Says of what is not there what is there instead. */
export function missing(ref: PromptRef, answer: ReadAnswer): RegistryError {
  const { name, selector } = ref;
  const text = formatSelector(selector);
  if (answer.status === "removed") {
    const { version } = answer.document;
    return new RegistryError("NOT_FOUND", `${name}@${version} was removed`, { name, version });
  }
  if (answer.status !== "absent") {
    return new RegistryError("INTERNAL", `unexpected answer ${answer.status} for ${name}@${text}`, { name });
  }
  const head = answer.head?.head;
  if (selector.kind === "version") {
    return new RegistryError("NOT_FOUND", `there is no version ${text} of ${name}`, {
      name,
      version: selector.version,
    });
  }
  if (head === undefined) return notFound(name);
  if (selector.kind === "label") {
    const labels = Object.keys(head.labels).sort();
    const there = labels.length === 0 ? "it has no labels" : `its labels are ${labels.slice(0, 20).join(", ")}`;
    return new RegistryError("NOT_FOUND", `${name} has no label ${text}; ${there}`, { name, label: selector.label });
  }
  return new RegistryError("NOT_FOUND", `${name} has no latest version: ${whyNoLatest(head.yanked)}`, { name });
}

function whyNoLatest(yanked: Readonly<Record<string, Yank>>): string {
  const marks = Object.values(yanked);
  const removed = marks.filter((y) => y.removed).length;
  if (marks.length === 0) return "nothing was published";
  if (removed === marks.length) return "every version was removed";
  return removed === 0 ? "every version is yanked" : "every version is yanked or removed";
}
