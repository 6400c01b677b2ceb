import { type ErrorCode, type ErrorOutcome, RegistryError, show } from "../../errors.ts";

type Meaning = readonly [code: ErrorCode, outcome: ErrorOutcome, why: string];

// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and what STS and the SDK's own providers say
const CODES: Readonly<Record<string, Meaning>> = {
  NoSuchBucket: [
    "CONFIG",
    "final",
    "the bucket does not exist; create it (prompt-registry s3 setup) or correct its name",
  ],
  InvalidBucketName: ["CONFIG", "final", "this is no bucket name"],
  AccessDenied: [
    "FORBIDDEN",
    "final",
    "access is denied; S3 says so of a missing key too where s3:ListBucket is not granted (see prompt-registry s3 policy)",
  ],
  Forbidden: ["FORBIDDEN", "final", "access is denied"],
  AccountProblem: ["FORBIDDEN", "final", "the account has a problem that only its owner can settle"],
  InvalidAccessKeyId: ["UNAUTHENTICATED", "final", "the store does not know this access key"],
  SignatureDoesNotMatch: ["UNAUTHENTICATED", "final", "the secret key is wrong, or a proxy changed the request"],
  ExpiredToken: ["UNAUTHENTICATED", "final", "the credentials have expired; get new ones"],
  ExpiredTokenException: ["UNAUTHENTICATED", "final", "the credentials have expired; get new ones"],
  TokenRefreshRequired: ["UNAUTHENTICATED", "final", "the credentials have expired; get new ones"],
  RequestExpired: ["UNAUTHENTICATED", "final", "the request is too old: check this machine's clock"],
  InvalidToken: ["UNAUTHENTICATED", "final", "the session token is not valid"],
  InvalidClientTokenId: ["UNAUTHENTICATED", "final", "the store does not know this access key"],
  RequestTimeTooSkewed: ["UNAUTHENTICATED", "final", "this machine's clock differs too much from the store's; set it"],
  AuthorizationHeaderMalformed: ["CONFIG", "final", "the bucket is in another region"],
  PermanentRedirect: ["CONFIG", "final", "the bucket is in another region"],
  TemporaryRedirect: ["UNAVAILABLE", "temporary", "the bucket was made a short time ago; try again"],
  IllegalLocationConstraintException: ["CONFIG", "final", "the bucket is in another region"],
  SlowDown: ["RATE_LIMITED", "temporary", "the store asks for fewer requests"],
  TooManyRequests: ["RATE_LIMITED", "temporary", "the store asks for fewer requests"],
  Throttling: ["RATE_LIMITED", "temporary", "the store asks for fewer requests"],
  ThrottlingException: ["RATE_LIMITED", "temporary", "the store asks for fewer requests"],
  RequestLimitExceeded: ["RATE_LIMITED", "temporary", "the store asks for fewer requests"],
  ServiceUnavailable: ["UNAVAILABLE", "unknown", "the store is not available"],
  InternalError: ["UNAVAILABLE", "unknown", "the store reports an error of its own"],
  ConditionalRequestConflict: ["UNAVAILABLE", "temporary", "somebody else changes the same thing; try again"],
  PreconditionFailed: ["UNAVAILABLE", "temporary", "the store refuses it for a condition that was not set"],
  OperationAborted: ["UNAVAILABLE", "temporary", "somebody else changes the same thing; try again"],
  RequestTimeout: ["UNAVAILABLE", "temporary", "the store did not get the whole request in time"],
  BadDigest: ["UNAVAILABLE", "temporary", "the bytes were damaged on their way to the store"],
  InvalidDigest: ["UNAVAILABLE", "temporary", "the bytes were damaged on their way to the store"],
  XAmzContentSHA256Mismatch: ["UNAVAILABLE", "temporary", "the bytes were damaged on their way to the store"],
  IncompleteBody: ["UNAVAILABLE", "temporary", "the store did not get the whole request"],
  EntityTooLarge: ["INVALID", "final", "the text is too large for the store"],
  KeyTooLongError: ["INVALID", "final", "prefix and name are too long for a key"],
  QuotaExceeded: ["NO_SPACE", "final", "the quota of the bucket or its owner is used up"],
  InsufficientStorage: ["NO_SPACE", "final", "the store is full"],
  InvalidObjectState: [
    "UNAVAILABLE",
    "final",
    "the object lies in an archive; restore it, or keep documents out of archives",
  ],
  NotImplemented: ["UNSUPPORTED", "final", "the store does not know this kind of request"],
  MethodNotAllowed: ["FORBIDDEN", "final", "the store does not allow this kind of request here"],
  CredentialsProviderError: [
    "UNAUTHENTICATED",
    "final",
    "no credentials were found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give a role",
  ],
  TokenProviderError: ["UNAUTHENTICATED", "final", "the SSO session has ended; sign in again (aws sso login)"],
  TimeoutError: ["TIMEOUT", "unknown", "the store did not answer in time"],
};
const NETWORK: ReadonlySet<string> = new Set(
  "ECONNREFUSED ECONNRESET ECONNABORTED EPIPE ETIMEDOUT EHOSTUNREACH EHOSTDOWN ENETUNREACH ENETDOWN ENOTFOUND EAI_AGAIN EADDRNOTAVAIL ERR_STREAM_PREMATURE_CLOSE".split(
    " ",
  ),
);
/** The connection was never made, so nothing was asked. */
const NEVER_SENT: ReadonlySet<string> = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN"]);
/** May also end a connection that was open: then the request may have got through. */
const UNREACHABLE: ReadonlySet<string> = new Set(["EHOSTUNREACH", "ENETUNREACH"]);

