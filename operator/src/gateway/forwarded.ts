/** An invocation as one gateway hands it to the function's owner: the body is the payload, everything else one header. */
import { z } from "zod";
import { LATEST } from "../domain/names.ts";

/** Path on the peers' port. */
export const FORWARD_PATH = "/v1/invoke";
/** Header that carries {@link Forwarded}. */
export const FORWARD_HEADER = "x-kappa-invocation";

const text = z.string().max(8192);

const Forwarded = z.object({
  /** `namespace/functionName`. The caller was found to be allowed to invoke it. */
  key: z.string().min(3).max(512),
  requestId: z.string().min(1).max(64),
  invokedArn: z.string().min(1).max(512),
  /** Absent from a gateway of the release before this one, which knows no other. */
  version: z.string().min(1).max(128).default(LATEST),
  logTail: z.boolean(),
  streaming: z.boolean(),
  clientContext: text.exactOptional(),
  traceId: text,
});

export type Forwarded = z.infer<typeof Forwarded>;

/** As a header value: JSON in base64, since a client context may hold any character. */
export function encodeForwarded(forwarded: Forwarded): string {
  return Buffer.from(JSON.stringify(forwarded)).toString("base64url");
}

/** Reads the header; undefined when it is not valid. */
export function decodeForwarded(header: string): Forwarded | undefined {
  try {
    return Forwarded.parse(JSON.parse(Buffer.from(header, "base64url").toString("utf8")));
  } catch {
    return undefined;
  }
}
