"""One style a file (a dash in the style's name is an underscore in the file's).

A style is ``paint(scene, canvas) -> uint8 [H, W, 3]`` and ``WORD``, the adjective that the caption uses. It knows
parts and tones, and no subject.
"""
