"""The ways in: each makes a Selection of what its clients send, and writes what they read."""
