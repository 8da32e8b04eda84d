//! The two ways in which muster reloads a node (protocols.md A and B2).

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::json;

use super::gateway::{Node, each, handler, put, schema};

/// The live `.kong_env` with these lines behind it, as the candidate is made.
fn candidate(node: &Node, lines: &[(&str, &str)]) -> PathBuf {
    let mut text = node.kong_env();
    for (key, value) in lines {
        let _ = writeln!(text, "{key} = {value}");
    }
    let path = node.dir.path().join("candidate.conf");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Keys whose line differs between two texts of `.kong_env`.
fn changed(before: &str, after: &str) -> Vec<String> {
    let (before, after) = (sorted(before), sorted(after));
    let differing =
        before.iter().filter(|line| !after.contains(line)).chain(after.iter().filter(|line| !before.contains(line)));
    let mut keys: Vec<String> = differing.map(|line| line.split(" = ").next().unwrap().to_owned()).collect();
    keys.sort();
    keys.dedup();
    keys
}

/// The nginx files of a prefix by name.
fn nginx_files(node: &Node) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(&node.prefix)
        .unwrap()
        .flatten()
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .filter(|(name, _)| name.starts_with("nginx"))
        .map(|(name, path)| (name, fs::read_to_string(path).unwrap()))
        .collect();
    files.sort();
    files
}

fn reload_with(node: &Node, candidate: &std::path::Path) {
    let before = node.live();
    let prefix = node.prefix.display().to_string();
    node.kong(&["reload", "-c", candidate.to_str().unwrap(), "-p", &prefix]).says("Kong reloaded\n");
    node.wait_replaced(&before);
}

#[test]
fn a_candidate_with_the_plugins_line_changes_that_line_and_no_byte_of_nginx() {
    each(|gateway| {
        let node = gateway.node("bundled", &[]);
        node.write_plugin("good", "1.0.0");
        let node = node.started();
        // Somebody's edit that waits in kong.conf goes on waiting.
        node.set("log_level", "debug");
        let (env, files) = (node.kong_env(), nginx_files(&node));
        reload_with(&node, &candidate(&node, &[("plugins", "bundled,good")]));
        assert_eq!(changed(&env, &node.kong_env()), ["plugins"]);
        assert_eq!(nginx_files(&node), files);
        assert_eq!(node.configured("plugins"), json!(["bundled", "good"]));
        assert_eq!((node.configured("log_level"), node.kept("declarative_config").is_some()), (json!("notice"), true));
    });
}

#[test]
fn a_staged_release_at_the_head_of_the_path_loads_and_can_be_read_from_the_api() {
    each(|gateway| {
        let node = gateway.node("bundled,good", &["good"]);
        node.write_plugin("good", "1.0.0");
        let node = node.started();
        let release = node.dir.path().join("releases/good/0a1b2c");
        fs::create_dir_all(release.join("kong/plugins/good")).unwrap();
        fs::write(release.join("kong/plugins/good/handler.lua"), handler("good", "2.0.0")).unwrap();
        fs::write(release.join("kong/plugins/good/schema.lua"), schema("good")).unwrap();
        let old = node.kept("lua_package_path").unwrap();
        let path = format!("{r}/?.lua;{r}/?/init.lua;{old}", r = release.display());
        let (env, files) = (node.kong_env(), nginx_files(&node));
        reload_with(&node, &candidate(&node, &[("lua_package_path", &path)]));
        assert_eq!(changed(&env, &node.kong_env()), ["lua_package_path"]);
        for ((name, before), (_, after)) in files.iter().zip(nginx_files(&node)) {
            let differing: Vec<&str> = after.lines().filter(|line| !before.contains(line)).collect();
            assert!(
                differing.iter().all(|line| line.trim_start().starts_with("lua_package_path")),
                "{name}: {differing:?}"
            );
        }
        assert_eq!(node.configured("lua_package_path"), json!(path));
        assert_eq!(node.proxied("X-good").as_deref(), Some("2.0.0"));
    });
}

#[test]
fn a_hangup_after_one_rewritten_line_applies_that_line() {
    each(|gateway| {
        let node = gateway.node("bundled", &[]);
        node.write_plugin("good", "1.0.0");
        let node = node.started();
        let before = node.live();
        let (env, beside) = (node.prefix.join(".kong_env"), node.prefix.join(".kong_env.new"));
        fs::copy(&env, &beside).unwrap();
        put(&beside, "plugins", "bundled,good");
        fs::rename(&beside, &env).unwrap();
        node.hup();
        node.wait_replaced(&before);
        assert_eq!(node.configured("plugins"), json!(["bundled", "good"]));
    });
}

