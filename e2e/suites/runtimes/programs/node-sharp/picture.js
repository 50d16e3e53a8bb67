/** Writes a PNG with gradients and fine detail, the same on every machine, to the file that is named first. */
const sharp = require("sharp");

const width = 1500;
const height = 1000;
const points = Buffer.alloc(width * height * 3);
for (let y = 0; y < height; y++) {
  for (let x = 0; x < width; x++) {
    const at = (y * width + x) * 3;
    points[at] = (x * y) % 251;
    points[at + 1] = Math.floor((255 * x) / width);
    points[at + 2] = (x ^ y) & 255;
  }
}
sharp(points, { raw: { width, height, channels: 3 } })
  .withMetadata({ orientation: 6 })
  .png({ compressionLevel: 6 })
  .toFile(process.argv[2]);
