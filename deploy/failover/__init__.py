"""Three PostgreSQL servers on one machine that take over from each other, and a drill that proves it.

    etcd ◄── lease of the leader ── Patroni 1 ─► PostgreSQL 1 ══ streams ══► 2, 3
                                    Patroni 2, Patroni 3: take the lease when it runs out

`cluster` runs them, for tests, for benchmarks and to try things out; docs/operate/failover.md says what to do
with a real one.
"""
