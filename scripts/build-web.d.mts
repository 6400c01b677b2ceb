/** Builds the web page into that folder, which is made; see build-web.mjs. */
export function buildWeb(out: string, source?: string): Promise<void>;
