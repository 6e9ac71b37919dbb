"""What customers ask in the journeys, and what the sample help centre knows about it."""

COVERED = "How many days after delivery can I return an item?"
COVERED_ANSWER = "30 days"
UNCOVERED = "Who won the chess world championship in 1972?"
