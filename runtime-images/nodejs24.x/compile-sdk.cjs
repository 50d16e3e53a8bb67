/**
 * Fills the folder of compiled code that preload.cjs uses: loads everything that the runtime brings once, with the options that
 * change what V8 compiles.
 *
 *     node --expose-gc compile-sdk.cjs RUNTIME_FOLDER USER_ID
 */
"use strict";

const { chmodSync, readdirSync, renameSync } = require("node:fs");
const { createRequire, enableCompileCache, flushCompileCache } = require("node:module");
const { join } = require("node:path");

const [, , runtime, userId] = process.argv;
const cache = join(runtime, "compile-cache");
enableCompileCache(cache);

const requireThere = createRequire(join(runtime, "index.mjs"));
for (const name of readdirSync(join(runtime, "node_modules/@aws-sdk")))
  if (/^(client|lib)-|presigner$/.test(name)) requireThere(`@aws-sdk/${name}`);
flushCompileCache();

// Node lets nobody but the one who made them read the files, and that one's number is the end of the folder's name.
const made = readdirSync(cache);
const [name] = made;
const files = made.length === 1 && /-\d+$/.test(name) ? readdirSync(join(cache, name)) : [];
if (files.length === 0)
  throw new Error(`Node keeps compiled code in another way than this program knows: ${cache} holds [${made.join(", ")}]`);
for (const file of files) chmodSync(join(cache, name, file), 0o644);
renameSync(join(cache, name), join(cache, name.replace(/-\d+$/, `-${userId}`)));
