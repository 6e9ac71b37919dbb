# A caching proxy in front of Dana's gateway, for Varnish 7.
#
# It keeps what Dana marks with Surrogate-Control, whatever browsers are told, until Dana says by surrogate key
# that it is out of date. Dana tells it at DANA_CDN_PURGE_URL=http://THIS-HOST/.purge with
# DANA_CDN_PURGE_HEADER="X-Purge-Token: SECRET"; put the same secret below.
vcl 4.1;

import std;

backend dana {
    .host = "GATEWAY_HOST";
    .port = "GATEWAY_PORT";
}

sub vcl_recv {
    if (req.url == "/.purge") {
        if (req.method != "POST" || req.http.X-Purge-Token != "PURGE_TOKEN") {
            return (synth(403, "Not allowed"));
        }
        if (req.http.Surrogate-Key !~ "^[a-z0-9_-]+( [a-z0-9_-]+)*$") {
            return (synth(400, "No surrogate keys"));
        }
        # Several keys become one pattern: any of them, as a whole word.
        if (std.ban("obj.http.Surrogate-Key ~ (^|\s)(" + regsuball(req.http.Surrogate-Key, " ", "|") + ")(\s|$)")) {
            return (synth(200, "Purged"));
        }
        return (synth(500, std.ban_error()));
    }
    # Only what is public by its path is looked up; all else passes, sockets untouched.
    if (req.http.Upgrade ~ "(?i)websocket") {
        return (pipe);
    }
    if (req.method != "GET" || req.url !~ "^/api/v1/widget/[^/]+$|^/(assets|demo)/|^/widget\.js$") {
        return (pass);
    }
    unset req.http.Cookie;
    return (hash);
}

sub vcl_pipe {
    set bereq.http.Upgrade = req.http.Upgrade;
    set bereq.http.Connection = req.http.Connection;
}

sub vcl_backend_response {
    if (beresp.http.Surrogate-Control ~ "max-age=[0-9]+") {
        set beresp.ttl = std.duration(regsub(beresp.http.Surrogate-Control, ".*max-age=([0-9]+).*", "\1s"), 0s);
        set beresp.grace = 60s;
        set beresp.keep = 0s;
        unset beresp.http.Set-Cookie;
        return (deliver);
    }
}

sub vcl_deliver {
    # These are between Dana and this proxy.
    unset resp.http.Surrogate-Control;
    unset resp.http.Surrogate-Key;
    set resp.http.X-Cache = "MISS";
    if (obj.hits > 0) {
        set resp.http.X-Cache = "HIT";
    }
}
