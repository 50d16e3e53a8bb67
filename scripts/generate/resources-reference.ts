import { type Crd, rootSchema, type Schema } from "./crds.ts";
import { code, generatedFrom, table } from "./markdown.ts";

/** Writes `docs/reference/resources.md`: every field of every kind, with its bounds, default and rules. */
export function resourcesReference(crds: Crd[]): string {
  const list = crds.map(({ spec: { names } }) => `- [${names.kind}](#${names.singular})`).join("\n");
  return [
    "# Resources",
    generatedFrom("crds/"),
    `The kinds of the API group ${code("kappa.dev")}, version ${code("v1alpha1")}. All are namespaced and in the category ${code("kappa")}: ` +
      `${code("kubectl get kappa")} lists them. The same texts are in ${code("kubectl explain")}.`,
    list,
    ...crds.map(kindSection),
    "",
  ].join("\n\n");
}

function kindSection(crd: Crd): string {
  const { names } = crd.spec;
  const root = rootSchema(crd);
  const { spec = {}, status = {} } = root.properties ?? {};
  return [
    `## ${names.kind}`,
    root.description ?? "",
    `Short name ${names.shortNames.map(code).join(", ")}, plural ${code(names.plural)}.`,
    `### ${names.kind}: spec`,
    fieldTable(spec),
    ...rulesSection(names.kind, root),
    `### ${names.kind}: status`,
    fieldTable(status),
  ].join("\n\n");
}

function fieldTable(schema: Schema): string {
  return table(
    ["Field", "Type", "Required or default", "Meaning"],
    fields(schema, "").map(({ path, field, required }) => [code(path), typeOf(field), need(field, required), field.description ?? ""]),
  );
}

interface Field {
  path: string;
  field: Schema;
  required: boolean;
}

function fields(schema: Schema, path: string): Field[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const here = path + name;
    const list = field.type === "array" && field.items?.type === "object";
    const below = list && field.items !== undefined ? fields(field.items, `${here}[].`) : fields(field, `${here}.`);
    return [{ path: here, field, required: schema.required?.includes(name) ?? false }, ...below];
  });
}

function need(field: Schema, required: boolean): string {
  if (required) return "required";
  if (field.default === undefined || typeof field.default === "object") return "";
  return code(JSON.stringify(field.default));
}

function typeOf(field: Schema): string {
  if (field.enum !== undefined) return field.enum.map(code).join(", ");
  if (field.type === "array")
    return `list${bounds("", field.minItems, field.maxItems)}; each ${field.items?.type === "object" ? "an object" : typeOf(field.items ?? {})}`;
  if (field.type === "object" && field.additionalProperties !== undefined)
    return `map${bounds("", undefined, field.maxProperties)}; each ${typeOf(field.additionalProperties)}`;
  if (field.type === "integer") return `integer${bounds("", field.minimum, field.maximum)}`;
  if (field.type === "string" && field.format !== undefined) return field.format;
  if (field.type === "string") return `string${bounds(" characters", field.minLength, field.maxLength)}`;
  return field.type ?? "";
}

function bounds(unit: string, least: number | undefined, most: number | undefined): string {
  if (least === undefined && most === undefined) return "";
  if (most === undefined) return `, at least ${least}${unit}`;
  if (least === most) return `, exactly ${least}${unit}`;
  return least === undefined ? `, at most ${most}${unit}` : `, ${least} to ${most}${unit}`;
}

/** The messages of the rules beyond types and bounds, each once. */
function rulesSection(kind: string, root: Schema): string[] {
  const messages = [...new Set(rules(root))];
  return messages.length === 0 ? [] : [`### ${kind}: rules`, messages.map((message) => `- ${message}`).join("\n")];
}

function rules(schema: Schema): string[] {
  const own = (schema["x-kubernetes-validations"] ?? []).map(({ message }) => message ?? "");
  const below = [...Object.values(schema.properties ?? {}), schema.items, schema.additionalProperties];
  return [...own, ...below.flatMap((child) => (child === undefined ? [] : rules(child)))];
}
