import { accessChecks } from "./checks/access.ts";
import { bulkChecks } from "./checks/bulk.ts";
import { documentChecks } from "./checks/documents.ts";
import { feedChecks } from "./checks/feed.ts";
import { hostileChecks } from "./checks/hostile.ts";
import { listChecks } from "./checks/lists.ts";
import { pointerChecks } from "./checks/pointers.ts";
import { removalChecks } from "./checks/removal.ts";
import { routeChecks } from "./checks/routes.ts";
import { serviceChecks } from "./checks/service.ts";
import { versionChecks } from "./checks/versions.ts";
import type { Check } from "./types.ts";

/** Every rule that is checked, in the order in which it is. */
export const CHECKS: readonly Check[] = [
  ...serviceChecks,
  ...routeChecks,
  ...documentChecks,
  ...versionChecks,
  ...pointerChecks,
  ...removalChecks,
  ...bulkChecks,
  ...listChecks,
  ...feedChecks,
  ...hostileChecks,
  ...accessChecks,
];
