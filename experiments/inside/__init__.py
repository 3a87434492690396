"""What is inside models that were trained alike: which layer knows what, and what becomes of the codebook."""
