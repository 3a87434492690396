"""Commands: what the console can be told, one file each."""
