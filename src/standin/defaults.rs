//! The configuration keys that the stand-in knows, with their defaults, and the names behind `bundled`.

/// How a value is shown in `GET /` and checked by the CLI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Array,
    Number,
    Switch,
}

use Kind::{Array, Number, Switch, Text};

/// Key, default ("" = none), kind. Not all of Kong's 190 keys: those that a fleet reconciler can meet, and a
/// few of each sort. Others that a file names are dropped silently, as Kong drops what it does not know.
pub(super) const KEYS: &[(&str, &str, Kind)] = &[
    ("admin_access_log", "logs/admin_access.log", Text),
    ("admin_acc_logs", "", Text),
    ("admin_error_log", "logs/error.log", Text),
    ("admin_gui_listen", "0.0.0.0:8002,0.0.0.0:8445 ssl", Array),
    ("admin_listen", "127.0.0.1:8001 reuseport backlog=16384,127.0.0.1:8444 http2 ssl reuseport backlog=16384", Array),
    ("allow_debug_header", "off", Switch),
    ("anonymous_reports", "on", Switch),
    ("client_body_buffer_size", "8k", Text),
    ("client_ssl", "off", Switch),
    ("cluster_cert", "", Text),
    ("cluster_cert_key", "", Text),
    ("cluster_control_plane", "127.0.0.1:8005", Text),
    ("cluster_data_plane_purge_delay", "1209600", Number),
    ("cluster_listen", "0.0.0.0:8005", Array),
    ("cluster_mtls", "shared", Text),
    ("database", "postgres", Text),
    ("db_cache_ttl", "0", Number),
    ("db_cache_neg_ttl", "", Number),
    ("db_resurrect_ttl", "30", Number),
    ("db_update_frequency", "5", Number),
    ("db_update_propagation", "0", Number),
    ("declarative_config", "", Text),
    ("declarative_config_string", "", Text),
    ("dedicated_config_processing", "on", Switch),
    ("dns_order", "LAST,SRV,A,CNAME", Array),
    ("dns_resolver", "", Array),
    ("dns_stale_ttl", "3600", Number),
    ("error_default_type", "text/plain", Text),
    ("error_template_html", "", Text),
    ("headers", "server_tokens,latency_tokens,X-Kong-Request-Id", Array),
    ("hostname", "", Text),
    ("kic", "off", Switch),
    ("lmdb_environment_path", "dbless.lmdb", Text),
    ("lmdb_map_size", "2048m", Text),
    ("log_level", "notice", Text),
    ("lua_max_req_headers", "100", Number),
    ("lua_package_cpath", "", Text),
    ("lua_package_path", "./?.lua;./?/init.lua;", Text),
    ("lua_socket_pool_size", "256", Number),
    ("lua_ssl_trusted_certificate", "system", Array),
    ("lua_ssl_verify_depth", "1", Number),
    ("max_queued_batches", "100", Number),
    ("mem_cache_size", "128m", Text),
    ("nginx_daemon", "on", Switch),
    ("nginx_events_multi_accept", "on", Text),
    ("nginx_events_worker_connections", "auto", Text),
    ("nginx_http_client_body_buffer_size", "8k", Text),
    ("nginx_http_client_max_body_size", "0", Text),
    ("nginx_http_lua_regex_cache_max_entries", "8192", Text),
    ("nginx_http_lua_regex_match_limit", "100000", Text),
    ("nginx_main_user", "kong kong", Text),
    ("nginx_main_worker_processes", "auto", Text),
    ("nginx_main_worker_rlimit_nofile", "auto", Text),
    ("nginx_proxy_real_ip_header", "X-Real-IP", Text),
    ("nginx_worker_processes", "", Text),
    ("opentelemetry_tracing", "off", Array),
    ("pg_database", "kong", Text),
    ("pg_host", "127.0.0.1", Text),
    ("pg_max_concurrent_queries", "0", Number),
    ("pg_password", "", Text),
    ("pg_port", "5432", Number),
    ("pg_ro_host", "", Text),
    ("pg_ssl", "off", Switch),
    ("pg_timeout", "5000", Number),
    ("pg_user", "kong", Text),
    ("plugins", "bundled", Array),
    ("pluginserver_names", "", Array),
    ("port_maps", "", Array),
    ("prefix", "", Text),
    ("proxy_access_log", "logs/access.log", Text),
    ("proxy_error_log", "logs/error.log", Text),
    ("proxy_listen", "0.0.0.0:8000 reuseport backlog=16384,0.0.0.0:8443 http2 ssl reuseport backlog=16384", Array),
    ("proxy_stream_access_log", "logs/access.log basic", Text),
    ("real_ip_header", "X-Real-IP", Text),
    ("real_ip_recursive", "off", Text),
    ("request_debug", "on", Switch),
    ("role", "traditional", Text),
    ("router_consistency", "eventual", Text),
    ("router_flavor", "traditional_compatible", Text),
    ("ssl_cert", "", Array),
    ("ssl_cert_key", "", Array),
    ("ssl_cipher_suite", "intermediate", Text),
    ("ssl_session_timeout", "1d", Text),
    ("status_access_log", "off", Text),
    ("status_error_log", "logs/status_error.log", Text),
    ("status_listen", "127.0.0.1:8007 reuseport backlog=16384", Array),
    ("stream_listen", "off", Array),
    ("tracing_instrumentations", "off", Array),
    ("tracing_sampling_rate", "0.01", Number),
    ("trusted_ips", "", Array),
    ("untrusted_lua", "sandbox", Text),
    ("untrusted_lua_sandbox_requires", "", Array),
    ("upstream_keepalive_idle_timeout", "60", Number),
    ("upstream_keepalive_max_requests", "10000", Number),
    ("upstream_keepalive_pool_size", "512", Number),
    ("vaults", "bundled", Array),
    ("wasm", "off", Switch),
    ("worker_consistency", "eventual", Text),
    ("worker_events_max_payload", "65535", Number),
    ("worker_state_update_frequency", "5", Number),
];

