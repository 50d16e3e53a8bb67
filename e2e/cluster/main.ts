import { describeFailure } from "./failure.ts";
import { withLock } from "./lock.ts";
import { pathsOf } from "./paths.ts";
import { whatRemains } from "./remains.ts";
import { removeCluster } from "./remove.ts";
import { settingsFrom } from "./settings.ts";
import { up } from "./up.ts";

const settings = settingsFrom(process.env);
const paths = pathsOf(settings);
try {
  if (process.argv[2] === "up") await withLock(paths.stateDir, () => up(settings, paths));
  if (process.argv[2] === "down") {
    await withLock(paths.stateDir, () => removeCluster(paths));
    console.log(await whatRemains(paths));
  }
} catch (e) {
  console.error(describeFailure(e));
  process.exitCode = 1;
}
