"""Side by side: Sluice, the plainest route that could do the same, and what people use today."""
