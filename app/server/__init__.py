"""Running the service: the processes of one server, and HTTP on their connections."""
