/** Invokes another function with the runtime's own SDK, required by a CommonJS module. */
const { Lambda } = require("@aws-sdk/client-lambda");

const lambda = new Lambda({});

exports.handler = async ({ target, event }) => {
  try {
    const answer = await lambda.invoke({ FunctionName: target, Payload: JSON.stringify(event) });
    const payload = JSON.parse(Buffer.from(answer.Payload).toString());
    return { status: answer.StatusCode, payload, trace: process.env._X_AMZN_TRACE_ID };
  } catch (error) {
    return { exception: error.name, message: error.message, status: error.$metadata?.httpStatusCode };
  }
};
