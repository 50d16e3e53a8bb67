import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Crd, readCrds, rootSchema, type Schema } from "./crds.ts";

const CRDS = readCrds(join(import.meta.dirname, "../.."));
const kinds = CRDS.map((crd) => [crd.spec.names.kind, crd] as const);

/** Every schema below spec and status, with the way to it. */
function walk(schema: Schema, path: string): { path: string; schema: Schema }[] {
  return [
    { path, schema },
    ...Object.entries(schema.properties ?? {}).flatMap(([name, child]) => walk(child, `${path}.${name}`)),
    ...(schema.items ? walk(schema.items, `${path}[]`) : []),
    ...(schema.additionalProperties ? walk(schema.additionalProperties, `${path}{}`) : []),
  ];
}
const parts = (crd: Crd) => {
  const { spec = {}, status = {} } = rootSchema(crd).properties ?? {};
  return [...walk(spec, "spec"), ...walk(status, "status")];
};
const pathsOf = (crd: Crd, wanted: (schema: Schema) => boolean) =>
  parts(crd)
    .filter(({ schema }) => wanted(schema))
    .map(({ path }) => path);

test("all six kinds are there", () => {
  expect(kinds.map(([kind]) => kind)).toEqual(["Function", "Version", "Alias", "EventSourceMapping", "LayerVersion", "Vpc"]);
});

describe.each(kinds)("%s", (_kind, crd) => {
  test("every field is described", () => {
    const undescribed = pathsOf(crd, (schema) => !schema.description);
    // The entries of a list or map of plain values are described with the list.
    expect(undescribed.filter((path) => !/(\[\]|\{\})$/.test(path))).toEqual([]);
  });

  test("no field is a floating-point number: Kubernetes' API conventions rule them out", () => {
    const types = ["object", "array", "string", "integer", "boolean"];
    expect(pathsOf(crd, (schema) => !types.includes(schema.type ?? ""))).toEqual([]);
  });

  test("everything that can grow has a bound, for etcd and for the cost of CEL rules", () => {
    expect(pathsOf(crd, ({ type, maxItems }) => type === "array" && maxItems === undefined)).toEqual([]);
    expect(
      pathsOf(crd, ({ type, additionalProperties, maxProperties }) => {
        return type === "object" && additionalProperties !== undefined && maxProperties === undefined;
      }),
    ).toEqual([]);
    const unbounded = pathsOf(crd, ({ type, maxLength, enum: values }) => type === "string" && maxLength === undefined && !values);
    // The format bounds a date.
    expect(unbounded.filter((path) => !path.endsWith(".lastTransitionTime"))).toEqual([]);
  });

  test("every list says how it is merged", () => {
    expect(pathsOf(crd, (schema) => schema.type === "array" && schema["x-kubernetes-list-type"] === undefined)).toEqual([]);
  });

  test("every rule says what is wrong, and after it what to do", () => {
    const rules = walk(rootSchema(crd), "").flatMap(({ schema }) => schema["x-kubernetes-validations"] ?? []);
    expect(rules.length).toBeGreaterThan(0);
    for (const { rule, message } of rules) expect(message, rule).toMatch(/\w.*(: | - )\w/);
  });

  test("is listed with its short name, in the category kappa, and has a status of its own", () => {
    expect(crd.spec.names.shortNames).toHaveLength(1);
    expect(crd.spec.names.categories).toEqual(["kappa"]);
    expect(crd.spec.versions[0]?.subresources).toEqual({ status: {} });
    expect(crd.spec.versions[0]?.additionalPrinterColumns.map(({ name }) => name)).toEqual(expect.arrayContaining(["Age", "Ready"]));
  });

  test("conditions are a list keyed by type", () => {
    expect(rootSchema(crd).properties?.status?.properties?.conditions).toMatchObject({
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["type"],
    });
  });
});

describe("what several kinds share is the same in each", () => {
  /** Without texts, which speak of the kind, and without the default, which a version takes from its function. */
  const shape = (schema: Schema | undefined) =>
    JSON.parse(
      JSON.stringify({ ...schema, default: undefined }, (key, value) =>
        key === "description" && typeof value === "string" ? undefined : value,
      ),
    );
  const field = (kind: string, part: "spec" | "status", name: string) => {
    const crd = CRDS.find((candidate) => candidate.spec.names.kind === kind);
    return crd && rootSchema(crd).properties?.[part]?.properties?.[name];
  };

  test.each([
    ...["runtime", "handler", "memorySize", "timeout", "ephemeralStorage", "environment", "role", "architectures", "layers"],
    ...["vpcConfig", "loggingConfig", "tracingConfig", "imageConfig", "deadLetterConfig", "runtimeClassName"],
    ...["eventInvokeConfig", "permissions"],
  ])("spec.%s of a function and of its versions", (name) => {
    expect(shape(field("Version", "spec", name))).toEqual(shape(field("Function", "spec", name)));
  });

  test.each(["eventInvokeConfig", "url", "permissions"])("spec.%s of a function and of its aliases", (name) => {
    expect(shape(field("Alias", "spec", name))).toEqual(shape(field("Function", "spec", name)));
  });

  test("status.effective of a function and of its versions, which the gateway reads alike", () => {
    expect(shape(field("Version", "status", "effective"))).toEqual(shape(field("Function", "status", "effective")));
  });

  test.each(["Version", "Alias", "EventSourceMapping", "LayerVersion", "Vpc"])("conditions of %s", (kind) => {
    expect(shape(field(kind, "status", "conditions"))).toEqual(shape(field("Function", "status", "conditions")));
  });
});
