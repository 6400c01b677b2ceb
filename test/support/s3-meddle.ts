import type { StorageDriver } from "../../src/driver.ts";
import type { S3Native } from "../../src/drivers/s3/index.ts";

export type Fault = (
  input: { readonly Key?: string },
  operation: string,
  send: () => Promise<unknown>,
) => Promise<unknown>;

/** Steps between the driver and its requests. */
export function meddle(driver: StorageDriver<S3Native>, fault: Fault): void {
  driver.native.client.middlewareStack.add(
    (next, context) => (args) =>
      fault(args.input as never, String(context.commandName), () => next(args)) as ReturnType<typeof next>,
    { step: "initialize", name: "meddle" },
  );
}

export function answered(status: number, Code: string): Error {
  return Object.assign(new Error(Code), { name: Code, Code, $metadata: { httpStatusCode: status } });
}