/// Prefixes of the keys that Kong takes without knowing them: nginx directives, plugin servers, vaults.
const OPEN: [&str; 8] = [
    "nginx_main_",
    "nginx_http_",
    "nginx_proxy_",
    "nginx_admin_",
    "nginx_status_",
    "nginx_events_",
    "pluginserver_",
    "vault_",
];

/// The kind of a key that is taken from a file or the environment; `None`: the key is dropped.
pub(super) fn kind_of(key: &str) -> Option<Kind> {
    let known = KEYS.iter().find(|(name, _, _)| *name == key).map(|(_, _, kind)| *kind);
    known.or_else(|| OPEN.iter().any(|prefix| key.starts_with(prefix)).then_some(Text))
}

/// Keys that came after 3.4: a CLI of that release neither takes nor writes them.
const SINCE_34: [&str; 2] = ["dedicated_config_processing", "request_debug"];

/// Whether the release that is imitated takes a key from a file or the environment.
pub(super) fn takes(key: &str, is_34: bool) -> bool {
    kind_of(key).is_some() && !(is_34 && SINCE_34.contains(&key))
}

/// The keys of the release that is imitated, with their defaults.
pub(super) fn of(is_34: bool) -> impl Iterator<Item = (&'static str, &'static str)> {
    let known = KEYS.iter().map(|(key, _, _)| *key).filter(move |key| takes(key, is_34));
    known.map(move |key| (key, default_of(key, is_34)))
}

/// The default of a key in the release that is imitated.
fn default_of(key: &str, is_34: bool) -> &'static str {
    if is_34 && key == "status_listen" {
        // On by default only from 3.6 (facts.md C6).
        return "off";
    }
    KEYS.iter().find(|(name, _, _)| *name == key).map_or("", |(_, default, _)| default)
}

