"""Questions between services that run in different processes: by HTTP, signed, with a deadline and a breaker.

Where both run in one process, the one simply calls the other; who asks can't tell the difference.
"""
