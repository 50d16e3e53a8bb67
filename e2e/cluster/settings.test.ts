import { describe, expect, test } from "vitest";
import { settingsFrom } from "./settings.ts";

test("without any variable everything has its usual place", () => {
  expect(settingsFrom({}, "/home/me")).toEqual({
    engine: undefined,
    nodeImage: undefined,
    stateDir: "/home/me/.local/state/kappa",
    cacheDir: "/home/me/.cache/kappa",
    ports: { api: 16443, gateway: 18080, spare: 18090 },
  });
});

test("the XDG folders and the ports are followed", () => {
  const settings = settingsFrom({ XDG_STATE_HOME: "/s", XDG_CACHE_HOME: "/c", KAPPA_API_PORT: "6443", KAPPA_ENGINE: "docker" }, "/home/me");
  expect(settings).toMatchObject({ stateDir: "/s/kappa", cacheDir: "/c/kappa", engine: "docker", ports: { api: 6443, gateway: 18080 } });
});

describe("a value that cannot be used is named with its variable", () => {
  test.each([
    [{ KAPPA_ENGINE: "lxc" }, /KAPPA_ENGINE is "lxc"/],
    [{ KAPPA_API_PORT: "0" }, /KAPPA_API_PORT is "0"/],
    [{ KAPPA_GATEWAY_PORT: "http" }, /KAPPA_GATEWAY_PORT is "http"/],
    [{ KAPPA_SPARE_PORT: "16443" }, /same port is chosen twice/],
  ])("%j", (env, message) => {
    expect(() => settingsFrom(env, "/home/me")).toThrow(message);
  });
});
