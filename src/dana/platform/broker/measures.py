"""What the operator sees of the broker: how far the relay is behind, and whether anybody is connected."""

from prometheus_client import Counter, Gauge

RELAY_LAG = Gauge(
    "dana_relay_lag_seconds", "Age of the oldest event that the broker doesn't have.", ["shard"]
)
RELAYED = Counter("dana_relay_events_total", "Events published and confirmed.", ["shard"])
UNCONFIRMED = Gauge("dana_broker_unconfirmed", "Messages sent that the broker hasn't confirmed yet.")
REFUSED = Counter("dana_broker_publish_failures_total", "Batches that were not confirmed.", ["reason"])
CONNECTED = Gauge("dana_broker_connected", "1 while connected to the broker.", ["use"])
RECONNECTS = Counter("dana_broker_reconnects_total", "Times that a lost connection came back.", ["use"])
TOKENS = Gauge("dana_broker_tokens_held", "Tokens whose work has not finished.", ["group", "lane"])
GAPS = Counter(
    "dana_stream_gaps_total", "Events that a stream didn't have, read from PostgreSQL.", ["reader"]
)