const BUNDLED: &[&str] = &[
    "jwt",
    "acl",
    "correlation-id",
    "cors",
    "oauth2",
    "tcp-log",
    "udp-log",
    "file-log",
    "http-log",
    "key-auth",
    "hmac-auth",
    "basic-auth",
    "ip-restriction",
    "request-transformer",
    "response-transformer",
    "request-size-limiting",
    "rate-limiting",
    "response-ratelimiting",
    "syslog",
    "loggly",
    "datadog",
    "ldap-auth",
    "statsd",
    "bot-detection",
    "aws-lambda",
    "request-termination",
    "prometheus",
    "proxy-cache",
    "session",
    "acme",
    "grpc-gateway",
    "grpc-web",
    "pre-function",
    "post-function",
    "azure-functions",
    "zipkin",
    "opentelemetry",
];

const BUNDLED_SINCE_34: &[&str] = &[
    "ai-proxy",
    "ai-prompt-decorator",
    "ai-prompt-template",
    "ai-prompt-guard",
    "ai-request-transformer",
    "ai-response-transformer",
    "standard-webhooks",
    "redirect",
];

/// The plugins behind the word `bundled`: 45 in 3.9.1, 37 in 3.4.2 (measured.md 0 and 13).
pub(super) fn bundled(is_34: bool) -> Vec<&'static str> {
    let newer = if is_34 { &[] } else { BUNDLED_SINCE_34 };
    BUNDLED.iter().chain(newer).copied().collect()
}

/// PRIORITY of the bundled plugins, as their handlers have it (read in the source of 3.x, not measured).
const PRIORITIES: &[(&str, i64)] = &[
    ("pre-function", 1_000_000),
    ("correlation-id", 100_001),
    ("zipkin", 100_000),
    ("bot-detection", 2500),
    ("cors", 2000),
    ("session", 1900),
    ("acme", 1705),
    ("jwt", 1450),
    ("oauth2", 1400),
    ("key-auth", 1250),
    ("ldap-auth", 1200),
    ("basic-auth", 1100),
    ("hmac-auth", 1030),
    ("grpc-gateway", 998),
    ("ip-restriction", 990),
    ("request-size-limiting", 951),
    ("acl", 950),
    ("rate-limiting", 910),
    ("response-ratelimiting", 900),
    ("request-transformer", 801),
    ("response-transformer", 800),
    ("redirect", 779),
    ("ai-request-transformer", 777),
    ("ai-prompt-template", 773),
    ("ai-prompt-decorator", 772),
    ("ai-prompt-guard", 771),
    ("ai-proxy", 770),
    ("ai-response-transformer", 769),
    ("standard-webhooks", 760),
    ("aws-lambda", 750),
    ("azure-functions", 749),
    ("proxy-cache", 100),
    ("opentelemetry", 14),
    ("prometheus", 13),
    ("http-log", 12),
    ("statsd", 11),
    ("datadog", 10),
    ("file-log", 9),
    ("udp-log", 8),
    ("tcp-log", 7),
    ("loggly", 6),
    ("syslog", 4),
    ("grpc-web", 3),
    ("request-termination", 2),
    ("post-function", -1000),
];

/// PRIORITY of a bundled plugin.
pub(super) fn priority_of(name: &str) -> i64 {
    PRIORITIES.iter().find(|(known, _)| *known == name).map_or(0, |(_, priority)| *priority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_plugins_are_as_many_as_were_counted() {
        assert_eq!((bundled(false).len(), bundled(true).len()), (45, 37));
        assert!(bundled(false).into_iter().all(|name| priority_of(name) != 0));
    }

    #[test]
    fn unknown_keys_have_no_kind_but_nginx_directives_have() {
        assert_eq!(kind_of("custom_plugins"), None);
        assert_eq!(kind_of("nginx_http_lua_shared_dict"), Some(Text));
        assert_eq!(default_of("status_listen", true), "off");
        let has = |is_34, wanted| of(is_34).any(|(key, _)| key == wanted);
        assert!(has(false, "request_debug") && !has(true, "request_debug") && has(true, "plugins"));
    }
}
