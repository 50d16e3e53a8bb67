/**
 * Gives each event of the JSON list on standard input to a program's handler, without Lambda: here.cjs FILE CONTEXT.
 *
 * Prints the handler's answers as lines {"answer": …} among what the program itself prints.
 */
const { readFileSync } = require("node:fs");

const [file, context] = process.argv.slice(2);
const { handler } = require(file);

(async () => {
  for (const event of JSON.parse(readFileSync(0, "utf8"))) {
    const answer = await handler(event, { ...JSON.parse(context), getRemainingTimeInMillis: () => 10_000 });
    process.stdout.write(`${JSON.stringify({ answer })}\n`);
  }
})();
