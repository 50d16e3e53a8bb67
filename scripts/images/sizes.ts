/** Sizes of the images as they were when somebody last recorded them: for the documentation. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { writeWhole } from "../../e2e/cluster/files.ts";
import { type BuiltImage, mebibytes } from "./builder.ts";

const ImageSizes = z.object({ compressedMib: z.number(), unpackedMib: z.number() });

export type ImageSizes = z.infer<typeof ImageSizes>;

const FILE = join(import.meta.dirname, "sizes.json");

/** Image by name → its sizes. */
export const readSizes = (): Record<string, ImageSizes> => z.record(z.string(), ImageSizes).parse(JSON.parse(readFileSync(FILE, "utf8")));

/** Records the sizes of what was built. */
export async function recordSizes(images: readonly BuiltImage[]): Promise<void> {
  const sizes = images.map(({ name, compressedBytes, unpackedBytes }) => [
    name,
    { compressedMib: mebibytes(compressedBytes), unpackedMib: mebibytes(unpackedBytes) },
  ]);
  await writeWhole(FILE, `${JSON.stringify(Object.fromEntries(sizes), undefined, 2)}\n`);
}