interface SdkError {
  readonly name?: string;
  readonly Code?: string;
  readonly code?: string;
  readonly syscall?: string;
  readonly message?: string;
  readonly stack?: string;
  readonly $metadata?: { readonly httpStatusCode?: number; readonly requestId?: string };
  readonly $response?: { readonly statusCode?: number; readonly headers?: Readonly<Record<string, string>> };
}

export function statusOf(error: unknown): number | undefined {
  const { $metadata, $response } = (error ?? {}) as SdkError;
  return $response?.statusCode ?? $metadata?.httpStatusCode;
}

/** The code in the store's own reply, or the name the SDK gave what went wrong. */
export function codeOf(error: unknown): string {
  const { Code, name, code } = (error ?? {}) as SdkError;
  return Code ?? (name === undefined || name === "Error" || name === "S3ServiceException" ? (code ?? "") : name);
}

function regionOf(error: unknown): string | undefined {
  const { headers } = ((error ?? {}) as SdkError).$response ?? {};
  return headers?.["x-amz-bucket-region"] ?? (error as { Region?: string } | undefined)?.Region;
}

/**
 * What went wrong, as an error of ours. `unknown` is the outcome wherever a write may have been carried out all the same.
 *
 * @param mutates whether the request was to change something
 */
export function s3Failure(error: unknown, doing: string, location: string, mutates: boolean): RegistryError {
  if (error instanceof RegistryError) return error;
  const [code, usual, why] = meaning(error);
  const outcome: ErrorOutcome = usual !== "unknown" || mutates ? usual : code === "INTERNAL" ? "final" : "temporary";
  const retryAfter = Number(((error ?? {}) as SdkError).$response?.headers?.["retry-after"]);
  return new RegistryError(code, `${doing}: ${why}${detail(error)}`, {
    backend: "s3",
    location,
    outcome,
    cause: withoutSecrets(error),
    ...(Number.isFinite(retryAfter) && retryAfter > 0 ? { retryAfter: retryAfter * 1000 } : {}),
  });
}

/**
 * What is worth knowing of an error of the SDK. The error itself leads to the request with its signature and session
 * token, and some replies repeat the request, so nothing of it is passed on but what is named here.
 */
