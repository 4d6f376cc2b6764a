"""Load on loopback: the sample in an S3 server, Sluice reading it, users who check each answer."""
