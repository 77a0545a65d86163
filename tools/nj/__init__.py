"""What ./nj does, one file a concept. Python's standard library only."""
