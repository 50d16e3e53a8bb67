import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Engine } from "../engine.ts";
import { writeWhole } from "../files.ts";
import { waitFor } from "../run.ts";
import {
  CLUSTER_SIDE,
  DNS_ADDRESS,
  INTERNET_SIDE,
  internetCorefile,
  METADATA_ADDRESS,
  PRIVATE_ADDRESS,
  PRIVATE_RANGE,
  PUBLIC_RANGE,
  WEB_ADDRESS,
  zoneFile,
} from "./addresses.ts";

/** The internet's network namespace, and the cluster's end of the wire to it. */
export const INTERNET_NAMESPACE = "kappa-internet";
export const INTERNET_INTERFACE = "kappa-inet0";

const inInternet = (argv: readonly string[]) => ["nsenter", `--net=/run/netns/${INTERNET_NAMESPACE}`, "--", ...argv];

/** The commands that lay the wire and the addresses. */
export function wiring(): string[][] {
  const ip = (line: string) => ["ip", ...line.split(" ")];
  const far = (line: string) => inInternet(ip(line));
  return [
    ip(`netns add ${INTERNET_NAMESPACE}`),
    ip(`link add ${INTERNET_INTERFACE} type veth peer name eth0 netns ${INTERNET_NAMESPACE}`),
    ip(`addr add ${CLUSTER_SIDE}/30 dev ${INTERNET_INTERFACE}`),
    ip(`link set ${INTERNET_INTERFACE} up`),
    far("link set lo up"),
    far(`addr add ${INTERNET_SIDE}/30 dev eth0`),
    far("link set eth0 up"),
    ...[WEB_ADDRESS, DNS_ADDRESS, PRIVATE_ADDRESS, METADATA_ADDRESS].map((address) => far(`addr add ${address}/32 dev lo`)),
    far(`route add default via ${CLUSTER_SIDE}`),
    ...[PUBLIC_RANGE, PRIVATE_RANGE, `${METADATA_ADDRESS}/32`].map((range) => ip(`route add ${range} via ${INTERNET_SIDE}`)),
  ];
}

/** Makes the internet beside the cluster's network and waits until it answers there. */
export async function startInternet(engine: Engine, folder: string, bin: string, logs: string): Promise<void> {
  for (const command of wiring()) await engine.inside(command);
  await mkdir(folder, { recursive: true });
  const zone = join(folder, "zone");
  const corefile = join(folder, "Corefile");
  await writeWhole(zone, zoneFile());
  await writeWhole(corefile, internetCorefile(zone));
  await engine.startInside(inInternet([join(bin, "coredns"), "-conf", corefile]), join(logs, "internet-dns.log"));
  await engine.startInside(inInternet([process.execPath, join(import.meta.dirname, "server.ts")]), join(logs, "internet-web.log"));
  await waitFor("the local internet", 20_000, async () => ((await internetAnswers(engine)) ? true : undefined), 100);
}

/** Whether name server and web server answer in the cluster's network. */
export async function internetAnswers(engine: Engine): Promise<boolean> {
  const ask = (url: string) =>
    engine.tryInside(["curl", "--silent", "--fail", "--max-time", "2", "--output", "/dev/null", url], { timeoutMs: 5_000 });
  const name = engine.tryInside(["bash", "-c", `exec 3<>/dev/tcp/${DNS_ADDRESS}/53`], { timeoutMs: 5_000 });
  return (await Promise.all([ask(`http://${WEB_ADDRESS}/`), name])).every((result) => result.exitCode === 0);
}
