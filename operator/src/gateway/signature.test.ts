import { Sha256 } from "@aws-crypto/sha256-js";
import { SignatureV4 } from "@smithy/signature-v4";
import fc from "fast-check";
import { expect, test } from "vitest";
import { KappaError } from "../domain/errors.ts";
import { checkClaim, parseAuthorization, type RequestHead, signingKey, verifySignature } from "./signature.ts";

const SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const NOW = Date.UTC(2026, 6, 9, 12, 0, 0);
const REGION = "us-east-1";

type SignedRequest = RequestHead & { body: Uint8Array };

interface Draft {
  target?: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: string;
  at?: number;
  region?: string;
  service?: string;
}

/** A request signed by AWS's own signer, as it arrives. */
async function signed({
  target = "/2015-03-31/functions/hello/invocations",
  query = {},
  headers = {},
  body = "{}",
  at = NOW,
  ...scope
}: Draft = {}): Promise<SignedRequest> {
  const signer = new SignatureV4({
    service: scope.service ?? "lambda",
    region: scope.region ?? REGION,
    sha256: Sha256,
    credentials: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: SECRET },
  });
  const request = await signer.sign(
    { method: "POST", protocol: "http:", hostname: "gateway", path: target, query, headers: { host: "gateway:8080", ...headers }, body },
    { signingDate: new Date(at) },
  );
  const search = Object.entries(query).map(([k, v]) => `${encodeURIComponent(k)}=${encodeURIComponent(v)}`);
  return {
    method: "POST",
    target: search.length === 0 ? target : `${target}?${search.join("&")}`,
    headers: Object.fromEntries(Object.entries(request.headers).map(([k, v]) => [k.toLowerCase(), v])),
    body: Buffer.from(body),
  };
}

function verify(request: SignedRequest, secret = SECRET, now = NOW): void {
  const claim = parseAuthorization(String(request.headers.authorization));
  const timestamp = checkClaim(request.headers, claim, { region: REGION, now });
  verifySignature(request, request.body, claim, timestamp, (date) => signingKey(secret, date, REGION));
}

function refusal(act: () => void): KappaError {
  try {
    act();
  } catch (error) {
    if (error instanceof KappaError) return error;
    throw error;
  }
  throw new Error("was accepted");
}

test("the signing key is the one in AWS's published example", () => {
  // docs.aws.amazon.com publishes the key of 20150830, us-east-1, iam for this secret. Our service is fixed, so the published
  // vector proves the derivation written out below, and that proves ours.
  expect(signingKey(SECRET, "20150830", "us-east-1").toString("hex")).toBe(signingKeyBySpecification("20150830", "us-east-1", "lambda"));
  expect(signingKeyBySpecification("20150830", "us-east-1", "iam")).toBe(
    "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9",
  );
});

function signingKeyBySpecification(date: string, region: string, service: string): string {
  let key: Uint8Array = Buffer.from(`AWS4${SECRET}`);
  for (const part of [date, region, service, "aws4_request"]) {
    const hmac = new Sha256(key);
    hmac.update(part);
    key = hmac.digestSync();
  }
  return Buffer.from(key).toString("hex");
}

test("what AWS's signer signed is accepted, whatever name, qualifier, headers and body", async () => {
  const name = fc.constantFrom(
    "hello",
    "My_Fn-1",
    "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Ahello%3APROD",
    "a:b",
    "x(y)!*'",
  );
  const text = fc.string({ unit: "grapheme", maxLength: 20 });
  await fc.assert(
    fc.asyncProperty(
      name,
      fc.option(text),
      fc.string({ unit: fc.constantFrom("a", "B", " ", "\t", "é", ";", ",") }),
      text,
      async (fn, qualifier, trace, body) => {
        verify(
          await signed({
            target: `/2015-03-31/functions/${fn}/invocations`,
            query: qualifier === null ? {} : { Qualifier: qualifier, "a b": "x+y/z" },
            headers: { "x-amz-log-type": "Tail", "x-custom": trace.trim() },
            body,
          }),
        );
      },
    ),
  );
});

