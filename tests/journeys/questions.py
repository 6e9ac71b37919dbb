"""What customers ask in the journeys, and what the sample help centre knows about it."""

COVERED = "How long do I have to return something?"
COVERED_ANSWER = "30 days"
ALSO_COVERED = "Which payment methods do you accept?"
UNCOVERED = "Who won the chess world championship in 1972?"
