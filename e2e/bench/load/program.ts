/**
 * The one program of the bench's image.
 *
 *     program.mjs load          reads commands from standard input, one a line, and writes what came of each
 *     program.mjs serve PORT    is the bare Node.js server
 *     program.mjs born          writes when this process began, in epoch milliseconds
 *     program.mjs wait          does nothing until it is ended
 */
import { createInterface } from "node:readline";
import { perform } from "./loops.ts";
import { Command } from "./messages.ts";
import { serve } from "./server.ts";

const [, , what, argument] = process.argv;
switch (what) {
  case "load":
    for await (const line of createInterface({ input: process.stdin })) {
      const outcome = await perform(Command.parse(JSON.parse(line)));
      process.stdout.write(`${JSON.stringify(outcome)}\n`);
    }
    process.exit(0);
    break;
  case "serve":
    serve(Number(argument));
    break;
  case "born":
    process.stdout.write(`${performance.timeOrigin}\n`);
    break;
  case "wait":
    setInterval(() => {}, 1 << 30);
    process.once("SIGTERM", () => process.exit(0));
    break;
  default:
    throw new Error(`"${what}" is none of load, serve, born, wait`);
}
