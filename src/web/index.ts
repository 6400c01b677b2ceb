export { loadWebPage, type WebPageOptions } from "./load.ts";
export type { WebFile, WebPage } from "./page.ts";