#[test]
fn a_failed_candidate_leaves_the_old_content_for_the_next_start() {
    each(|gateway| {
        let node = gateway.node("bundled,good", &["good"]);
        node.write_plugin("good", "1.0.0");
        let node = node.started();
        let release = node.dir.path().join("bad");
        fs::create_dir_all(release.join("kong/plugins/good")).unwrap();
        fs::write(release.join("kong/plugins/good/handler.lua"), "return {").unwrap();
        let path = format!("{}/?.lua;{}", release.display(), node.kept("lua_package_path").unwrap());
        let prefix = node.prefix.display().to_string();
        let candidate = candidate(&node, &[("lua_package_path", &path)]);
        node.kong(&["reload", "-c", candidate.to_str().unwrap(), "-p", &prefix]).says("Kong reloaded\n");
        super::probe::wait_until("the load fails", || node.announced().is_none());
        node.wait_idle();
        // A power cut now: the service starts from kong.conf.
        node.with_prefix("stop").says("Kong stopped\n");
        super::probe::wait_until("the master is gone", || node.with_prefix("health").code == 1);
        assert_eq!(node.with_conf("start").code, 0);
        node.wait_ready();
        assert_eq!(node.proxied("X-good").as_deref(), Some("1.0.0"));
    });
}

#[test]
fn preparing_the_candidate_in_a_scratch_prefix_shows_what_else_would_change() {
    each(|gateway| {
        let node = gateway.node("bundled", &[]);
        let node = node.started();
        let scratch = node.dir.path().join("scratch");
        let lines = [("plugins", "bundled,good"), ("prefix", scratch.to_str().unwrap())];
        let candidate = candidate(&node, &lines);
        let (env, announced) = (node.kong_env(), node.announced());
        let ran = node.kong(&["prepare", "-c", candidate.to_str().unwrap()]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let mapped = |text: &str| text.replace(scratch.to_str().unwrap(), node.prefix.to_str().unwrap());
        let prepared = mapped(&fs::read_to_string(scratch.join(".kong_env")).unwrap());
        assert_eq!(changed(&env, &prepared), ["plugins"]);
        for (name, text) in nginx_files(&node) {
            assert_eq!(mapped(&fs::read_to_string(scratch.join(&name)).unwrap()), text, "{name}");
        }
        assert_eq!((node.kong_env(), node.announced()), (env, announced), "the live node was not touched");
    });
}

/// An empty declarative file, and settings with a prefix of their own.
fn scratch(node: &Node) -> (PathBuf, PathBuf) {
    let empty = node.dir.path().join("empty.yml");
    fs::write(&empty, "_format_version: \"3.0\"\n").unwrap();
    let scratch = node.dir.path().join("scratch.conf");
    fs::copy(&node.conf, &scratch).unwrap();
    put(&scratch, "prefix", node.dir.path().join("scratch").to_str().unwrap());
    (empty, scratch)
}

#[test]
fn parsing_a_declarative_file_really_loads_the_plugins_and_touches_no_node() {
    each(|gateway| {
        let node = gateway.node("bundled,good", &["good"]);
        node.write_plugin("good", "1.0.0");
        let node = node.started();
        let (before, env) = (node.announced(), node.kong_env());
        let (empty, scratch) = scratch(&node);
        let parse = || node.kong(&["config", "parse", empty.to_str().unwrap(), "-c", scratch.to_str().unwrap()]);
        let good = parse();
        assert_eq!(good.code, 0, "{good:?}");
        node.write("good/handler.lua", "require 'no.such.module'");
        let bad = parse();
        assert!(bad.code == 1 && bad.err.contains("module 'no.such.module' not found:"), "{bad:?}");
        assert_eq!((node.announced(), node.kong_env()), (before, env));
    });
}

/// It looks for a plugin server, which a command cannot (measured.md 3; transcripts 07 and 17).
#[test]
fn parsing_with_a_listed_name_without_files_fails_with_words_about_something_else() {
    each(|gateway| {
        let node = gateway.node("bundled,good", &["good"]);
        node.write_plugin("good", "1.0.0");
        let node = node.started();
        let (before, env) = (node.announced(), node.kong_env());
        let (empty, scratch) = scratch(&node);
        put(&scratch, "plugins", "bundled,good,nofiles");
        let ran = node.kong(&["config", "parse", empty.to_str().unwrap(), "-c", scratch.to_str().unwrap()]);
        assert_eq!(ran.code, 1, "{ran:?}");
        let said = "Error: attempt to index upvalue 'kong' (a nil value)\n\n  Run with --v (verbose) or --vv (debug) for more details";
        assert!(ran.err.contains(said), "{ran:?}");
        assert!(!ran.err.contains("nofiles"), "it says which: {ran:?}");
        assert_eq!((node.announced(), node.kong_env()), (before, env));
    });
}
