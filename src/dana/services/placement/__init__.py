"""Placement, the shard manager: which organization lives on which shard, and how it moves while it works.

Owns: moves (in the catalog), with their state, progress and checksums.
Publishes: nothing; an organization doesn't notice that it moves.
Consumes: nothing.
"""
