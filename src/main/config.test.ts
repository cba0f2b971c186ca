import { describe, expect, test } from "vitest";
import { isLocalDatabase, readConfig, UsageError } from "./config.ts";

describe("configuration", () => {
  test("needs nothing", () => {
    expect(readConfig({})).toEqual({
      databaseUrl: undefined,
      dataDir: ".tallyline",
      host: "127.0.0.1",
      port: 4480,
      logLevel: "info",
      connectionsMax: 20,
      namedStatements: false,
      pepper: undefined,
      postgresBin: undefined,
      mail: undefined,
    });
  });

  test("the command line wins over the environment, and an empty variable is none", () => {
    const config = readConfig(
      { TALLYLINE_PORT: "1", TALLYLINE_HOST: "", DATABASE_URL: "", PATH: "/bin" },
      { port: "0", dataDir: "elsewhere", host: undefined },
    );
    expect(config).toMatchObject({ port: 0, dataDir: "elsewhere", host: "127.0.0.1" });
    expect(config.databaseUrl).toBeUndefined();
  });

  test.each([
    [{ TALLYLINE_DATADIR: "x" }, "Did you mean TALLYLINE_DATA_DIR?"],
    [{ TALLYLINE_PROT: "1" }, "Did you mean TALLYLINE_PORT?"],
    [{ TALLYLINE_SOMETHING_ELSE_ALTOGETHER: "1" }, "is not a variable of tallyline."],
    [{ TALLYLINE_PORT: "http" }, "TALLYLINE_PORT must be a whole number"],
    [{ TALLYLINE_PORT: "65536" }, "TALLYLINE_PORT must be between 0 and 65535"],
    [{ TALLYLINE_LOG_LEVEL: "loud" }, "TALLYLINE_LOG_LEVEL must be one of"],
    [{ TALLYLINE_NAMED_STATEMENTS: "yes" }, "TALLYLINE_NAMED_STATEMENTS must be 1 or 0"],
    [{ TALLYLINE_PEPPER: "short" }, "TALLYLINE_PEPPER must be 64 or more hexadecimal digits"],
    [{ TALLYLINE_SMTP_URL: "mail.example:25" }, "must be a mail server, as in smtp://"],
    [{ TALLYLINE_SMTP_URL: "smtp://mail.example" }, "name the address that mails come from"],
    [{ TALLYLINE_MAIL_FROM: "a@mail.example" }, "name the server that mails leave by"],
    [{ DATABASE_URL: "mysql://localhost/x" }, "DATABASE_URL is not a Postgres address"],
    [{ DATABASE_URL: "postgres://localhost/x?sslmode=maybe" }, "sslmode=maybe is not one of"],
  ])("%j is refused: %s", (environment, message) => {
    expect(() => readConfig(environment)).toThrow(UsageError);
    expect(() => readConfig(environment)).toThrow(message);
  });

  test("all faults are told at once", () => {
    expect(() => readConfig({ TALLYLINE_PORT: "x", TALLYLINE_CONNECTIONS: "0" })).toThrow(
      /TALLYLINE_PORT.*\n.*TALLYLINE_CONNECTIONS/,
    );
  });
});

describe("a database elsewhere", () => {
  const plaintext = { TALLYLINE_ALLOW_PLAINTEXT_DATABASE: "1" };

  test.each([
    "postgresql://u:p@localhost/db",
    "postgres://u:p@127.0.0.1:5433/db",
    "postgres://[::1]/db",
    "postgres:///db?host=/var/run/postgresql",
    "postgresql://u@/db?host=%2Ftmp",
    "postgresql:///db",
  ])("%s is on this machine and needs no TLS", (url) => {
    expect(readConfig({ DATABASE_URL: url }).databaseUrl).toBe(url);
    expect(isLocalDatabase(url)).toBe(true);
  });

  test.each(["require", "verify-ca", "verify-full", "no-verify"])("sslmode=%s is TLS", (mode) => {
    const url = `postgres://u:p@db.example.com/db?sslmode=${mode}`;
    expect(readConfig({ DATABASE_URL: url }).databaseUrl).toBe(url);
  });

  test("without TLS needs both words", () => {
    const url = "postgres://u:p@10.0.0.5/db";
    const off = `${url}?sslmode=disable`;
    for (const [given, more] of [
      [url, {}],
      [url, plaintext],
      [off, {}],
      [`${url}?sslmode=prefer`, plaintext],
    ] as const) {
      expect(() => readConfig({ DATABASE_URL: given, ...more })).toThrow(
        /10\.0\.0\.5 without TLS.*sslmode=verify-full.*TALLYLINE_ALLOW_PLAINTEXT_DATABASE=1/,
      );
    }
    expect(readConfig({ DATABASE_URL: off, ...plaintext }).databaseUrl).toBe(off);
  });

  test("its password is not repeated in the refusal", () => {
    expect(() => readConfig({ DATABASE_URL: "postgres://u:hunter2@db.example.com/db" })).toThrow(
      /^(?!.*hunter2)/s,
    );
  });
});
