import fc from "fast-check";
import { expect, it } from "vitest";
import { objectKey, parseKey, Resources, resourcePath } from "./objects.ts";

const dnsLabel = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,20}[a-z0-9])?$/);

it("a key leads back to its object", () => {
  fc.assert(
    fc.property(dnsLabel, fc.option(dnsLabel, { nil: undefined }), (name, namespace) => {
      const ref = namespace === undefined ? { name } : { namespace, name };
      expect(parseKey(objectKey(ref))).toEqual(ref);
    }),
  );
});

it.each([
  ["a core collection in all namespaces", Resources.pod, {}, "/api/v1/pods"],
  ["a collection in a namespace", Resources.function, { namespace: "a" }, "/apis/kappa.dev/v1alpha1/namespaces/a/functions"],
  [
    "a status",
    Resources.function,
    { namespace: "a", name: "f", subresource: "status" },
    "/apis/kappa.dev/v1alpha1/namespaces/a/functions/f/status",
  ],
  ["a cluster-wide object, whatever namespace is given", Resources.namespace, { namespace: "x", name: "a" }, "/api/v1/namespaces/a"],
  [
    "a name that is none, harmlessly",
    Resources.secret,
    { namespace: "a", name: "../../nodes?x" },
    "/api/v1/namespaces/a/secrets/..%2F..%2Fnodes%3Fx",
  ],
])("the path of %s", (_, resource, ref, path) => {
  expect(resourcePath(resource, ref)).toBe(path);
});
