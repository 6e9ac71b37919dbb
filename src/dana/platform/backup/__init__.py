"""Backups of the catalog, all shards and Valkey together, and the way back to any moment in between.

<backups>/ID/manifest.json            what it is, what it needs, checksums of all its files
          /servers/NAME/*.tar.gz      one PostgreSQL server, full or what has changed since another backup
          /valkey, /secrets           the rest of the installation
<backups>/wal/NAME/N/                 stream N of a server: its write-ahead log, without a gap
"""
