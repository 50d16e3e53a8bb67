"""Writes a JPEG of 2,400 × 1,600 points with fine detail, photographic gradients and an EXIF orientation to the named file."""
import sys

from PIL import Image, ImageFilter

fractal = Image.effect_mandelbrot((2400, 1600), (-2.2, -1.2, 1.0, 1.2), 100)
noise = Image.effect_noise((2400, 1600), 40).filter(ImageFilter.GaussianBlur(2))
sky = Image.linear_gradient("L").resize((2400, 1600))
exif = Image.Exif()
exif[0x0112] = 6
Image.merge("RGB", (fractal, noise, sky)).save(sys.argv[1], "JPEG", quality=88, exif=exif)
