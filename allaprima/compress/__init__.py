"""What makes a generator smaller, quicker, or at home elsewhere. From a bundle to another form of it."""
