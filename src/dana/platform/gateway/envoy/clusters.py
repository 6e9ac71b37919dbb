"""How Envoy calls the upstreams: balance, probes, circuit breakers, ejection."""

from dana.platform.gateway.envoy.filters import NAMES, Config, seconds
from dana.platform.gateway.model import (
    Door,
    Ejection,
    Gateway,
    Probe,
    Sticky,
    Upstream,
    UpstreamPolicy,
    called,
)

MAGLEV_TABLE_SIZE = 65_537
MOST_OF_THE_MEAN_PERCENT = 150  # a sticky process this much busier than the mean gets nothing new


def cluster(gateway: Gateway, upstream: Upstream, door: Door) -> Config:
    """Return Envoy's cluster of one port of an upstream."""
    policy = gateway.policy(upstream)
    source = {
        "path": str(gateway.endpoints_file(upstream, door)),
        "watched_directory": {"path": str(gateway.folder)},
    }
    return {
        "name": called(upstream, door),
        "type": "EDS",
        "connect_timeout": seconds(policy.connect_seconds),
        "eds_cluster_config": {"eds_config": {"path_config_source": source, "resource_api_version": "V3"}},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": f"{NAMES}upstreams.http.v3.HttpProtocolOptions",
                "common_http_protocol_options": {"idle_timeout": seconds(policy.idle_seconds)},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
        "ignore_health_on_host_removal": True,  # what the file no longer names is gone, healthy or not
        "health_checks": [_probe(policy.socket_probe if door is Door.SOCKETS else policy.probe)],
        "outlier_detection": _ejection(policy.ejection),
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": policy.breaker.connections,
                    "max_pending_requests": policy.breaker.waiting,
                    "max_requests": policy.breaker.requests,
                    "max_retries": policy.breaker.retries,
                }
            ]
        },
        **_balance(policy),
    }


def _balance(policy: UpstreamPolicy) -> Config:
    if policy.sticky is Sticky.NONE:
        return {"lb_policy": "LEAST_REQUEST"}
    bounded = {"hash_balance_factor": MOST_OF_THE_MEAN_PERCENT}
    return {
        "lb_policy": "MAGLEV",
        "maglev_lb_config": {"table_size": MAGLEV_TABLE_SIZE},
        "common_lb_config": {"consistent_hashing_lb_config": bounded},
    }


def _probe(probe: Probe) -> Config:
    way: Config = {"http_health_check": {"path": probe.path}} if probe.path else {"tcp_health_check": {}}
    return {
        "timeout": seconds(probe.timeout_seconds),
        "interval": seconds(probe.every_seconds),
        "no_traffic_interval": seconds(probe.every_seconds),
        "unhealthy_threshold": probe.failures,
        "healthy_threshold": probe.successes,
        **way,
    }


def _ejection(ejection: Ejection) -> Config:
    return {
        # Not split by origin: a connection that opens would forgive the one that broke before it.
        "consecutive_5xx": ejection.failures,
        "enforcing_consecutive_5xx": 100,
        "enforcing_success_rate": 0,  # it compares processes, and few processes can't be compared
        "interval": seconds(ejection.every_seconds),
        "base_ejection_time": seconds(ejection.seconds),
        "max_ejection_time": seconds(ejection.longest_seconds),
        "max_ejection_percent": ejection.most_percent,
        "successful_active_health_check_uneject_host": False,  # it was ejected although its probe was well
    }
