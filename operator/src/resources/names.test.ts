import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { environmentPodName, functionLabelValue, objectName, versionObjectName } from "./names.ts";

const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const lambdaName = fc.stringMatching(/^[a-zA-Z0-9_-]{1,64}$/);
const metadataName = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,250}[a-z0-9])?$/);

describe("objectName", () => {
  test("leaves a name alone that is a Kubernetes name already", () => {
    expect(objectName("hello-python")).toBe("hello-python");
  });

  test.each(["MyFn_Test", "myfn_test", "myfn-Test", "-a-", "___", "a".repeat(64)])("gives %s a lower-cased form with a hash", (name) => {
    expect(objectName(name)).toMatch(/^[a-z0-9-]+-[0-9a-f]{8}$/);
  });

  test("is always a DNS label", () => {
    fc.assert(fc.property(lambdaName, (name) => DNS_LABEL.test(objectName(name))));
  });

  test("keeps names apart that differ only in case or punctuation", () => {
    fc.assert(fc.property(lambdaName, lambdaName, (a, b) => a === b || objectName(a) !== objectName(b)));
    expect(new Set(["MyFn", "myfn", "MYFN", "my-fn", "my_fn"].map(objectName)).size).toBe(5);
  });
});

describe("functionLabelValue", () => {
  test("is the name where it fits", () => {
    expect(functionLabelValue("a.b")).toBe("a.b");
  });

  test("is always a valid label value, and different for different names", () => {
    fc.assert(fc.property(metadataName, (name) => /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/.test(functionLabelValue(name))));
    const long = "x".repeat(100);
    expect(functionLabelValue(`${long}a`)).not.toBe(functionLabelValue(`${long}b`));
  });
});

describe("environmentPodName", () => {
  test("is the function's name and the suffix", () => {
    expect(environmentPodName("hello", "x7k2p")).toBe("hello-x7k2p");
  });

  test("is always a DNS label that ends with the suffix", () => {
    fc.assert(
      fc.property(metadataName, fc.stringMatching(/^[a-z0-9]{5,10}$/), (name, suffix) => {
        expect(environmentPodName(name, suffix)).toMatch(DNS_LABEL);
        expect(environmentPodName(name, suffix).endsWith(`-${suffix}`)).toBe(true);
      }),
    );
  });
});

describe("versionObjectName", () => {
  test("is the function's name and the number", () => {
    expect(versionObjectName("hello", 7)).toBe("hello-7");
    expect(versionObjectName("MyFn_Test", 12)).toBe(`${objectName("MyFn_Test")}-12`);
  });

  test("is another one for every version of every function, also of functions whose names end with numbers", () => {
    const number = fc.integer({ min: 1, max: 9_999_999_999 });
    fc.assert(
      fc.property(lambdaName, number, lambdaName, number, (a, m, b, n) => {
        fc.pre(a !== b || m !== n);
        expect(versionObjectName(a, m)).not.toBe(versionObjectName(b, n));
        expect(versionObjectName(a, m)).toMatch(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
      }),
    );
    expect(versionObjectName("a", 12)).not.toBe(versionObjectName("a-1", 2));
  });
});
