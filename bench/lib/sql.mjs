// What the cases about databases share.
import { promptText } from "./data.mjs";

export const AT = "2026-01-02T03:04:05.678Z";

/** The drivers for databases, of the build that is measured. */
export function openSql({ dist }) {
  return import(new URL("drivers/sql/index.js", `file://${dist.folder}/`));
}

export function documentOf({ sealDocument }, name, version, text) {
  return sealDocument({ name, version, text, createdAt: AT, author: "bench" });
}

/** One new version of one prompt, sealed: what is asked is what the database takes. */
export function changeOf(dist, name, version, i) {
  return { name, add: [documentOf(dist, name, version, promptText(i))] };
}
