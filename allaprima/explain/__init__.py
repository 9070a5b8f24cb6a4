"""What a generator has learned, one question a file. Nothing here trains; what serves may use it."""
