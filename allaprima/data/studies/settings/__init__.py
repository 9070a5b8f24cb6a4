"""One setting a file: what surrounds a subject, in tints of the background's colour.

A setting is ``surround(extent, ground, v) -> (behind, front)``: two lists of parts, one on each side of the subject.
``extent`` is (half width, half height) of the picture in units, ``ground`` the height (y down) at which a standing
subject stands, ``v`` four shape parameters in [0, 1].
"""
