/** What the gateway that keeps the pools of an account is chosen by: one for all of them, since they share a ceiling. */
export function poolOwnerKey(namespace: string): string {
  return `pool/${namespace}`;
}
