import { describe, expect, test } from "vitest";
import { resolveOptions } from "../../src/drivers/sql/postgres/options.ts";

describe("PostgreSQL: options", () => {
  const url = "postgres://ann:s3cret@db.example:6543/prompts?schema=mine&application_name=app&sslmode=no-verify";

  test("the URL is taken apart, and what is given by itself wins", () => {
    const plain = resolveOptions({ url });
    expect(plain.config).not.toHaveProperty("connectionString");
    expect(plain.config).toMatchObject({
      host: "db.example",
      port: 6543,
      database: "prompts",
      user: "ann",
      password: "s3cret",
      application_name: "app",
      ssl: { rejectUnauthorized: false },
    });
    expect(plain.rawSchema).toBe("mine");
    const password = () => "fresh";
    const given = { host: "other", port: 1, database: "d", user: "bob", password, ssl: false, schema: "s" };
    const { schema, ...rest } = given;
    const mixed = resolveOptions({ url, ...given, applicationName: "own" });
    expect(mixed.config).toMatchObject({ ...rest, application_name: "own" });
    expect(mixed.rawSchema).toBe(schema);
  });

  test("the location holds no password and opens the same registry", () => {
    for (const options of [
      { url },
      { url: "postgresql://a%40b:p%25@[::1]:5433/x%2Fy%3F?sslmode=require" },
      { url: "postgres://ann:s3cret@/prompts?host=/var/run/postgresql&port=5433" },
      { url: "postgres://%2Fvar%2Frun%2Fpostgresql/prompts?user=ann&password=s3cret" },
      { host: "::1", user: "u", password: "s3cret", database: "d", ssl: true, schema: "mine" },
      { url: "postgres://h/d?ssl=0" },
      { host: "h" },
    ]) {
      const first = resolveOptions(options);
      const { password, application_name, ...config } = first.config;
      expect(first.location).not.toMatch(/s3cret|p%25/);
      const again = resolveOptions({ url: first.location });
      // What pg would have found by itself is said in the location.
      const { host = "localhost", ...connection } = config;
      const tls = connection.ssl === true ? { ssl: { rejectUnauthorized: true } } : {};
      expect(again.config).toMatchObject({ ...connection, host, ...tls });
      expect([again.rawSchema, again.location]).toEqual([first.rawSchema, first.location]);
    }
  });

  test("what the query can't say is CONFIG, and no message holds the URL", () => {
    for (const [bad, message] of [
      ["postgres://h/d?shema=x", '"shema"'],
      ["postgres://u:12?s3cret@h/d", "a key"],
      ["postgres://u:12#s3cret@h/d", "%23"],
      ["postgres://h/d?schema=a&schema=b", "twice"],
      ["postgres://h/d?schema=Upper", "schema"],
      ["postgres://h/d?sslmode=allow", "sslmode"],
      ["postgres://h/d?ssl=maybe", "ssl"],
      ["postgres://h/d?sslrootcert=/nowhere.pem", "sslrootcert"],
      ["postgres://h/d?port=x", "port"],
      ["postgres://h/d?statement_timeout=1s", "statementTimeout"],
      ["postgres://u:s3cret%ff@h/d", "UTF-8"],
      ["postgres:d", "postgres://"],
    ] as const) {
      expect(() => resolveOptions({ url: bad })).toThrow(
        expect.objectContaining({ code: "CONFIG", message: expect.stringContaining(message) }),
      );
      expect(() => resolveOptions({ url: bad })).not.toThrow(/s3cret/);
    }
  });
});
