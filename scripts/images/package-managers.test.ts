import { expect, test } from "vitest";
import { packageManagersAmong } from "./package-managers.ts";

test.each([
  "usr/bin/apt",
  "./usr/bin/apt-get",
  "usr/bin/dpkg",
  "usr/bin/dpkg-deb",
  "usr/sbin/dpkg-preconfigure",
  "usr/bin/pip3.11",
  "var/lang/bin/npm",
  "usr/local/bin/npx",
  "bin/yarn",
  "opt/maven/bin/mvn",
  "usr/lib/node_modules/npm/index.js",
  "usr/lib/node_modules/corepack/dist/corepack.js",
  "usr/lib/python3/dist-packages/pip/__main__.py",
  "usr/lib/python3.11/ensurepip/__init__.py",
])("%s belongs to a package manager", (path) => {
  expect(packageManagersAmong([path])).toEqual([path]);
});

test.each([
  "var/lib/dpkg/status",
  "usr/share/doc/apt/copyright",
  "var/lang/bin/node",
  "usr/bin/python3.11",
  "usr/bin/captoinfo",
  "var/runtime/node_modules/@smithy/core/package.json",
  "usr/share/perl5/Debconf/Element/Noninteractive/npm",
])("%s does not", (path) => {
  expect(packageManagersAmong([path])).toEqual([]);
});
