"""One file per question. `python -m benchmarks.NAME` prints one line of JSON at the end."""
