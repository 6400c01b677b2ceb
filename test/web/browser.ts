import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
const ARGS = [
  ...["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"],
  ...["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage"],
  // No other machine is ever asked. To intercept requests would cost each of them a way to here and back, and the cache.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
];

function installed(): string | undefined {
  const folders = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== "");
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

const path = installed();
const playwright = await import("playwright-core").catch(() => undefined);

/** Why no browser can be had here; `undefined` where one can. */
export const browserless: string | undefined =
  path === undefined
    ? "chromium is not installed"
    : playwright === undefined
      ? "playwright-core is not installed"
      : undefined;

export function launch(): Promise<Browser> {
  if (playwright === undefined || path === undefined) throw new Error(browserless);
  return playwright.chromium.launch({ executablePath: path, args: ARGS });
}

/** What happened in a browser that must not. */
export interface Watched {
  /** Calls of `xss`, dialogs, new windows. */
  readonly executed: string[];
  /** Of the page's content security policy. */
  readonly reports: string[];
  /** Requests to other origins. */
  readonly elsewhere: string[];
  /** Exceptions that nobody caught. */
  readonly errors: string[];
}

declare global {
  // What payloads of tests call.
  var xss: (what?: unknown) => void;
}

/** @param origin the only one that may be asked for anything */
export async function watch(context: BrowserContext, origin: string): Promise<Watched> {
  const watched: Watched = { executed: [], reports: [], elsewhere: [], errors: [] };
  await context.exposeFunction("noteExecution", (what: string) => void watched.executed.push(what));
  await context.exposeFunction("noteReport", (what: string) => void watched.reports.push(what));
  await context.addInitScript(() => {
    const page = globalThis as unknown as Record<"noteExecution" | "noteReport", (what: string) => void>;
    globalThis.xss = (what) => page.noteExecution(`xss(${String(what ?? "")})`);
    const onViolation = ({ effectiveDirective, blockedURI, sample }: SecurityPolicyViolationEvent) =>
      page.noteReport(`${effectiveDirective} ${blockedURI} ${sample}`);
    addEventListener("securitypolicyviolation", onViolation, true);
  });
  context.on("request", (request) => {
    const { origin: asked, protocol } = new URL(request.url());
    if (asked !== origin && protocol !== "data:" && protocol !== "blob:" && protocol !== "about:")
      watched.elsewhere.push(request.url());
  });
  context.on("page", (page) => {
    watchPage(page, watched);
    const note = (opener: Page | null) => void (opener === null || watched.executed.push(`window: ${page.url()}`));
    page.opener().then(note, () => {});
  });
  context.on("weberror", (error) => watched.errors.push(error.error().stack ?? error.error().message));
  return watched;
}

function watchPage(page: Page, watched: Watched): void {
  page.on("dialog", (dialog) => {
    // The browser's own question, whether somebody who wrote something wants to leave.
    if (dialog.type() === "beforeunload") return dialog.accept();
    watched.executed.push(`${dialog.type()}: ${dialog.message()}`);
    return dialog.dismiss();
  });
  page.on("console", (message) => {
    // What is refused before there is a document tells no document of it.
    if (/Content Security Policy|Trusted ?Type/i.test(message.text())) watched.reports.push(message.text());
  });
}

/** Nothing of what must not happen has happened. */
export const QUIET: Watched = { executed: [], reports: [], elsewhere: [], errors: [] };
