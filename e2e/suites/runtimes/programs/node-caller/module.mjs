/** Invokes another function with the runtime's own SDK, imported by an ES module. */
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";

const client = new LambdaClient({});

export const handler = async ({ target, event }) => {
  try {
    const answer = await client.send(new InvokeCommand({ FunctionName: target, Payload: JSON.stringify(event) }));
    const payload = JSON.parse(Buffer.from(answer.Payload).toString());
    return { status: answer.StatusCode, payload, trace: process.env._X_AMZN_TRACE_ID };
  } catch (error) {
    return { exception: error.name, message: error.message, status: error.$metadata?.httpStatusCode };
  }
};
