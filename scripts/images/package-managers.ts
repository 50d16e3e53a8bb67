/** Programs that install software: of use to an attacker inside an environment, and to nobody else there. */
const PROGRAMS = /(^|\/)s?bin\/(apt(-\w+)*|dpkg(-\w+)*|apk|dnf|microdnf|yum|rpm|pip[\d.]*|npm|npx|corepack|yarn|pnpm|mvn|gradle|gem)$/;

/** The same as libraries, which an interpreter starts by their name. */
const LIBRARIES = /(^|\/)((node_modules\/(npm|corepack|yarn|pnpm))|((site|dist)-packages\/pip)|ensurepip)\//;

/** Those of an image's files that belong to a package manager. Pure. */
export function packageManagersAmong(paths: readonly string[]): string[] {
  return paths.filter((path) => PROGRAMS.test(path) || LIBRARIES.test(path));
}
