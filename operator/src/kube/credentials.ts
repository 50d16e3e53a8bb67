import { createHash } from "node:crypto";

/** What a connection to the API server is made with. */
export interface TlsMaterial {
  ca?: Buffer | string;
  cert?: Buffer | string;
  key?: Buffer | string;
  servername?: string;
  rejectUnauthorized?: boolean;
}

/** Everything that a request needs besides itself. */
export interface Credentials {
  /** URL of the API server, with a path prefix if it has one. */
  server: string;
  tls: TlsMaterial;
  /** Digest of `server` and `tls`: connections are made anew when it changes. */
  fingerprint: string;
  headers: Record<string, string>;
}

export type CredentialSource = () => Promise<Credentials>;

/** Credentials with their fingerprint. */
export function credentials(server: string, tls: TlsMaterial, headers: Record<string, string>): Credentials {
  const hash = createHash("sha256").update(server);
  for (const part of [tls.ca, tls.cert, tls.key, tls.servername, String(tls.rejectUnauthorized)]) hash.update("\0").update(part ?? "");
  return { server, tls, headers, fingerprint: hash.digest("base64") };
}
