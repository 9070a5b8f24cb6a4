"""The report's sections, one a file: ``PLACE`` orders them, ``section(material)`` gives HTML, or nothing."""
