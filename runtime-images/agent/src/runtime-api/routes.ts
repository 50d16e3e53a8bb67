/** Which call of the Runtime API (2018-06-01) a request is. */

/** What a runtime can ask or tell. */
export type Call = "next" | "response" | "error" | "initError";

export type Route = { call: Call; requestId?: string } | { status: 404 } | { status: 405; allow: "GET" | "POST" };

const PREFIX = "/2018-06-01/runtime/";
const INVOCATION = `${PREFIX}invocation/`;
const NEXT = `${INVOCATION}next`;

/** Anything that is no call is answered as the emulator's router does: 404 for a path, 405 for a method. */
export function route(method: string, url: string): Route {
  const query = url.indexOf("?");
  const path = query < 0 ? url : url.slice(0, query);
  if (path === NEXT) return method === "GET" ? { call: "next" } : { status: 405, allow: "GET" };
  if (path === `${PREFIX}init/error`) return method === "POST" ? { call: "initError" } : { status: 405, allow: "POST" };
  if (!path.startsWith(INVOCATION)) return { status: 404 };
  const slash = path.indexOf("/", INVOCATION.length);
  if (slash < 0) return { status: 404 };
  const action = path.slice(slash + 1);
  if (action !== "response" && action !== "error") return { status: 404 };
  return method === "POST" ? { call: action, requestId: path.slice(INVOCATION.length, slash) } : { status: 405, allow: "POST" };
}
