"""The verbs of auth.

Hashing a password takes longer than a transaction may stay open, and a change of a member concerns two
databases. So the verbs that do either open their own transactions, one after another, from a Desk.
"""
