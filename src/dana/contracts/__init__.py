"""What services say to each other: events, queries and the nouns in them. Imports nothing of ours."""
