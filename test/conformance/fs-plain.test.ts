import { fsSuite } from "../support/fs-suite.ts";

// As on a file system without links of any kind, such as FAT or some network shares.
fsSuite("fs, no links", { hardLinks: "never", links: "text" }, { readVersion: 15, publish: 65, listPrompts: 500 });
