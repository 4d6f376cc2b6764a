"""What happened, as records; and the sinks that count or write it."""
