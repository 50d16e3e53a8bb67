/**
 * Built-in modules that are not imported in the usual way. An `import` reads every export of a built-in module, and some exports
 * load large parts of Node when they are read: undici behind node:http, Web Crypto behind node:crypto. Taken like this they cost
 * neither their memory nor their time in every environment.
 */
export const http = process.getBuiltinModule("node:http");
export const crypto = process.getBuiltinModule("node:crypto");
