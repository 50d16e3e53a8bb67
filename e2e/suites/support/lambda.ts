/** The AWS SDK for JavaScript, unmodified, pointed at the cluster as `make -s env` says. */
import { InvokeCommand, type InvokeCommandInput, LambdaClient } from "@aws-sdk/client-lambda";
import { clusterEnv } from "./cluster.ts";

/** A client with the SDK's own defaults (three attempts) unless `maxAttempts` says otherwise. */
export function lambdaClient(maxAttempts?: number): LambdaClient {
  const env = clusterEnv();
  return new LambdaClient({
    endpoint: env.AWS_ENDPOINT_URL_LAMBDA ?? "",
    region: env.AWS_REGION ?? "",
    credentials: { accessKeyId: env.AWS_ACCESS_KEY_ID ?? "", secretAccessKey: env.AWS_SECRET_ACCESS_KEY ?? "" },
    ...(maxAttempts ? { maxAttempts } : {}),
  });
}

export interface Answer {
  status: number | undefined;
  functionError: string | undefined;
  executedVersion: string | undefined;
  log: string;
  // biome-ignore lint/suspicious/noExplicitAny: an answer is whatever the function returned
  payload: any;
}

/** Invokes a function with a JSON event and returns its decoded answer. */
export async function invoke(client: LambdaClient, name: string, event: unknown, more: Partial<InvokeCommandInput> = {}): Promise<Answer> {
  const output = await client.send(new InvokeCommand({ FunctionName: name, Payload: JSON.stringify(event), ...more }));
  const text = Buffer.from(output.Payload ?? []).toString();
  return {
    status: output.StatusCode,
    functionError: output.FunctionError,
    executedVersion: output.ExecutedVersion,
    log: Buffer.from(output.LogResult ?? "", "base64").toString(),
    payload: text === "" ? undefined : JSON.parse(text),
  };
}
