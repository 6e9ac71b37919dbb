"""realtime: brings every event to the browsers that may see it, over WebSockets.

Tables: none; it reads `platform.event_log`. Publishes: no events, but who is typing (ephemera).
Consumes: the fan-out of all organizations that have a socket on this node, not the durable deliveries:
a socket that isn't there misses nothing, because it resumes from its cursor.

    commit ─► Valkey ─► Feed of the organization ─► members' sockets, visitors' sockets
                          │  ▲ a gap in the cursors
                          ▼  │
                       event log
"""
