/** Answers as a stream; the event says how. `awslambda` is the runtime's. */
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { InvokeCommand, LambdaClient } from "@aws-sdk/client-lambda";
import { pattern } from "./pattern.js";

const client = new LambdaClient({});
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Until the function `name` answers: it is made by whoever reads the stream, after the first part arrived. */
async function untilItAnswers(name) {
  for (;;) {
    const opened = await client.send(new InvokeCommand({ FunctionName: name })).catch(() => undefined);
    if (opened?.StatusCode === 200 && !opened.FunctionError) return Buffer.from(opened.Payload).toString();
    await pause(200);
  }
}

export const handler = awslambda.streamifyResponse(async (event, stream) => {
  switch (event.kind) {
    case "wait": {
      stream.write("first,");
      stream.write(`${await untilItAnswers(event.gate)},`);
      stream.end("last");
      return;
    }
    case "parts": {
      for (const part of event.parts) {
        stream.write(part);
        await pause(20);
      }
      stream.end();
      return;
    }
    case "fails late": {
      stream.write("so far so good");
      await pause(300);
      throw new RangeError("the well ran dry");
    }
    case "http": {
      const page = awslambda.HttpResponseStream.from(stream, { statusCode: 201, headers: { "content-type": "text/plain" } });
      page.write("created");
      page.end();
      return;
    }
    case "large":
      await pipeline(Readable.from(pattern(event.length)), stream);
      return;
    default:
      throw new TypeError(`no such kind: ${event.kind}`);
  }
});
