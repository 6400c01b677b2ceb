import type { ConformanceReport } from "./types.ts";

/** XML 1.0 has no way to write most control characters, so they are shown. */
function xml(text: string): string {
  return text
    .replace(
      /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu,
      (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
    )
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&apos;")
    .replace(/[\t\n\r]/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** The report as JUnit XML, which CI services read: one test case a check, in a class for each section. */
export function junitOf(report: ConformanceReport): string {
  const { url, failed, skipped, results } = report;
  const seconds = (ms: number) => (ms / 1000).toFixed(3);
  const total = seconds(results.reduce((sum, { duration }) => sum + duration, 0));
  const cases = results.map(({ id, rule, section, status, detail = "", duration }) => {
    const open = `    <testcase classname="${xml(section)}" name="${xml(`${id}: ${rule}`)}" time="${seconds(duration)}"`;
    if (status === "passed") return `${open}/>`;
    const inner = status === "failed" ? `<failure message="${xml(detail)}"/>` : `<skipped message="${xml(detail)}"/>`;
    return `${open}>${inner}</testcase>`;
  });
  const counts = `tests="${results.length}" failures="${failed}" errors="0" skipped="${skipped}" time="${total}"`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${counts}>`,
    `  <testsuite name="${xml(`prompt-registry protocol v1 at ${url}`)}" ${counts}>`,
    ...cases,
    "  </testsuite>",
    "</testsuites>",
    "",
  ].join("\n");
}
