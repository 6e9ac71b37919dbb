"""The SQL of placement: on the catalog as its service, on shards as their administrator."""
