import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RoleCredentials, type RoleSession } from "./role-credentials.ts";

const credentials = new RoleCredentials("the gateways' secret");
const session: RoleSession = {
  namespace: "team",
  serviceAccount: "orders",
  podName: "f-1",
  podUid: "7d4ff9e2-0d6c-4f6e-9a38-3f5a5c0b1c11",
  expiresAt: 1_800_000_000_000,
};
const nonce = fc.uint8Array({ minLength: 12, maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString("hex"));
const anySession: fc.Arbitrary<RoleSession> = fc.record({
  namespace: fc.string({ minLength: 1, maxLength: 63 }),
  serviceAccount: fc.string({ minLength: 1, maxLength: 253 }),
  podName: fc.string({ minLength: 1, maxLength: 253 }),
  podUid: fc.uuid(),
  expiresAt: fc.maxSafeNat(),
});

describe("issued credentials", () => {
  test("open to what they stand for, with the secret that belongs to them", () => {
    fc.assert(
      fc.property(anySession, nonce, (of, random) => {
        const issued = credentials.issue(of, random);
        expect(credentials.open(issued.sessionToken, issued.accessKeyId)).toEqual({ session: of, secretAccessKey: issued.secretAccessKey });
      }),
    );
  });

  test("look like AWS's own, so that every SDK takes them", () => {
    const { accessKeyId, secretAccessKey, sessionToken } = credentials.issue(session, "00".repeat(12));
    expect(accessKeyId).toMatch(/^ASIA[A-Z2-7]{16}$/);
    expect(secretAccessKey).toMatch(/^[A-Za-z0-9+/]{40}$/);
    expect(sessionToken).toMatch(/^[A-Za-z0-9_-]{100,1000}$/);
  });

  test("are others for each nonce, all three", () => {
    const [a, b] = [credentials.issue(session, "00".repeat(12)), credentials.issue(session, `${"00".repeat(11)}01`)];
    expect([a.accessKeyId === b.accessKeyId, a.secretAccessKey === b.secretAccessKey, a.sessionToken === b.sessionToken]).toEqual([
      false,
      false,
      false,
    ]);
  });

  test("tell nobody what is in them", () => {
    const { sessionToken } = credentials.issue(session, "00".repeat(12));
    const bytes = Buffer.from(sessionToken, "base64url").toString("latin1");
    for (const part of [session.namespace, session.serviceAccount, session.podUid]) expect(bytes).not.toContain(part);
  });

  test("are good at every gateway with the same secret, and at no other", () => {
    const { sessionToken, accessKeyId } = credentials.issue(session, "00".repeat(12));
    expect(new RoleCredentials("the gateways' secret").open(sessionToken, accessKeyId)?.session).toEqual(session);
    expect(new RoleCredentials("another secret").open(sessionToken, accessKeyId)).toBeUndefined();
  });

  test("need a nonce of the right size", () => {
    expect(() => credentials.issue(session, "00")).toThrow("12 bytes");
  });
});

describe("nobody but a gateway can make credentials:", () => {
  const issued = credentials.issue(session, "0123456789abcdef01234567");

  test("a token in which any byte was changed does not open, whatever the access key id", () => {
    const sealed = Buffer.from(issued.sessionToken, "base64url");
    fc.assert(
      fc.property(fc.nat(sealed.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const changed = Buffer.from(sealed);
        changed.writeUInt8(changed.readUInt8(at) ^ change, at);
        expect(credentials.open(changed.toString("base64url"), issued.accessKeyId)).toBeUndefined();
      }),
    );
  });

  test("a token that was cut or lengthened does not open", () => {
    fc.assert(
      fc.property(fc.nat(issued.sessionToken.length - 1), fc.string({ minLength: 1, maxLength: 8 }), (at, more) => {
        expect(credentials.open(issued.sessionToken.slice(0, at), issued.accessKeyId)).toBeUndefined();
        expect(credentials.open(issued.sessionToken + more, issued.accessKeyId)).toBeUndefined();
      }),
    );
  });

  test("text that is no token at all does not open, and does no harm", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ maxLength: 4096 }), fc.base64String({ maxLength: 4096 })), fc.string(), (token, id) => {
        expect(credentials.open(token, id)).toBeUndefined();
      }),
    );
  });

  test("a token with another one's access key id does not open", () => {
    const other = credentials.issue(session, "ffffffffffffffffffffffff");
    expect(credentials.open(issued.sessionToken, other.accessKeyId)).toBeUndefined();
    expect(credentials.open(issued.sessionToken, issued.accessKeyId.toLowerCase())).toBeUndefined();
    expect(credentials.open(issued.sessionToken, "")).toBeUndefined();
  });

  test("another way to write the same bytes is another token", () => {
    expect(credentials.open(`${issued.sessionToken}=`, issued.accessKeyId)).toBeUndefined();
    expect(credentials.open(`${issued.sessionToken.slice(0, 8)}\n${issued.sessionToken.slice(8)}`, issued.accessKeyId)).toBeUndefined();
  });
});
