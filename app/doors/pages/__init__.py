"""The explorer: pages for people, rendered by the server and brought to life by plain scripts."""
