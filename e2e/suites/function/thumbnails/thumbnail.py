"""Makes a PNG thumbnail of a JPEG: the work that people really give to Lambda."""
import base64
import io

from PIL import Image, ImageOps


def thumbnail(jpeg: bytes, size: int) -> bytes:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(jpeg)))
    image.thumbnail((size, size), Image.Resampling.LANCZOS)
    png = io.BytesIO()
    image.save(png, "PNG", optimize=True)
    return png.getvalue()


def handler(event, context):
    png = thumbnail(base64.b64decode(event["jpeg"]), event["size"])
    return {"statusCode": 200, "isBase64Encoded": True, "headers": {"Content-Type": "image/png"}, "body": base64.b64encode(png).decode()}
