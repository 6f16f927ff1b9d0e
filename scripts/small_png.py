"""Makes screenshots small: at most 256 colours and one byte a pixel, which is all that a page of text needs.

The browser counts colours, for it can decode a PNG; this writes what it found. Not for photographs.
"""

from __future__ import annotations

import struct
import zlib
from base64 import b64decode, b64encode

from playwright.sync_api import Page

# Gives width, height, the palette (RGB, base64) and one index a pixel (base64). The 256 commonest colours stay as they
# are; each other one becomes the nearest of them.
_COUNT = """
async (text) => {
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const data = context.getImageData(0, 0, image.width, image.height).data;
  const counts = new Map();
  for (let i = 0; i < data.length; i += 4) {
    const colour = (data[i] << 16) | (data[i + 1] << 8) | data[i + 2];
    counts.set(colour, (counts.get(colour) || 0) + 1);
  }
  const kept = [...counts].sort((a, b) => b[1] - a[1]).slice(0, 256).map((pair) => pair[0]);
  const places = new Map(kept.map((colour, place) => [colour, place]));
  const nearest = (colour) => {
    let best = 0, least = Infinity;
    for (let place = 0; place < kept.length; place++) {
      const r = (kept[place] >> 16) - (colour >> 16);
      const g = ((kept[place] >> 8) & 255) - ((colour >> 8) & 255);
      const b = (kept[place] & 255) - (colour & 255);
      const distance = r * r + g * g + b * b;
      if (distance < least) { least = distance; best = place; }
    }
    return best;
  };
  for (const colour of counts.keys()) if (!places.has(colour)) places.set(colour, nearest(colour));
  const pixels = new Uint8Array(data.length / 4);
  for (let i = 0; i < pixels.length; i++) {
    pixels[i] = places.get((data[4 * i] << 16) | (data[4 * i + 1] << 8) | data[4 * i + 2]);
  }
  const packed = (array) => {
    let said = "";
    for (let i = 0; i < array.length; i += 32768) said += String.fromCharCode(...array.subarray(i, i + 32768));
    return btoa(said);
  };
  const palette = new Uint8Array(kept.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]));
  return [image.width, image.height, packed(palette), packed(pixels)];
}
"""


def small_png(page: Page, png: bytes) -> bytes:
    """The same picture in at most 256 colours. `page` is any page without a policy, such as `about:blank`."""
    width, height, palette, pixels = page.evaluate(_COUNT, b64encode(png).decode())
    rows = b64decode(pixels)
    lines = b"".join(b"\0" + rows[y * width : (y + 1) * width] for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"PLTE", b64decode(palette)), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
