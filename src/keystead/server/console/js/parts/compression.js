// Compressed values: which they are, and what is in them. The browser decompresses: by a stream where it has one for
// scripts, else (zstd in most) as an answer of the server that says how it is encoded. A small value may stand for very
// much, so no more than LARGEST bytes are taken. Must not know: where the value is.

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
 * The same value as a stream of what is inside, from the server; null where there is no such way.
 * @typedef {((compression: Compression) => Promise<ReadableStream<Uint8Array>>) | null} Elsewhere
 */

/**
 * The bytes inside. Raises Error, saying why not.
 * @param {Uint8Array} bytes @param {Compression} compression @param {Elsewhere} elsewhere
 * @returns {Promise<{bytes: Uint8Array, isCut: boolean}>}
 */
export async function decompressed(bytes, compression, elsewhere) {
  const reader = (await streamOf(bytes, compression, elsewhere)).getReader();
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

/** @param {Uint8Array} bytes @param {Compression} compression @param {Elsewhere} elsewhere */
async function streamOf(bytes, compression, elsewhere) {
  try {
    return new Blob([bytes]).stream().pipeThrough(new DecompressionStream(/** @type {CompressionFormat} */ (compression)));
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
  }
  const cannot = `This browser cannot decompress ${compression}`;
  if (!elsewhere) throw new Error(`${cannot} here. Download the value to look inside.`);
  try {
    return await elsewhere(compression);
  } catch (error) {
    const { status } = /** @type {{status?: number}} */ (error);
    if (status === 406) throw new Error(`${cannot} from this address: browsers do so only over https or on the machine itself. Download the value to look inside.`);
    if (status === 0) throw new Error(`It begins like ${compression}, but it is damaged or something else.`);
    if (status === 412 || status === 404) throw new Error("The value has changed meanwhile. Load it again.");
    throw error;
  }
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
