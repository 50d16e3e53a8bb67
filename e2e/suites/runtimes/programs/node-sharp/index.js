/** Makes a WebP preview of a picture. */
const sharp = require("sharp");

exports.handler = async ({ picture, width }) => {
  const preview = await sharp(Buffer.from(picture, "base64"))
    .rotate()
    .resize({ width, kernel: "lanczos3" })
    .sharpen()
    .webp({ quality: 82, effort: 4 })
    .toBuffer({ resolveWithObject: true });
  const { width: wide, height: high, format } = preview.info;
  return { width: wide, height: high, format, body: preview.data.toString("base64") };
};
