"""The XMP packet (ISO 16684-1): a few hundred bytes of XML that travel inside a file.

Use: ``xml = write(data)``; ``read(xml)`` → ``{"DigitalSourceType": "http…", …}``.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from xml.etree import ElementTree
from xml.sax.saxutils import escape

GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
XMP = "http://ns.adobe.com/xap/1.0/"
TC260 = "http://www.tc260.org.cn/ns/AIGC/1.0/"  # of the committee behind GB 45438-2025
PROGRAM = "Alla Prima"
PRODUCER = "ALLAPRIMA_PRODUCER"  # who publishes, for the label of GB 45438-2025
MOST = 1 << 20  # bytes of a packet that is read
TEMPLATE = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{rdf}"><rdf:Description rdf:about=""
 xmlns:xmp="{xmp}" xmlns:Iptc4xmpExt="{iptc}" xmlns:TC260="{tc260}">
<xmp:CreatorTool>{program} {version}</xmp:CreatorTool>
<Iptc4xmpExt:DigitalSourceType>{generated}</Iptc4xmpExt:DigitalSourceType>
<Iptc4xmpExt:AISystemUsed>{program}</Iptc4xmpExt:AISystemUsed>
<Iptc4xmpExt:AISystemVersionUsed>{version}</Iptc4xmpExt:AISystemVersionUsed>
<TC260:AIGC>{label}</TC260:AIGC>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""


@cache
def program_version() -> str:
    """This package's, or ``0`` where it was never installed."""
    try:
        return version("allaprima")
    except PackageNotFoundError:
        return "0"


def producer() -> str:
    """Who produces, as ``ALLAPRIMA_PRODUCER`` names them; the program, where nobody is named."""
    return os.environ.get(PRODUCER, "").strip() or PROGRAM


def label(number: str) -> dict[str, str]:
    """GB 45438-2025's fields, all strings. ``Label`` 1: it is generated. ``ProduceID``: the picture's ``number``."""
    return {
        "Label": "1",
        "ContentProducer": producer(),
        "ProduceID": number,
        "ReservedCode1": "",
        "ContentPropagator": "",
        "PropagateID": "",
        "ReservedCode2": "",
    }


def write(data: bytes) -> bytes:
    """The marks of the picture that ``data`` holds, numbered by its content, which tells nothing else of it."""
    return numbered(hashlib.sha256(data).hexdigest()[:32])


def numbered(number: str) -> bytes:
    """The marks of a picture that has this number."""
    label_ = json.dumps(label(number), ensure_ascii=False, separators=(",", ":"))
    fields = {"rdf": RDF, "xmp": XMP, "iptc": IPTC, "tc260": TC260, "generated": GENERATED}
    words = {"program": PROGRAM, "version": program_version(), "label": label_}
    return TEMPLATE.format(**fields, **{key: escape(word) for key, word in words.items()}).encode()


def read(xml: bytes) -> dict[str, str]:
    """Properties by name, ours or another program's; nothing of what is no XMP, or is made to do harm."""
    if len(xml) > MOST or re.search(rb"<!(DOCTYPE|ENTITY)", xml, re.IGNORECASE):
        return {}
    try:
        root = ElementTree.fromstring(re.sub(rb"<\?xpacket.*?\?>", b"", xml, flags=re.DOTALL).strip())
    except ElementTree.ParseError:
        return {}
    found: dict[str, str] = {}
    for description in root.iter(f"{{{RDF}}}Description"):
        found.update(
            {_local(key): value for key, value in description.attrib.items() if not key.startswith(f"{{{RDF}}}")}
        )
        for one in description:
            text = " ".join(part.strip() for part in one.itertext() if part.strip())
            found[_local(one.tag)] = text or one.attrib.get(f"{{{RDF}}}resource", "")
    return found


def _local(name: str) -> str:
    return name.rpartition("}")[2]
