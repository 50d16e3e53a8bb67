import { describe, expect, test } from "vitest";
import { chooseGateways, hostPort, redialPause } from "./choose.ts";

const addresses = Array.from({ length: 10 }, (_, index) => `10.0.0.${index}:8081`);

describe("the gateways of an agent", () => {
  test("are all of them, once each, when there are few", () => {
    expect(chooseGateways("pod", ["b:1", "a:1", "b:1"], 3)).toEqual(["a:1", "b:1"]);
  });

  test("are as many as allowed, always the same for a name, whatever their order", () => {
    const chosen = chooseGateways("pod", addresses, 3);
    expect(new Set(chosen).size).toBe(3);
    expect(chooseGateways("pod", [...addresses].reverse(), 3)).toEqual(chosen);
  });

  test("spread over many agents", () => {
    const count = new Map<string, number>();
    for (let pod = 0; pod < 1000; pod++)
      for (const address of chooseGateways(`pod-${pod}`, addresses, 3)) count.set(address, (count.get(address) ?? 0) + 1);
    expect(Math.min(...count.values())).toBeGreaterThan(200);
    expect(Math.max(...count.values())).toBeLessThan(400);
  });

  test("change by one when one of them goes", () => {
    const before = chooseGateways("pod", addresses, 3);
    const after = chooseGateways(
      "pod",
      addresses.filter((address) => address !== before[0]),
      3,
    );
    expect(after.filter((address) => before.includes(address))).toEqual(before.slice(1));
  });
});

describe("the pause before dialling again", () => {
  const limits = { firstMs: 100, maxMs: 5000 };

  test("doubles up to its limit", () => {
    expect([1, 2, 3, 10].map((attempt) => redialPause(attempt, limits, () => 1))).toEqual([100, 200, 400, 5000]);
  });

  test("is between half and all of it", () => {
    expect(redialPause(1, limits, () => 0)).toBe(50);
    expect(redialPause(2000, limits, () => 0)).toBe(2500);
  });
});

test("an IPv6 address has brackets", () => {
  expect([hostPort("10.0.0.1", 8081), hostPort("fd00::1", 8081)]).toEqual(["10.0.0.1:8081", "[fd00::1]:8081"]);
});
