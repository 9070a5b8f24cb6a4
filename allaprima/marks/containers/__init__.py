"""Where a kind of file keeps an XMP packet. One kind a file: ``MEDIA_TYPE``, ``embed(data, packet)`` and ``find(data)``.

``embed`` gives the same file with the packet in it, in place of one that it had; ``find`` the packet, or None. A kind whose files
may be larger than memory has ``append(path, packet)`` too, and one that only takes a packet while it is written no ``embed``.
``begins(head)``: whether a file's first bytes are of this kind.
"""
