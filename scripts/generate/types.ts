import { compile, type JSONSchema } from "json-schema-to-typescript";
import { type Crd, rootSchema, type Schema } from "./crds.ts";

const BANNER = `/**
 * The resources as TypeScript, generated from crds/*.yaml by \`npm run generate\`: change those, never this file.
 * The types say what the API server answers, so a field with a default is always there.
 */
import type { ObjectMeta } from "./object-meta.ts";
`;

/** Shapes that are shared, which would otherwise be named after the first place that has them. */
const NAMES: Record<string, string> = {
  FunctionStatusCondition: "Condition",
  FunctionStatusEffective: "FunctionEffective",
  FunctionStatusEffectiveLoggingConfig: "FunctionEffectiveLoggingConfig",
  VersionStatusProvisionedConcurrency: "ProvisionedConcurrencyStatus",
  VpcResourceNamespaceSelector: "LabelSelector",
  VpcResourceNamespaceSelectorMatchExpression: "LabelSelectorRequirement",
  FunctionEventInvokeConfigDestinationConfig: "DestinationConfig",
  FunctionEventInvokeConfigDestinationConfigOnSuccess: "Destination",
};

/** Writes `operator/src/api/types.generated.ts`: one interface per kind and per object in its schema. */
export async function typesModule(crds: Crd[]): Promise<string> {
  const interfaces = new Map<string, Schema>();
  for (const crd of crds) collectKind(crd, interfaces);

  const parts: string[] = [BANNER];
  for (const [name, schema] of interfaces) {
    parts.push(
      await compile(schema as JSONSchema, name, {
        bannerComment: "",
        additionalProperties: false,
        ignoreMinAndMaxItems: true,
        style: { printWidth: 140 },
      }),
    );
  }
  return parts.join("\n");
}

function collectKind(crd: Crd, interfaces: Map<string, Schema>): void {
  const { kind } = crd.spec.names;
  const root = rootSchema(crd);
  const { spec, status } = root.properties ?? {};
  if (spec === undefined || status === undefined) throw new Error(`${crd.metadata.name} needs spec and status in its schema`);
  const literal = (value: string) => ({ tsType: JSON.stringify(value) });
  interfaces.set(kind, {
    type: "object",
    description: root.description ?? "",
    required: ["apiVersion", "kind", "metadata", "spec"],
    properties: {
      apiVersion: literal(`${crd.spec.group}/${crd.spec.versions[0]?.name}`) as Schema,
      kind: literal(kind) as Schema,
      metadata: { tsType: "ObjectMeta" } as Schema,
      spec: hoist(spec, `${kind}Spec`, kind, interfaces),
      status: hoist(status, `${kind}Status`, `${kind}Status`, interfaces),
    },
  });
}

/**
 * Replaces objects by references to interfaces of their own, named after the way to them: `spec.url.cors` of Function is
 * `FunctionUrlCors`. An object that equals an earlier one is the same interface.
 */
function hoist(schema: Schema, name: string, path: string, interfaces: Map<string, Schema>): Schema {
  if (schema.type === "array" && schema.items !== undefined)
    return { ...plain(schema), type: "array", items: hoist(schema.items, singular(name), singular(path), interfaces) };
  if (schema.type !== "object") return plain(schema);
  if (schema.properties === undefined)
    return { ...plain(schema), type: "object", additionalProperties: hoist(schema.additionalProperties ?? {}, name, path, interfaces) };

  const properties = Object.entries(schema.properties);
  const body: Schema = {
    ...plain(schema),
    type: "object",
    required: properties.filter(([key, value]) => schema.required?.includes(key) || value.default !== undefined).map(([key]) => key),
    properties: Object.fromEntries(
      properties.map(([key, value]) => [key, hoist(value, path + capitalised(key), path + capitalised(key), interfaces)]),
    ),
  };
  const interfaceName = sameAs(body, interfaces) ?? NAMES[name] ?? name;
  interfaces.set(interfaceName, body);
  return { tsType: interfaceName, ...(schema.description === undefined ? {} : { description: schema.description }) } as Schema;
}

function sameAs(body: Schema, interfaces: Map<string, Schema>): string | undefined {
  // A description is text; a property that is called description is an object, and part of the shape.
  const shape = (schema: Schema) =>
    JSON.stringify(schema, (key, value) => (key === "description" && typeof value === "string" ? undefined : value));
  for (const [name, other] of interfaces) if (shape(other) === shape(body)) return name;
  return undefined;
}

/** Only what TypeScript can say; bounds and rules stay with the API server. */
function plain(schema: Schema): Schema {
  const { type, description, enum: values } = schema;
  return { ...(type && { type }), ...(description && { description }), ...(values && { enum: values }) };
}

const capitalised = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);
const singular = (text: string) => text.replace(/(?<!s)s$/, "");
