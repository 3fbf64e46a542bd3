// Compressed values: which they are, and what is in them. The browser decompresses; where it cannot (zstd in most), that
// is said. A small value may stand for very much, so no more than LARGEST bytes are taken.

export const LARGEST = 8 << 20;

/** @typedef {"gzip" | "deflate" | "zstd"} Compression */

/** @param {Uint8Array} bytes @returns {Compression | null} */
export function compressionOf(bytes) {
  const [first, second, third, fourth] = bytes;
  if (first === 0x1f && second === 0x8b && third === 8) return "gzip";
  if (first === 0x28 && second === 0xb5 && third === 0x2f && fourth === 0xfd) return "zstd";
  if (first === 0x78 && [0x01, 0x5e, 0x9c, 0xda].includes(second) && bytes.length > 6) return "deflate";
  return null;
}

/**
 * The bytes inside. Raises Error, saying why not.
 * @param {Uint8Array} bytes @param {Compression} compression @returns {Promise<{bytes: Uint8Array, isCut: boolean}>}
 */
export async function decompressed(bytes, compression) {
  let stream;
  try {
    stream = new DecompressionStream(/** @type {CompressionFormat} */ (compression));
  } catch {
    throw new Error(`This browser cannot decompress ${compression}. Download the value to look inside.`);
  }
  const reader = new Blob([bytes]).stream().pipeThrough(stream).getReader();
  const parts = [];
  let length = 0;
  try {
    while (length < LARGEST) {
      const { done, value } = await reader.read();
      if (done) return { bytes: joined(parts, length), isCut: false };
      parts.push(value);
      length += value.length;
    }
  } catch {
    throw new Error(`It begins like ${compression}, but it is damaged or something else.`);
  }
  await reader.cancel();
  return { bytes: joined(parts, length), isCut: true };
}

/** @param {Uint8Array[]} parts @param {number} length */
function joined(parts, length) {
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
