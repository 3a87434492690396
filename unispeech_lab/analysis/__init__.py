"""Analysis: measurements from arrays to arrays, one file each."""