function withoutSecrets(error: unknown): Error {
  const { message, stack = "", code, syscall, $metadata } = (error ?? {}) as SdkError;
  const status = statusOf(error);
  // What a store says may repeat what it was sent; what was found out here does not.
  const words =
    status === undefined ? said(message ?? String(error), 300).slice(1, -1) : `the store answered ${status}`;
  const cause = Object.assign(new Error(words), {
    name: codeOf(error) || "Error",
    ...(code === undefined ? {} : { code }),
    ...(syscall === undefined ? {} : { syscall }),
    ...(status === undefined ? {} : { status }),
    ...($metadata?.requestId === undefined ? {} : { requestId: $metadata.requestId }),
  });
  const frames = stack.split("\n").filter((line) => /^\s+at /.test(line));
  cause.stack = [`${cause.name}: ${words}`, ...frames].join("\n");
  return cause;
}

function detail(error: unknown): string {
  const status = statusOf(error);
  const code = codeOf(error);
  const region = regionOf(error);
  const parts = [
    ...(status === undefined ? [] : [String(status)]),
    ...(code === "" || code === "UnknownError" ? [] : [show(code, 60).slice(1, -1)]),
    ...(region === undefined ? [] : [`its region is ${show(region, 40)}`]),
  ];
  return parts.length === 0 ? "" : ` (${parts.join(" ")})`;
}

function meaning(error: unknown): Meaning {
  const code = codeOf(error);
  const status = statusOf(error);
  const known = Object.hasOwn(CODES, code) ? CODES[code] : undefined;
  if (known !== undefined) return known;
  if (regionOf(error) !== undefined && (status === 301 || status === 400)) return CODES.PermanentRedirect as Meaning;
  if (status === undefined) return unanswered((error ?? {}) as SdkError);
  const { message = "" } = (error ?? {}) as SdkError;
  if (status === 429) return CODES.SlowDown as Meaning;
  if (status === 401) return ["UNAUTHENTICATED", "final", "the store does not accept these credentials"];
  if (status === 403) return CODES.Forbidden as Meaning;
  if (status === 301 || status === 307) return CODES.PermanentRedirect as Meaning;
  if (status === 507) return CODES.InsufficientStorage as Meaning;
  if (status >= 500) return CODES.InternalError as Meaning;
  if (status >= 200 && status < 300) return ["UNAVAILABLE", "unknown", "the reply can't be understood"];
  if (status === 404 || (status >= 300 && status < 400) || status === 407) return FOREIGN;
  if (status === 408) return CODES.TimeoutError as Meaning;
  return ["INTERNAL", "final", said(message)];
}

export const FOREIGN: Meaning = [
  "UNAVAILABLE",
  "temporary",
  "something that is no S3 store answered; check the endpoint",
];

/** Of what went wrong before a status came, if one ever did. */
function unanswered({ message = "", code = "", syscall }: SdkError): Meaning {
  if (NETWORK.has(code)) {
    const never = NEVER_SENT.has(code) || (UNREACHABLE.has(code) && syscall === "connect");
    return ["UNAVAILABLE", never ? "temporary" : "unknown", "the store can't be reached, or the connection broke"];
  }
  if (/Region is missing/i.test(message)) return ["CONFIG", "final", "no region is set; give region or AWS_REGION"];
  if (/certificate|self.signed|CERT_|wrong.version.number/i.test(`${message} ${code}`)) {
    return ["CONFIG", "final", "no secure connection could be made; check the endpoint's certificate"];
  }
  if (/credential|Could not load|profile|SSO/i.test(message)) {
    return ["UNAUTHENTICATED", "final", (CODES.CredentialsProviderError as Meaning)[2]];
  }
  if (/aborted|hang up|premature|terminated|socket|SSL|TLS|EPROTO/i.test(`${message} ${code}`)) {
    return ["UNAVAILABLE", "unknown", "the connection broke"];
  }
  // A reply that is no HTTP.
  if (code.startsWith("HPE_")) return ["UNAVAILABLE", "unknown", "the reply can't be understood"];
  // Nobody knows how far it got.
  return ["INTERNAL", "unknown", said(message)];
}

/** What somebody says may repeat what it was sent: keys, tokens and signatures are the long words in it. */
function said(message: unknown, length = 200): string {
  return show(String(message).replace(/[A-Za-z0-9+/=_-]{24,}/g, "…"), length);
}
