"""One subject a file; the file's name is the word in the caption.

A subject is ``draw(v) -> list[Part]`` in [-1, 1] (x to the right, y down, facing right, standing on y ≈ 0.9),
where ``v`` holds six shape parameters in [0, 1]. It may also say ``SETTINGS`` (which settings suit it), ``SWAY``
(how far it may turn, degrees) and ``GROUNDED`` (whether it stands on the ground of its setting).
"""
