export {
  type AccessOptions,
  createAccess,
  fileTokens,
  formatScope,
  type IssuedToken,
  issueToken,
  memoryTokens,
  type OidcIssuer,
  openTokens,
  parseScope,
  type ServerAccess,
  sqlTokens,
  type TokenRecord,
  type TokenRequest,
  type TokenStore,
} from "./access/index.ts";
export {
  type AuditOptions,
  type AuditReport,
  fileAudit,
  memoryAudit,
  openAudit,
  sqlAudit,
  verifyAudit,
} from "./audit/index.ts";
export { createHandler, type HandlerOptions, openAccess } from "./handler.ts";
export type { TlsFiles } from "./node/listen.ts";
export { type ServeOptions, serve } from "./node/serve.ts";
export type { ListenOptions, RunningServer } from "./node/server.ts";
export type { ServerLimits } from "./operations/limits.ts";
export type { LogLevel } from "./operations/log.ts";
export { Metrics } from "./operations/metrics.ts";
export { counted, type StorageCall } from "./operations/storage.ts";
export type * from "./types.ts";
