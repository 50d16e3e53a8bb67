import { expect, test } from "vitest";
import { KappaError, throttled } from "../domain/errors.ts";
import { errorResponse } from "./error-response.ts";

test("a throttle carries Lambda's type, status and Reason, and in a header when to try again", () => {
  const { status, headers, body } = errorResponse(throttled("ConcurrentInvocationLimitExceeded", 3), "id-1");
  expect(status).toBe(429);
  expect(headers).toMatchObject({
    "x-amzn-errortype": "TooManyRequestsException",
    "x-amzn-requestid": "id-1",
    "x-kappa-error-code": "K105",
    "retry-after": "3",
  });
  expect(JSON.parse(body)).toEqual({ Type: "User", message: "Rate Exceeded.", Reason: "ConcurrentInvocationLimitExceeded" });
});

test("every 429 says when to try again, and nothing else does", () => {
  expect(errorResponse(new KappaError("K105", "Rate Exceeded."), "id").headers["retry-after"]).toBe("1");
  expect(errorResponse(new KappaError("K106", "no"), "id").headers["retry-after"]).toBeUndefined();
});

test("a function that does not exist is reported in the member that the model names", () => {
  const { status, body } = errorResponse(new KappaError("K100", "Function not found: x"), "id");
  expect(status).toBe(404);
  expect(JSON.parse(body)).toEqual({ Type: "User", Message: "Function not found: x" });
});

test("an unexpected failure shows nothing of the inside", () => {
  const { status, headers, body } = errorResponse(new TypeError("cannot read 'x' of undefined at /srv/secret.ts"), "id");
  expect(status).toBe(500);
  expect(headers["x-amzn-errortype"]).toBe("ServiceException");
  expect(body).not.toContain("secret");
});

test("an error of the catalogue that is not Lambda's own shows nothing of the inside either", () => {
  const { headers, body } = errorResponse(new KappaError("K301", "the API server at 10.0.0.1 refused"), "id");
  expect(headers["x-kappa-error-code"]).toBe("K106");
  expect(body).not.toContain("10.0.0.1");
});
