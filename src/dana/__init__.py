"""Dana: organizations talk with their customers, helped by an assistant that cites its sources."""
