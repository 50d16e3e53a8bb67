import { DNS_ADDRESS } from "../internet/addresses.ts";

/** The Corefile with every question about names outside the cluster going to the local internet's name server, and to nobody else. */
export function corefileWithLocalInternet(corefile: string): string {
  const changed = corefile.replace(/forward \. \S+/, `forward . ${DNS_ADDRESS}`);
  if (!changed.includes(`forward . ${DNS_ADDRESS}`))
    throw new Error(`CoreDNS' Corefile has no "forward ." that could be changed:\n${corefile}`);
  return changed;
}
