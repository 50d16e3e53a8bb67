import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Cidr, contains, formatCidr, minimalCidrs, NON_PUBLIC_RANGES, parseCidr } from "./cidr.ts";

const parsed = (text: string): Cidr => {
  const cidr = parseCidr(text);
  if (!cidr) throw new Error(`${text} is not a range`);
  return cidr;
};
const minimal = (...texts: string[]) => minimalCidrs(texts.map(parsed)).map(formatCidr);

const ipv4 = fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })).map(([address, length]) => parsed(`${address}/${length}`));
const ipv6 = fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })).map(([address, length]) => parsed(`${address}/${length}`));
/** Few addresses, so that ranges touch and overlap. */
const crowded = fc
  .tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 24, max: 32 }))
  .map(([octet, length]) => parsed(`192.0.2.${octet}/${length}`));

describe("parseCidr", () => {
  test.each([
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["10.1.2.3/8", "10.0.0.0/8"],
    ["192.0.2.7", "192.0.2.7/32"],
    ["0.0.0.0/0", "0.0.0.0/0"],
    ["::/0", "::/0"],
    ["::1", "::1/128"],
    ["FD00:0:0:0:0:0:0:1/64", "fd00::/64"],
    ["2001:db8:0:1:0:0:0:1/128", "2001:db8:0:1::1/128"],
    ["::ffff:192.0.2.1", "192.0.2.1/32"],
    ["::ffff:a00:0/104", "10.0.0.0/8"],
    ["64:ff9b::192.0.2.1", "64:ff9b::c000:201/128"],
  ])("reads %s as %s", (text, canonical) => {
    expect(formatCidr(parsed(text))).toBe(canonical);
  });

  test.each([
    "",
    "10.0.0/8",
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/-1",
    "010.0.0.1",
    "256.0.0.1",
    "1.2.3.4.5",
    "::/129",
    "1::2::3",
    "12345::",
    "1:2:3:4:5:6:7",
    "x",
    "fe80::1%eth0",
  ])("refuses %j", (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });

  test("reads back what formatCidr writes", () => {
    fc.assert(
      fc.property(fc.oneof(ipv4, ipv6), (cidr) => {
        expect(parseCidr(formatCidr(cidr))).toEqual(cidr);
      }),
    );
  });
});

describe("minimalCidrs", () => {
  test("leaves out what is inside another range", () => {
    expect(minimal("10.1.0.0/16", "10.0.0.0/8", "10.0.0.1/32")).toEqual(["10.0.0.0/8"]);
  });

  test("joins halves, and halves of halves", () => {
    expect(minimal("192.0.2.0/26", "192.0.2.64/26", "192.0.2.128/25")).toEqual(["192.0.2.0/24"]);
  });

  test("does not join neighbours that are not halves of one range", () => {
    expect(minimal("192.0.2.64/26", "192.0.2.128/26")).toEqual(["192.0.2.64/26", "192.0.2.128/26"]);
  });

  test("sorts, IPv4 first", () => {
    expect(minimal("fd00::/8", "203.0.113.0/24", "10.0.0.0/8")).toEqual(["10.0.0.0/8", "203.0.113.0/24", "fd00::/8"]);
  });

  test("holds exactly the same addresses", () => {
    fc.assert(
      fc.property(fc.array(crowded, { maxLength: 12 }), (cidrs) => {
        const result = minimalCidrs(cidrs);
        for (let octet = 0; octet < 256; octet++) {
          const address = parsed(`192.0.2.${octet}`);
          expect(result.some((c) => contains(c, address))).toBe(cidrs.some((c) => contains(c, address)));
        }
      }),
    );
  });

  test("gives the same list for any order and any repetition", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(crowded, ipv4, ipv6), { maxLength: 12 }), (cidrs) => {
        expect(minimalCidrs([...cidrs.toReversed(), ...cidrs])).toEqual(minimalCidrs(cidrs));
      }),
    );
  });

  test("keeps no range that another one holds, and no two halves", () => {
    fc.assert(
      fc.property(fc.array(crowded, { maxLength: 12 }), (cidrs) => {
        const result = minimalCidrs(cidrs);
        for (const a of result) for (const b of result) expect(a === b || !contains(a, b)).toBe(true);
        expect(minimalCidrs(result)).toEqual(result);
      }),
    );
  });
});

describe("NON_PUBLIC_RANGES", () => {
  test.each([
    "10.1.2.3",
    "172.31.0.1",
    "192.168.1.1",
    "127.0.0.1",
    "169.254.169.254",
    "100.100.0.1",
    "::1",
    "fd00:ec2::254",
    "fe80::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
  ])("hold %s", (address) => {
    expect(NON_PUBLIC_RANGES.some((range) => contains(parsed(range), parsed(address)))).toBe(true);
  });

  test.each(["8.8.8.8", "172.32.0.1", "203.0.113.10", "2606:4700::1111"])("do not hold %s", (address) => {
    expect(NON_PUBLIC_RANGES.some((range) => contains(parsed(range), parsed(address)))).toBe(false);
  });
});
