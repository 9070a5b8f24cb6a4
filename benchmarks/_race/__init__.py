"""The race's tools: ``benchmarks/race.py`` drives them.

clock        a contestant's minutes, which stand still while the race looks at it
stage        what a contestant sees of the race: the pictures, the clock, when to stop, where samples go
host         runs one contestant in its own process and environment
contestants/ one package a file: how it is installed, its settings and where they come from, how it is raced
peers        what several packages need to run at all on a CPU
environments one virtual environment a package
datasets     the pictures, prepared once
lanes        which contestant runs on which cores, and which has run already
judge        samples → figures, by features that no contestant has seen
report       figures → JSON and a table
chart        figures → PNG

``host``, ``stage``, ``clock``, ``peers`` and the contestants run where Alla Prima is not installed: they import nothing of it.
"""
