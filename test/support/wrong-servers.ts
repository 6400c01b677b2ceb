import { WRONG_BASICS } from "./wrong/basics.ts";
import { WRONG_MEANINGS } from "./wrong/meanings.ts";

export type { WrongServer } from "./wrong/edit.ts";

/** Each breaks one rule, and names the check that is about it. */
export const WRONG_SERVERS = [...WRONG_BASICS, ...WRONG_MEANINGS];
