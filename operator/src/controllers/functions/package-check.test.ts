import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { type Zippable, zipSync } from "fflate";
import { describe, expect, test } from "vitest";
import { KappaError } from "../../domain/errors.ts";
import { checkBytes } from "./testing/check-bytes.ts";

const text = (content: string) => new TextEncoder().encode(content);
const zip = (files: Zippable) => Buffer.from(zipSync(files, { os: 3, attrs: 0o100644 << 16, mtime: new Date(1990, 1, 1) }));
const link = (target: string): Zippable[string] => [text(target), { os: 3, attrs: (0o120777 << 16) >>> 0, level: 0 }];
const good = () => zip({ "index.py": text("def handler(event, context): pass\n"), "lib/data.bin": randomBytes(5000) });

async function codeOf(bytes: Uint8Array): Promise<string> {
  try {
    await checkBytes(bytes);
    return "accepted";
  } catch (error) {
    if (error instanceof KappaError) return error.code;
    throw error;
  }
}

/** Overwrites a field of the first record with this signature. */
function patched(bytes: Buffer, signature: string, offset: number, value: number, width: 2 | 4 = 4): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUIntLE(value, copy.indexOf(signature, 0, "latin1") + offset, width);
  return copy;
}
/** An archive with the one entry of `single`, named by one letter, so many times under other letters. Much faster than to compress as often. */
function repeated(single: Buffer, times: number): Buffer {
  const directory = single.lastIndexOf(CENTRAL, undefined, "latin1");
  const end = single.lastIndexOf("PK\x05\x06", undefined, "latin1");
  const locals: Buffer[] = [];
  const records: Buffer[] = [];
  for (let index = 0; index < times; index++) {
    const local = Buffer.from(single.subarray(0, directory));
    const record = Buffer.from(single.subarray(directory, end));
    const letter = String.fromCharCode(97 + index);
    local.write(letter, 30);
    record.write(letter, 46);
    record.writeUInt32LE(index * local.length, 42);
    locals.push(local);
    records.push(record);
  }
  const tail = Buffer.from(single.subarray(end));
  tail.writeUInt16LE(times, 8);
  tail.writeUInt16LE(times, 10);
  tail.writeUInt32LE(Buffer.concat(records).length, 12);
  tail.writeUInt32LE(directory * times, 16);
  return Buffer.concat([...locals, ...records, tail]);
}
const CENTRAL = "PK\x01\x02";
const LOCAL = "PK\x03\x04";

describe("checkPackageFile", () => {
  test("accepts an ordinary package", async () => {
    expect(await codeOf(good())).toBe("accepted");
  });

  test("accepts a link that stays inside", async () => {
    expect(await codeOf(zip({ "libx.so.1": text("ELF"), "libx.so": link("libx.so.1") }))).toBe("accepted");
  });

  test.each([
    ["a text", Buffer.from("this is not a zip archive")],
    ["nothing", Buffer.alloc(0)],
    ["an archive without entries", zip({})],
    ["an archive cut off at its end", good().subarray(0, -30)],
    ["an archive cut off in the middle", good().subarray(0, 200)],
    ["an archive without its beginning", good().subarray(100)],
    ["a checksum that does not match", patched(good(), CENTRAL, 16, 0x12345678)],
    ["a central directory that points to no entry", patched(good(), CENTRAL, 42, 77)],
    ["an entry whose local header is overwritten", patched(good(), LOCAL, 0, 0)],
  ])("refuses %s as unreadable", async (_, bytes) => {
    expect(await codeOf(bytes)).toBe("K200");
  });

  test("refuses any damage to the data of an entry", async () => {
    const bytes = zip({ "index.py": text("print('hello world')\n".repeat(50)) });
    const start = bytes.indexOf(LOCAL, 0, "latin1") + 30 + "index.py".length;
    for (let offset = start; offset < start + 20; offset++) {
      const damaged = Buffer.from(bytes);
      damaged.writeUInt8(damaged.readUInt8(offset) ^ 0x20, offset);
      expect(await codeOf(damaged)).toBe("K200");
    }
  });

  test("refuses an entry that inflates to more than it declares", async () => {
    const zeros = zip({ zeros: new Uint8Array(100_000) });
    expect(await codeOf(patched(zeros, CENTRAL, 24, 1000))).toBe("K200");
  });

  test("refuses one entry too many of a bomb", async () => {
    const block = zip({ x: new Uint8Array(30_000_000) });
    expect(await codeOf(repeated(block, 8))).toBe("accepted");
    expect(await codeOf(repeated(block, 9))).toBe("K201");
  });

  test.each(["../evil.py", "/etc/cron.d/evil", "a/../../b", "C:/x", "..\\evil.py"])("refuses the entry %j", async (name) => {
    expect(await codeOf(zip({ [name]: text("x") }))).toBe("K202");
  });

  test("refuses a link out of the package", async () => {
    expect(await codeOf(zip({ passwd: link("../../etc/passwd") }))).toBe("K202");
  });

  test("refuses an encrypted entry", async () => {
    expect(await codeOf(patched(good(), CENTRAL, 8, 1, 2))).toBe("K206");
  });

  test("refuses an unknown compression", async () => {
    expect(await codeOf(patched(good(), CENTRAL, 10, 93, 2))).toBe("K206");
  });

  test("refuses a directory that would fill the memory", async () => {
    const comment = "c".repeat(60_000);
    const commented = Object.fromEntries(
      Array.from({ length: 600 }, (_, index): [string, Zippable[string]] => [`f${index}`, [text("x"), { comment }]]),
    );
    expect(await codeOf(zip(commented))).toBe("K201");
  });

  test("refuses the same name twice", async () => {
    const twice = zip({ "aa.py": text("1"), "ab.py": text("2") });
    const name = twice.lastIndexOf("ab.py");
    twice.write("aa.py", name);
    expect(await codeOf(twice)).toBe("K206");
  });
});
