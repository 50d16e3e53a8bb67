/** `/metrics` of Kappa's own pods. */
import { eventually, pods } from "./cluster.ts";
import { withPortForward } from "./port-forward.ts";

/** What every running pod of a component serves on `/metrics`, by pod. */
export async function scrape(component: string): Promise<Map<string, string>> {
  const texts = new Map<string, string>();
  for (const pod of await pods("kappa-system", `app.kubernetes.io/name=kappa,app.kubernetes.io/component=${component}`)) {
    if (pod.metadata.deletionTimestamp || pod.status.phase !== "Running") continue;
    const text = await withPortForward("kappa-system", `pod/${pod.metadata.name}`, 9090, (port) =>
      eventually("metrics are served", async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()),
    );
    texts.set(pod.metadata.name, text);
  }
  return texts;
}

/** The sum of a metric's samples whose labels contain all these texts. */
export function sumOf(text: string, metric: string, ...labels: string[]): number {
  return text
    .split("\n")
    .filter((line) => (line.startsWith(`${metric}{`) || line.startsWith(`${metric} `)) && labels.every((label) => line.includes(label)))
    .reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
}
