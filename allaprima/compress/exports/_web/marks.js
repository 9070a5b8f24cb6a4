// A saved picture says that a machine made it: XMP in an iTXt chunk of the PNG, behind its head.
"use strict";

self.Marks = (() => {
  const HEAD_ENDS = 33; // signature and IHDR
  const KEYWORD = "XML:com.adobe.xmp";

  function crc32(data) {
    let sum = ~0;
    for (const byte of data) {
      sum ^= byte;
      for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
    }
    return ~sum >>> 0;
  }

  function number() {
    return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  // PNG bytes → PNG bytes; as they are where the export was told to leave the marks out
  function marked(png, packet) {
    if (!packet) return png;
    // zeros: the keyword's end, not compressed (two bytes), no language, no translated keyword
    const text = `iTXt${KEYWORD}\0\0\0\0\0${packet.replace("NUMBER-OF-THE-PICTURE", number())}`;
    const body = new TextEncoder().encode(text);
    const made = new Uint8Array(png.length + body.length + 8);
    const view = new DataView(made.buffer);
    made.set(png.subarray(0, HEAD_ENDS));
    view.setUint32(HEAD_ENDS, body.length - 4);
    made.set(body, HEAD_ENDS + 4);
    view.setUint32(HEAD_ENDS + 4 + body.length, crc32(body));
    made.set(png.subarray(HEAD_ENDS), HEAD_ENDS + 8 + body.length);
    return made;
  }

  return { marked };
})();
