"""The built-in picture set: procedural studies, subjects × styles × colours × backgrounds, drawn by our own code."""
