/** Version 3 of AWS's runtime client is a function; version 4 starts by itself. */
import { run } from "./index.mjs";

await run(process.env.LAMBDA_TASK_ROOT, process.env._HANDLER);
