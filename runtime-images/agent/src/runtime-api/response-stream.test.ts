import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ResponseStream, type StreamEnd } from "./response-stream.ts";

function streamOf(window: number, max = 1_000_000) {
  const sent: Uint8Array[] = [];
  const ends: StreamEnd[] = [];
  const source = {
    contentType: undefined,
    paused: false,
    pause: () => {
      source.paused = true;
    },
    resume: () => {
      source.paused = false;
    },
  };
  const stream = new ResponseStream({ source, window, max, send: (bytes) => sent.push(bytes), onEnd: (end) => ends.push(end) });
  return { stream, source, sent, ends, text: () => Buffer.concat(sent).toString(), bytes: () => Buffer.concat(sent).length };
}

describe("a streamed response", () => {
  test("is passed on as it arrives, and ends when the runtime says so", () => {
    const { stream, text, ends, source } = streamOf(100);
    expect(stream.started).toBe(false);
    stream.push(Buffer.from("one "));
    expect(text()).toBe("one ");
    stream.push(Buffer.from("two"));
    stream.end({ how: "complete" });
    expect([text(), ends, source.paused, stream.started]).toEqual(["one two", [{ how: "complete" }], false, true]);
  });

  test("has no more under way than the window, and its runtime waits for credit", () => {
    const { stream, text, ends, source } = streamOf(4);
    stream.push(Buffer.from("abcdefghij"));
    expect([text(), source.paused]).toEqual(["abcd", true]);
    stream.end({ how: "complete" });
    stream.credit(3);
    expect([text(), source.paused, ends]).toEqual(["abcdefg", true, []]);
    stream.credit(1);
    expect([text(), source.paused]).toEqual(["abcdefg", true]);
    stream.credit(100);
    expect([text(), source.paused, ends]).toEqual(["abcdefghij", false, [{ how: "complete" }]]);
  });

  test("is not cut into crumbs by the credit for crumbs", () => {
    const { stream, sent } = streamOf(100);
    stream.push(Buffer.alloc(98));
    for (let part = 0; part < 20; part++) {
      stream.push(Buffer.alloc(10));
      stream.credit(10);
    }
    for (const piece of sent) expect(piece.length).toBeGreaterThanOrEqual(10);
  });

  test("over the limit ends with all that fits in it, and takes the rest without passing it on", () => {
    const { stream, text, ends } = streamOf(100, 5);
    stream.push(Buffer.from("abc"));
    stream.push(Buffer.from("defg"));
    stream.push(Buffer.from("h"));
    stream.end({ how: "complete" });
    expect([text(), ends, stream.tooLarge]).toEqual(["abcde", [{ how: "tooLarge" }], true]);
  });

  test("of exactly the limit is not too large", () => {
    const { stream, ends } = streamOf(100, 5);
    stream.push(Buffer.from("abcde"));
    stream.end({ how: "complete" });
    expect(ends).toEqual([{ how: "complete" }]);
  });

  test("whose receiver is gone goes on to its end, and what comes is dropped", () => {
    const { stream, text, ends, source } = streamOf(2);
    stream.push(Buffer.from("abcd"));
    stream.discard();
    expect(source.paused).toBe(false);
    stream.push(Buffer.from("efgh"));
    stream.end({ how: "complete" });
    expect([text(), ends]).toEqual(["ab", [{ how: "complete" }]]);
  });

  test("that was aborted says nothing more", () => {
    const { stream, text, ends } = streamOf(2);
    stream.push(Buffer.from("abcd"));
    stream.abort();
    stream.credit(2);
    stream.push(Buffer.from("ef"));
    stream.end({ how: "complete" });
    expect([text(), ends]).toEqual(["ab", []]);
  });
});

test("whatever comes in whatever pieces, the bytes are the same, in order, and never more than the window without credit", () => {
  const step = fc.oneof(fc.string({ maxLength: 40 }), fc.integer({ min: 1, max: 60 }));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.array(step, { maxLength: 40 }), (window, steps) => {
      const { stream, bytes, text, ends, source } = streamOf(window);
      let wanted = "";
      let credited = 0;
      for (const action of steps) {
        if (typeof action === "string") {
          wanted += action;
          stream.push(Buffer.from(action));
        } else {
          // A gateway never gives back more than it got.
          const given = Math.min(action, bytes() - credited);
          credited += given;
          stream.credit(given);
        }
        expect(bytes() - credited).toBeLessThanOrEqual(window);
        expect(source.paused).toBe(bytes() < Buffer.byteLength(wanted));
      }
      stream.end({ how: "complete" });
      for (let round = 0; ends.length === 0 && round < 10_000; round++) {
        const given = bytes() - credited;
        credited += given;
        stream.credit(given);
      }
      expect(text()).toBe(wanted);
      expect(source.paused).toBe(false);
    }),
  );
});
