"""Model servers: the outside world of the assistant."""