test("a body that the caller left unsigned is accepted when it said so under its signature", async () => {
  const request = await signed({ headers: { "x-amz-content-sha256": "UNSIGNED-PAYLOAD" } });
  verify({ ...request, body: Buffer.from("anything") });
});

test("a signature without a hash header covers the body too, as botocore signs", async () => {
  const signer = new SignatureV4({
    service: "lambda",
    region: REGION,
    sha256: Sha256,
    applyChecksum: false,
    credentials: { accessKeyId: "A", secretAccessKey: SECRET },
  });
  const path = "/2015-03-31/functions/f/invocations";
  const { headers } = await signer.sign(
    { method: "POST", protocol: "http:", hostname: "g", path, query: {}, headers: { host: "g" }, body: "[1]" },
    { signingDate: new Date(NOW) },
  );
  const request = { method: "POST", target: path, headers, body: Buffer.from("[1]") };
  verify(request);
  expect(refusal(() => verify({ ...request, body: Buffer.from("[2]") })).code).toBe("K110");
});

test.each<[string, (r: SignedRequest) => SignedRequest]>([
  ["another body", (r) => ({ ...r, body: Buffer.from('{"admin":true}') })],
  ["another function", (r) => ({ ...r, target: "/2015-03-31/functions/other/invocations" })],
  ["another method", (r) => ({ ...r, method: "PUT" })],
  ["an added query", (r) => ({ ...r, target: `${r.target}?Qualifier=1` })],
  ["a changed signed header", (r) => ({ ...r, headers: { ...r.headers, host: "elsewhere" } })],
  ["an unsigned log type", (r) => ({ ...r, headers: { ...r.headers, "x-amz-log-type": "Tail" } })],
  ["an unsigned client context", (r) => ({ ...r, headers: { ...r.headers, "x-amz-client-context": "e30=" } })],
])("a request with %s is refused", async (_, change) => {
  const error = refusal(() => verify(change({ target: "", headers: {}, body: Buffer.alloc(0), method: "" })));
  expect(error.code).toBe("K116");
  const request = change(await signed());
  expect(refusal(() => verify(request)).code).toBe("K110");
});

test("another secret is refused with AWS's text", async () => {
  const request = await signed();
  expect(refusal(() => verify(request, "other")).message).toContain("does not match the signature you provided");
});

test.each([
  ["six minutes old", -6, "Signature expired: 20260709T115400Z is now earlier than 20260709T115500Z (20260709T120000Z - 5 min.)"],
  ["six minutes ahead", 6, "Signature not yet current: 20260709T120600Z is still later than 20260709T120500Z (20260709T120000Z + 5 min.)"],
])("a signature %s is refused with the times", async (_, minutes, message) => {
  const request = await signed({ at: NOW + minutes * 60_000 });
  expect(refusal(() => verify(request)).message).toBe(message);
});

test("a signature four minutes off is accepted", async () => {
  verify(await signed({ at: NOW - 4 * 60_000 }));
  verify(await signed({ at: NOW + 4 * 60_000 }));
});

test("a signature for another region or service is refused", async () => {
  const elsewhere = await signed({ region: "eu-west-1" });
  expect(refusal(() => verify(elsewhere)).message).toContain("valid region");
  const other = await signed({ service: "s3" });
  expect(refusal(() => verify(other)).message).toContain("'lambda'");
});

test.each([
  ["no algorithm", "Credential=a/20260709/us-east-1/lambda/aws4_request", "must start with"],
  ["no signature", "AWS4-HMAC-SHA256 Credential=a/20260709/us-east-1/lambda/aws4_request, SignedHeaders=host", "'Signature'"],
  ["a short scope", `AWS4-HMAC-SHA256 Credential=a/lambda, SignedHeaders=host, Signature=${"0".repeat(64)}`, "5 slash-delimited"],
  [
    "a signature that is no hexadecimal",
    "AWS4-HMAC-SHA256 Credential=a/20260709/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=zz",
    "64 hexadecimal",
  ],
])("an Authorization header with %s is incomplete", (_, header, text) => {
  const error = refusal(() => parseAuthorization(header));
  expect([error.code, error.message]).toEqual(["K116", expect.stringContaining(text)]);
});
