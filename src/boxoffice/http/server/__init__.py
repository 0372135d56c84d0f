"""The server: listening, connections, the reading of requests and the writing of answers."""
