//! Which settings of a node may be read out loud.

/// The keys of kong.conf and `.kong_env` whose values may leave sealed memory, sorted. Of every other key only "differs" is
/// ever said: it may be a password, a token, a certificate, or point at one.
pub const READABLE: &[&str] = &[
    "admin_listen",
    "cluster_listen",
    "database",
    "db_update_frequency",
    "db_update_propagation",
    "declarative_config",
    "log_level",
    "lua_package_path",
    "nginx_daemon",
    "nginx_main_user",
    "nginx_main_worker_processes",
    "nginx_user",
    "nginx_worker_processes",
    "plugins",
    "prefix",
    "proxy_error_log",
    "proxy_listen",
    "role",
    "status_listen",
    "stream_listen",
    "worker_consistency",
    "worker_state_update_frequency",
];

/// Whether the value of this key may be shown, logged and written into a plan.
pub fn is_readable(key: &str) -> bool {
    READABLE.binary_search(&key).is_ok()
}

/// The value that counts where neither file nor environment has the key (Kong's `kong_defaults`, 3.4 to 3.9); `None` where
/// there is none, or none that muster needs.
pub fn default_value(key: &str) -> Option<&'static str> {
    Some(match key {
        "plugins" => "bundled",
        "prefix" => "/usr/local/kong/",
        "database" => "postgres",
        "role" => "traditional",
        "log_level" => "notice",
        "lua_package_path" => "./?.lua;./?/init.lua;",
        "admin_listen" => "127.0.0.1:8001 reuseport backlog=16384, 127.0.0.1:8444 http2 ssl reuseport backlog=16384",
        "proxy_listen" => "0.0.0.0:8000 reuseport backlog=16384, 0.0.0.0:8443 http2 ssl reuseport backlog=16384",
        "proxy_error_log" => "logs/error.log",
        "db_update_frequency" | "worker_state_update_frequency" => "5",
        "db_update_propagation" => "0",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_so_that_the_search_finds_all() {
        assert!(READABLE.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(READABLE.iter().all(|key| is_readable(key)));
    }

    #[test]
    fn nothing_that_may_be_a_secret_is_readable() {
        let words = [
            "password",
            "token",
            "secret",
            "key",
            "cert",
            "pg_",
            "vault",
            "host",
            "user_",
            "cassandra",
            "redis",
            "proxy_server",
        ];
        for key in READABLE {
            assert!(!words.iter().any(|word| key.contains(word)), "{key}");
        }
        for key in
            ["pg_password", "pg_host", "vault_hcv_token", "ssl_cert_key", "declarative_config_string", "cluster_cert"]
        {
            assert!(!is_readable(key), "{key}");
        }
    }

    #[test]
    fn defaults_are_given_for_readable_keys_only() {
        let defaulted =
            ["plugins", "prefix", "database", "role", "admin_listen", "proxy_listen", "db_update_frequency"];
        assert!(defaulted.iter().all(|key| default_value(key).is_some() && is_readable(key)));
        assert_eq!(default_value("pg_password"), None);
    }
}
