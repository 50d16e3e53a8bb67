/** Peers that are measured only where they are asked for, since they have to be built. Pure. */
import { ClusterError } from "../cluster/failure.ts";

const PEERS = ["knative"] as const;
export type Peer = (typeof PEERS)[number];

/** Reads the variable PEERS: names with commas between them. */
export function peersFrom(text: string | undefined): Peer[] {
  const names = (text ?? "").split(",").map((name) => name.trim());
  return names
    .filter((name) => name !== "")
    .map((name) => {
      const peer = PEERS.find((known) => known === name);
      if (peer === undefined)
        throw new ClusterError(`PEERS names "${name}", which the bench does not know`, `name ${PEERS.join(", ")}, or none`);
      return peer;
    });
}
