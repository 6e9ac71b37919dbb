"""What runs around Dana: programs and files for whoever operates it."""
