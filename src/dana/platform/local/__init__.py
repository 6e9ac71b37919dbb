"""One machine: the embedded servers, and the supervisor that runs them and the services."""
