/** Answers with the facts of introspect.sh, the variables and the context object, as one text in base64. */
import { execFileSync } from "node:child_process";

const lines = (section, facts) => facts.map(([name, value]) => `${section}\t${name}\t${value}\n`).join("");

export const handler = async (_event, context) => {
  const found = execFileSync("bash", ["/var/task/introspect.sh", String(process.pid)], { encoding: "utf8" });
  const properties = Object.entries(context).map(([name, value]) =>
    typeof value === "function" ? [`${name}()`, name.startsWith("get") ? value() : "a function"] : [name, value],
  );
  const text = found + lines("Environment variables", Object.entries(process.env)) + lines("Context object in Node.js", properties);
  return Buffer.from(text).toString("base64");
};
