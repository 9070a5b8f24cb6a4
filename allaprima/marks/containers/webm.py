"""WebM: nobody has said where a packet goes, and C2PA does not know the format. It is a tag named ``XMP`` that the film's writer
sets, which programs show as text; there is no ``embed``.
"""

from __future__ import annotations

import os

from allaprima import marks
from allaprima.marks import packet

MEDIA_TYPE = "video/webm"
BEGIN, END = b"<?xpacket begin=", b'<?xpacket end="r"?>'


def begins(head: bytes) -> bool:
    return head.startswith(b"\x1a\x45\xdf\xa3")


def tags() -> dict[str, str]:
    """For a film that is about to be written; it is named by chance, for nothing is known of it yet."""
    return {"XMP": packet.numbered(os.urandom(16).hex()).decode()} if marks.are_on() else {}


def find(data: bytes) -> bytes | None:
    begin = data.find(BEGIN)
    end = data.find(END, begin)
    return data[begin : end + len(END)] if 0 <= begin < end else None
