"""What a trained generator gives away about the pictures it was trained on."""
