/** Requests at a fixed rate, whatever becomes of them. */
import type { LambdaClient } from "@aws-sdk/client-lambda";
import { type Answer, invoke } from "../support/lambda.ts";

/** One request: when it was sent and answered, epoch milliseconds, and with what. */
export interface Request {
  sentAt: number;
  answeredAt: number;
  answer: Answer | undefined;
  error: unknown;
}

/** Sends requests until `stop` is called; that resolves when all were answered. */
export function steadyLoad(client: LambdaClient, name: string, perSecond: number): { stop(): Promise<Request[]> } {
  const requests: Promise<Request>[] = [];
  const started = performance.now();
  const send = async (): Promise<Request> => {
    const sentAt = Date.now();
    try {
      const answer = await invoke(client, name, {});
      return { sentAt, answeredAt: Date.now(), answer, error: undefined };
    } catch (error) {
      return { sentAt, answeredAt: Date.now(), answer: undefined, error };
    }
  };
  const timer = setInterval(() => {
    // As many as are due: timers are late on a busy machine, the rate is not.
    while (requests.length < ((performance.now() - started) / 1000) * perSecond) requests.push(send());
  }, 5);
  return {
    stop() {
      clearInterval(timer);
      return Promise.all(requests);
    },
  };
}
