//! Files that change under a running node (measured.md 6, protocols.md B1).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::gateway::{Gateway, Node, each};

/// Requires its helper only inside a request phase.
const LAZY: &str = "local H = { PRIORITY = 900, VERSION = '1.0.0' }\nfunction H:header_filter()\n  \
                    local ok, util = pcall(require, 'kong.plugins.lazy.util')\n  \
                    kong.response.set_header('X-lazy', ok and util.text or 'ERR ' .. tostring(util):gsub('[%c]', ' '):sub(1, 80))\nend\nreturn H\n";

fn lazy(gateway: &Gateway) -> Node {
    let node = gateway.node("bundled,good,lazy", &["good", "lazy"]);
    node.write_plugin("good", "1.0.0");
    node.write_plugin("lazy", "1.0.0");
    node.write("lazy/handler.lua", LAZY);
    node.write("lazy/util.lua", "return { text = 'one' }");
    node
}

#[test]
fn edits_reach_neither_running_nor_respawned_workers() {
    each(|gateway| {
        let node = lazy(gateway).started();
        node.write_plugin("good", "2.0.0");
        assert_eq!(node.proxied("X-good").as_deref(), Some("1.0.0"));
        node.kill_worker();
        assert_eq!(node.proxied("X-good").as_deref(), Some("1.0.0"));
        fs::remove_dir_all(node.lua.join("kong/plugins/good")).unwrap();
        node.kill_worker();
        assert_eq!(node.proxied("X-good").as_deref(), Some("1.0.0"));
    });
}

#[test]
fn a_lazily_required_module_is_read_by_each_worker_at_first_use() {
    each(|gateway| {
        let node = lazy(gateway).started();
        assert_eq!(node.proxied("X-lazy").as_deref(), Some("one"));
        node.write("lazy/util.lua", "return { text = 'two' }");
        assert_eq!(node.proxied("X-lazy").as_deref(), Some("one"), "it is kept by a worker that has it");
        node.kill_worker();
        assert_eq!(node.proxied("X-lazy").as_deref(), Some("two"), "new beside old");
        node.write("lazy/util.lua", "return {");
        node.kill_worker();
        let found = node.proxied("X-lazy").unwrap();
        assert!(found.starts_with("ERR error loading module 'kong.plugins.lazy.util'"), "{found}");
        fs::remove_file(node.lua.join("kong/plugins/lazy/util.lua")).unwrap();
        node.kill_worker();
        let found = node.proxied("X-lazy").unwrap();
        assert!(found.starts_with("ERR module 'kong.plugins.lazy.util' not found:"), "{found}");
    });
}

#[test]
fn a_link_switched_before_the_reload_already_changes_what_a_worker_reads_lazily() {
    each(|gateway| {
        let node = lazy(gateway);
        let plugins = node.lua.join("kong/plugins");
        let at = |name: &str| plugins.join(name);
        fs::rename(at("lazy"), at("lazy-1")).unwrap();
        fs::create_dir(at("lazy-2")).unwrap();
        for name in ["handler.lua", "schema.lua"] {
            fs::copy(at("lazy-1").join(name), at("lazy-2").join(name)).unwrap();
        }
        fs::write(at("lazy-2/util.lua"), "return { text = 'two' }").unwrap();
        std::os::unix::fs::symlink("lazy-1", at("lazy")).unwrap();
        let node = node.started();
        std::os::unix::fs::symlink("lazy-2", at("new")).unwrap();
        fs::rename(at("new"), at("lazy")).unwrap();
        node.kill_worker();
        assert_eq!(node.proxied("X-lazy").as_deref(), Some("two"));
    });
}

#[test]
fn a_relative_search_path_counts_from_where_the_master_was_started() {
    each(|gateway| {
        let node = gateway.node("bundled,good", &["good"]);
        node.write_plugin("good", "1.0.0");
        node.set("lua_package_path", "./?.lua;./?/init.lua;");
        let conf = node.conf.display().to_string();
        let ran = node.kong_with(&["start", "-c", &conf], &[], &node.lua);
        assert_eq!(ran.code, 0, "{ran:?}");
        node.wait_ready();
        // A reload from elsewhere is the same master; a restart from elsewhere is another one.
        node.reloaded();
        assert_eq!(node.proxied("X-good").as_deref(), Some("1.0.0"));
        let ran = node.kong_with(&["restart", "-c", &conf], &[], Path::new("/"));
        assert!(ran.code == 1 && ran.err.contains("good plugin is enabled but not installed"), "{ran:?}");
    });
}

#[test]
fn a_path_without_init_files_does_not_find_a_nested_library() {
    each(|gateway| {
        let node = gateway.node("bundled,good", &["good"]);
        node.write_plugin("good", "1.0.0");
        node.write(
            "good/handler.lua",
            "local lib = require 'kong.plugins.good.lib'\nreturn { PRIORITY = 1, VERSION = lib }",
        );
        node.write("good/lib/init.lua", "return '1.0.0'");
        node.set("lua_package_path", &format!("{}/?.lua;;", node.lua.display()));
        let ran = node.with_conf("start");
        assert!(ran.code == 1 && ran.err.contains("module 'kong.plugins.good.lib' not found:"), "{ran:?}");
    });
}

#[test]
fn a_file_that_only_the_master_may_read_fails_in_the_workers() {
    if !nix::unistd::geteuid().is_root() {
        super::gateway::skip("only a master that is root has workers of another user");
        return;
    }
    each(|gateway| {
        let node = lazy(gateway);
        if !gateway.is_real() {
            node.change(|settings| settings.worker_user = Some("nobody".into()));
        }
        for name in ["good/handler.lua", "lazy/util.lua"] {
            let path = node.lua.join("kong/plugins").join(name);
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let node = node.started();
        assert_eq!(node.proxied("X-good").as_deref(), Some("1.0.0"), "what the master loaded is in memory");
        let found = node.proxied("X-lazy").unwrap();
        assert!(found.starts_with("ERR module 'kong.plugins.lazy.util' not found:"), "{found}");
    });
}
