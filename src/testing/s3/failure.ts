/** What the fake answers instead of a result; the codes, statuses and messages are those of Amazon S3. */
export class S3Failure extends Error {
  override readonly name = "S3Failure";
  readonly status: number;
  readonly code: string;
  /** More elements for the body. */
  readonly details: Readonly<Record<string, string>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    code: string,
    message: string,
    details: Readonly<Record<string, string>> = {},
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
    this.headers = headers;
  }
}

export const accessDenied = (message = "Access Denied") => new S3Failure(403, "AccessDenied", message);

export const noSuchKey = (key: string, headers: Readonly<Record<string, string>> = {}) =>
  new S3Failure(404, "NoSuchKey", "The specified key does not exist.", { Key: key }, headers);

export const preconditionFailed = (condition: string) =>
  new S3Failure(412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold", {
    Condition: condition,
  });

export const notImplemented = (header: string) =>
  new S3Failure(501, "NotImplemented", "A header you provided implies functionality that is not implemented", {
    Header: header,
  });

export const invalid = (code: string, message: string, details: Readonly<Record<string, string>> = {}) =>
  new S3Failure(400, code, message, details);
