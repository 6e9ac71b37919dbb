"""The gateway for Kubernetes: nothing of the model is missing, nothing refers to what isn't there."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dana.platform.gateway import headers, kubernetes
from dana.platform.gateway.kubernetes.cluster import AUTH_LABEL, TRAFFIC_LABEL, Cluster, route_name
from dana.platform.gateway.kubernetes.writing import to_yaml
from dana.platform.gateway.model import Auth, Manner, Repeat, Route
from tests.platform.gateway.precedence import first_match, most_special_match

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "deploy" / "kubernetes" / "gateway" / "gateway.yaml"
SCHEMAS = ROOT.parent / "shared" / "data" / "crd-schemas"
WITHOUT_SCHEMA = {"HTTPRouteFilter"}

MODEL = kubernetes.dana_gateway()
CLUSTER = Cluster()
RESOURCES = kubernetes.resources(MODEL, CLUSTER)
WAYS = [(route, manner) for route in MODEL.routes for manner in route.manners]

Resource = dict[str, Any]


def of_kind(kind: str) -> list[Resource]:
    return [one for one in RESOURCES if one["kind"] == kind]


def named(kind: str, name: str) -> Resource:
    (found,) = [one for one in of_kind(kind) if one["metadata"]["name"] == name]
    return found


def selecting(kind: str, http_route: Resource) -> list[Resource]:
    """Return the policies of a kind that are attached to a route itself."""
    labels = http_route["metadata"].get("labels", {})
    return [
        policy
        for policy in of_kind(kind)
        for selector in policy["spec"].get("targetSelectors", [])
        if selector["matchLabels"].items() <= labels.items()
    ]


def written(route: Route, manner: Manner) -> Resource:
    return named("HTTPRoute", route_name(route, manner))


def test_what_is_committed_is_what_the_emitter_gives() -> None:
    assert COMMITTED.read_text() == kubernetes.render(RESOURCES), (
        "run: dana gateway kubernetes > deploy/kubernetes/gateway/gateway.yaml"
    )


def test_yaml_says_the_same_as_the_resources() -> None:
    assert list(yaml.safe_load_all(kubernetes.render(RESOURCES))) == RESOURCES


letters = st.characters(exclude_categories=["Cs"], max_codepoint=0xFFFF)
like_others = ["yes", "No", "1", "1e3", "0x1", "~", "a: b", "- a", "#", "a-", "=", "<<"]
words = st.text(letters, max_size=8) | st.sampled_from(like_others)
documents = st.recursive(
    words | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(words, documents, min_size=1, max_size=4))
def test_whatever_is_written_is_read_back(content: dict[str, Any]) -> None:
    assert yaml.safe_load(to_yaml(content)) == content


def test_the_operators_would_accept_it() -> None:
    if not SCHEMAS.is_dir():
        pytest.skip("the operators' schemas aren't here")
    unknown = set()
    for one in RESOURCES:
        group, version = one["apiVersion"].split("/")
        path = SCHEMAS / group / f"{one['kind'].lower()}_{version}.json"
        if not path.exists():
            unknown.add(one["kind"])
            continue
        found = jsonschema.Draft202012Validator(json.loads(path.read_text())).iter_errors(one)
        assert not [f"{one['metadata']['name']}: {error.message}" for error in found]
    assert unknown == WITHOUT_SCHEMA


def test_names_are_names_and_given_once() -> None:
    names = Counter((one["kind"], one["metadata"]["name"]) for one in RESOURCES)
    assert set(names.values()) == {1}
    for _, name in names:
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", name), name
    assert {one["metadata"]["namespace"] for one in RESOURCES} == {CLUSTER.namespace}


@pytest.mark.parametrize(("route", "manner"), WAYS, ids=lambda one: getattr(one, "path", None) or one.name)
def test_every_route_of_the_model_is_there(route: Route, manner: Manner) -> None:
    (rule,) = written(route, manner)["spec"]["rules"]
    port = CLUSTER.socket_port if route.is_websocket else CLUSTER.service_port
    assert rule["backendRefs"] == [{"name": f"dana-{route.upstream}", "port": port}]
    is_endless = route.is_websocket or route.is_stream
    assert rule["timeouts"]["request"] == ("0s" if is_endless else f"{route.timeout_seconds:g}s")
    assert {match["path"]["value"] for match in rule["matches"]} == {route.pattern or route.path}
    assert {match.get("method") for match in rule["matches"]} == set(manner.methods or [None])
    assert [bool(match.get("headers")) for match in rule["matches"]] == [manner.needs_key] * len(
        rule["matches"]
    )
    (overwritten,) = rule["filters"][0]["requestHeaderModifier"]["set"]
    assert overwritten["name"] == headers.ADDRESS


@pytest.mark.parametrize(("route", "manner"), WAYS, ids=lambda one: getattr(one, "path", None) or one.name)
def test_every_route_is_checked_as_the_model_says(route: Route, manner: Manner) -> None:
    policies = selecting("SecurityPolicy", written(route, manner))
    providers = [one for policy in policies for one in policy["spec"].get("jwt", {}).get("providers", [])]
    is_narrow = route.auth in (Auth.MEMBER, Auth.VISITOR)
    wanted = [issuer for issuer in MODEL.issuers if not is_narrow or issuer.auth is route.auth]
    if route.auth is Auth.NONE:
        wanted = []
    assert [(one["name"], one["issuer"]) for one in providers] == [
        (issuer.auth.value, issuer.name) for issuer in wanted
    ]
    for provider in providers:
        assert "optional" not in policies[0]["spec"]["jwt"]
        is_realtime = route.auth is Auth.REALTIME
        assert provider["audiences"] == ["dana-realtime" if is_realtime else "dana"]
        in_header = {"headers": [{"name": "authorization", "valuePrefix": "Bearer "}]}
        assert provider["extractFrom"] == ({"params": ["token"]} if is_realtime else in_header)
        assert {one["header"] for one in provider["claimToHeaders"]} == {headers.ORGANIZATION, headers.USER}
    assert [bool(policy["spec"].get("cors")) for policy in policies].count(True) == route.is_cross_origin


@pytest.mark.parametrize(("route", "manner"), WAYS, ids=lambda one: getattr(one, "path", None) or one.name)
def test_every_route_is_carried_as_the_model_says(route: Route, manner: Manner) -> None:
    (policy,) = selecting("BackendTrafficPolicy", written(route, manner))
    spec = policy["spec"]
    assert spec["mergeType"] == "StrategicMerge", "or the limits for all routes would not hold for this one"
    if route.is_websocket:
        assert "requestBuffer" not in spec, "it would keep the socket from opening"
        assert spec["retry"]["retryOn"]["triggers"] == ["connect-failure"]
        assert spec["timeout"]["http"]["streamIdleTimeout"] == "45s"
        assert spec["healthCheck"]["active"]["type"] == "TCP"
        assert spec["loadBalancer"]["consistentHash"]["headers"] == [{"name": headers.ORGANIZATION}]
        return
    silence = spec["timeout"]["http"].get("streamIdleTimeout")
    assert silence == ("45s" if route.is_stream else None), "longer than heartbeats are apart"
    assert _bytes(spec["requestBuffer"]["limit"]) == route.body_bytes
    triggers = spec["retry"]["retryOn"]["triggers"]
    assert ("reset" in triggers) == (manner.repeat is Repeat.FAILED)
    if manner.name == "write":
        assert triggers == ["connect-failure"]
    assert spec["loadBalancer"]["type"] == (
        "ConsistentHash" if MODEL.policy(route.upstream).sticky != "none" else "LeastRequest"
    )
    breaker = MODEL.policy(route.upstream).breaker
    assert spec["circuitBreaker"]["maxParallelRequests"] == breaker.requests
    assert spec["healthCheck"]["passive"]["maxEjectionPercent"] == 50


def test_nothing_is_repeated_by_status() -> None:
    """Such a trigger repeats POSTs as well."""
    text = json.dumps(of_kind("BackendTrafficPolicy"))
    assert "retriable-status-codes" not in text
    assert "httpStatusCodes" not in text


PATHS = [
    *(route.path.replace("*", "0191d7b2") for route in MODEL.routes),
    *(f"{route.path.replace('*', 'x').rstrip('/')}/more/of/it" for route in MODEL.routes),
    *(f"{route.path.replace('*', 'x')}x" for route in MODEL.routes),
    *MODEL.closed_paths,
    *(f"{path}/knowledge" for path in MODEL.closed_paths),
]


@pytest.mark.parametrize("path", sorted(set(PATHS)))
def test_the_most_special_route_is_the_models_first(path: str) -> None:
    http_routes = of_kind("HTTPRoute")
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        for has_key in (True, False):
            wanted = first_match(MODEL, path, method, has_key=has_key)
            assert most_special_match(http_routes, path, method, has_key=has_key) == wanted


def test_everything_refers_to_what_is_there() -> None:
    listeners = {one["name"]: one for one in named("Gateway", "dana")["spec"]["listeners"]}
    assert {one["protocol"] for one in listeners.values()} == {"HTTPS", "HTTP"}
    for route in of_kind("HTTPRoute"):
        (parent,) = route["spec"]["parentRefs"]
        assert parent["name"] == "dana"
        is_redirect = route["metadata"]["name"] == "redirect"
        assert listeners[parent["sectionName"]]["protocol"] == ("HTTP" if is_redirect else "HTTPS")
    for kind in ("SecurityPolicy", "BackendTrafficPolicy", "ClientTrafficPolicy"):
        for policy in of_kind(kind):
            for reference in policy["spec"].get("targetRefs", []):
                named(reference["kind"], reference["name"])
            for selector in policy["spec"].get("targetSelectors", []):
                assert any(
                    selector["matchLabels"].items() <= route["metadata"].get("labels", {}).items()
                    for route in of_kind(selector["kind"])
                ), policy["metadata"]["name"]
    parameters = named("Gateway", "dana")["spec"]["infrastructure"]["parametersRef"]
    named(parameters["kind"], parameters["name"])
    closed = named("HTTPRoute", "closed")["spec"]["rules"][0]
    extension = closed["filters"][0]["extensionRef"]
    assert named(extension["kind"], extension["name"])["spec"]["directResponse"]["statusCode"] == 404


def test_the_keys_are_those_that_the_policies_name() -> None:
    jwks = {issuer.name: {"keys": [{"kid": issuer.name}]} for issuer in MODEL.issuers}
    given_keys = kubernetes.keys(kubernetes.dana_gateway(jwks), CLUSTER)
    wanted = {
        provider["localJWKS"]["valueRef"]["name"]
        for policy in of_kind("SecurityPolicy")
        for provider in policy["spec"].get("jwt", {}).get("providers", [])
    }
    assert {one["metadata"]["name"] for one in given_keys} == wanted
    assert [yaml.safe_load(one["data"]["jwks"]) for one in given_keys] == list(jwks.values())


def test_labels_are_used() -> None:
    for route in of_kind("HTTPRoute"):
        if route["metadata"]["name"] not in ("closed", "redirect"):
            assert set(route["metadata"]["labels"]) == {AUTH_LABEL, TRAFFIC_LABEL}


def test_limits_hold_for_address_user_and_organization() -> None:
    rules = named("BackendTrafficPolicy", "dana")["spec"]["rateLimit"]["local"]["rules"]
    found = {}
    for rule in rules:
        (selector,) = rule["clientSelectors"]
        (by,) = selector.get("headers", [selector.get("sourceCIDR")])
        assert by["type"] == "Distinct", "one bucket for each value, not one for all"
        found[by.get("name") or by["value"]] = rule["limit"]["requests"]
    limits = MODEL.limits
    assert found == {
        "0.0.0.0/0": limits.address.per_second,
        "::/0": limits.address.per_second,
        headers.USER: limits.user.per_second,
        headers.ORGANIZATION: limits.organization.per_second,
    }


def test_clients_cannot_say_what_only_the_gateway_may() -> None:
    spec = named("ClientTrafficPolicy", "dana")["spec"]
    removed = spec["headers"]["earlyRequestHeaders"]["removeOnMatch"]
    assert removed == [{"type": "Prefix", "value": headers.TRUSTED_PREFIX}]
    assert spec["headers"]["withUnderscoresAction"] == "RejectRequest"
    assert spec["path"]["escapedSlashesAction"] == "RejectRequest"
    given_headers = {one["name"] for one in spec["headers"]["lateResponseHeaders"]["addIfAbsent"]}
    assert given_headers == {*headers.SECURITY_HEADERS, "strict-transport-security"}


def _bytes(quantity: str) -> int:
    return int(quantity[:-2]) * {"Ki": 1024, "Mi": 1024**2}[quantity[-2:]]
