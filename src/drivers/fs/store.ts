import type { ErrorContext } from "../../errors.ts";
import type { PromptName } from "../../names.ts";
import type { StoredVersion } from "./documents.ts";
import type { FsIo } from "./io.ts";
import type { Lru } from "./lru.ts";
import type { FolderInfo } from "./names.ts";
import type { PromptState } from "./state.ts";

export interface FsOptions {
  /** The folder of the registry. It is created, with its parents, when something is first written. */
  readonly path: string;
  /** The folder in it that holds the prompts. Default `prompts`. */
  readonly dir?: string | undefined;
  /**
   * `embedded` (default): small reads and single stores are synchronous, which is several times faster; for command
   * lines, scripts and programs that read at start-up. `server`: no call ever blocks, and `peek` has no answers.
   */
  readonly mode?: "embedded" | "server" | undefined;
  /** How `latest.md` and labels are shown: `auto` (default) makes symbolic links where the system allows them. */
  readonly links?: "auto" | "symlink" | "text" | undefined;
  /** `never`: as if the file system had no hard links. All writers of a folder must agree. Default `auto`. */
  readonly hardLinks?: "auto" | "never" | undefined;
  /** Bytes of texts kept in memory. Default 64 MiB; 0 keeps none. */
  readonly cacheBytes?: number | undefined;
  /** For tests. */
  readonly io?: FsIo | undefined;
}

/** What all parts of an open driver share. */
export interface Store {
  readonly io: FsIo;
  /** The folder of prompts as it was given, absolute. */
  readonly base: string;
  readonly mode: "embedded" | "server";
  /** The real path of `base`, once it was found: the root itself may be a symbolic link, nothing below it may. */
  root: string | undefined;
  /** Of the root when it was last found, as `dev:ino`: another one in its stead may be the mount point without its disk. */
  place: string | undefined;
  /** Something was seen in the root, or stored there. */
  inhabited: boolean;
  /** Whether the root lies in a work tree of Git, and when that was looked up (monotonic). */
  git: { readonly root: string; readonly is: boolean; readonly at: number } | undefined;
  /** Whether `/proc/self/fd` works, which is what `openat` is made of without native code. */
  procFd: boolean | undefined;
  /** `undefined` until the first try. */
  symlinks: boolean | undefined;
  hardLinks: boolean | undefined;
  /** By `name@version`. */
  readonly documents: Lru<StoredVersion>;
  readonly states: Lru<PromptState>;
  /** Folders that were seen to lie below the root, as `dev:ino`, by path. */
  readonly known: Map<string, string>;
  /** Folders whose names, and those of all above them, this process knows to be durable; as `dev:ino`, by name. */
  readonly durable: Map<string, string>;
  /** What was seen in folders while listing, by their path below the root. */
  readonly folders: Map<string, FolderInfo>;
}

/** For messages: where the prompt's folder is, relative to the root. */
export function at(name: PromptName, file?: string): ErrorContext {
  return { backend: "fs", name, path: file === undefined ? name : `${name}/${file}` };
}
