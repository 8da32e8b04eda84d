//! The traps of a load (measured.md 3): done as the documents say it, each leaves the node broken, with exit code 0; muster's
//! trial load stops before anything live is touched.

use std::path::Path;

use muster::action::{Action, Candidate, Rehearse};
use muster::kong::Conf;
use muster::name::Digest;
use muster::perform::{NodePerformer, Perform};
use muster::run::{Cause, StepEnd};

use super::nodes::{Bench, Notes, bundle, children, handler, name, plugin, step};

const SCHEMA: &str = "return { name = \"acme-auth\", fields = { { config = { type = \"record\", fields = {} } } } }\n";
const GOOD: &str = "return { PRIORITY = 900, VERSION = \"1.0.0\" }\n";

/// The two files; `None` for one that is not there.
type Files<'a> = (Option<&'a str>, Option<&'a str>);

fn write(dir: &Path, files: Files<'_>) {
    std::fs::create_dir_all(dir).unwrap();
    for (file, text) in [("handler.lua", files.0), ("schema.lua", files.1)] {
        if let Some(text) = text {
            std::fs::write(dir.join(file), text).unwrap();
        }
    }
}

/// A release as it was delivered; muster itself would refuse to make a bundle of most of these.
fn release(bench: &Bench, files: Files<'_>) -> Rehearse {
    let digest = Digest::of(format!("{files:?}").as_bytes());
    let dir = Path::new(bench.site.home.as_str()).join("releases/acme-auth").join(digest.as_str());
    write(&dir.join("kong/plugins/acme-auth"), files);
    let candidate = Candidate {
        bundle: "acme-auth".parse().unwrap(),
        version: Some("2.0.0".to_owned()),
        digest,
        plugins: [plugin()].into(),
        source: Some(("kong/plugins/acme-auth/".to_owned(), "plugins/acme-auth/".to_owned())),
    };
    Rehearse {
        plugins: "bundled,acme-auth".to_owned(),
        added: [plugin()].into(),
        staged: vec![candidate].into(),
        search_path: None,
        runs: true,
    }
}

/// What must not change: settings, files, processes.
async fn picture(bench: &Bench) -> impl PartialEq + std::fmt::Debug {
    let master = bench.node.master().unwrap();
    let read = |path: &Path| std::fs::read(path).unwrap();
    let prefix: std::collections::BTreeSet<_> =
        std::fs::read_dir(&bench.node.prefix).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let facts = bench.look().await;
    let announced = facts.admin.as_ref().ok().and_then(|admin| admin.workers.clone());
    let files = (read(&bench.node.conf), read(&bench.node.prefix.join(".kong_env")), prefix);
    (files, master, children(master), announced, facts.ready)
}

async fn rehearsed(bench: &Bench, performer: &NodePerformer, rehearse: Rehearse) -> (StepEnd, Notes) {
    let notes = Notes::default();
    let end = performer.perform(&step(0, Action::Rehearse(Box::new(rehearse))), &notes).await;
    let left = std::fs::read_dir(bench.site.home.as_str()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_str().unwrap().starts_with(".trial")), "{left:?}");
    (end, notes)
}

/// As the documents say it: files below the Lua root, the name into the directive, prepare, reload. Both say that all is well.
async fn naive(bench: &Bench, files: Files<'_>) {
    write(&bench.node.lua_root.join("kong/plugins/acme-auth"), files);
    let conf = Conf::parse(std::fs::read(&bench.node.conf).unwrap()).set("plugins", "bundled,acme-auth").unwrap();
    std::fs::write(&bench.node.conf, conf).unwrap();
    let (conf, prefix) = (bench.node.conf.to_str().unwrap(), bench.node.prefix.to_str().unwrap());
    let before = children(bench.node.master().unwrap());
    for command in ["prepare", "reload"] {
        let ran = bench.node.kong(&[command, "-c", conf, "-p", prefix]).output().unwrap();
        assert!(ran.status.success(), "{command}: {ran:?}");
    }
    crate::harness::poll_until(std::time::Duration::from_mins(1), "readiness to go", || {
        let health = bench.node.kong(&["health", "-p", prefix]).output().unwrap();
        assert!(health.status.success(), "health knows nothing of it");
        let log = std::fs::read_to_string(bench.node.prefix.join("logs/error.log")).unwrap_or_default();
        log.contains("init_by_lua error:").then_some(())
    })
    .await;
    assert_eq!(children(bench.node.master().unwrap()), before, "the old workers stay");
    let facts = bench.look().await;
    assert_eq!(facts.ready, Some(503), "a load balancer takes the node out");
    assert!(facts.admin.as_ref().is_ok_and(|admin| !admin.loaded.contains_key(&plugin())), "it is loaded");
    // And whoever restarts it takes it down.
    let ran = bench.node.kong(&["restart", "-c", conf, "-p", prefix]).output().unwrap();
    assert!(!ran.status.success(), "{ran:?}");
    assert!(!bench.proxied(), "it serves");
}

/// The trial load says so, and nothing changed; then the documents' way breaks the node.
async fn trap(files: Files<'_>, code: &str, words: &[&str]) {
    let bench = Bench::started(&[]);
    let facts = bench.look().await;
    let performer = bench.performer(&facts, &bundle(&handler("1.0.0", "")), std::time::Duration::from_mins(1));
    performer.acquire(&name()).await.unwrap();
    let before = picture(&bench).await;
    let (end, _) = rehearsed(&bench, &performer, release(&bench, files)).await;
    let StepEnd::Failed { cause } = end else { panic!("{end:?}") };
    assert_eq!(cause.code, code, "{cause:?}");
    for word in words.iter().copied().chain(["does not load on here"]) {
        assert!(cause.text.contains(word), "{word}: {cause:?}");
    }
    assert!(cause.details.iter().any(|line| line.starts_with("Kong's own words: Error: ")), "{cause:?}");
    assert!(cause.hints.len() >= 3, "{cause:?}");
    assert_eq!(picture(&bench).await, before, "the trial load changed something");
    performer.release(&name()).await;
    naive(&bench, files).await;
}

#[tokio::test]
async fn a_missing_module() {
    let lua = format!("local x = 1\nlocal jwt = require \"resty.jwt\"\n{GOOD}");
    let words = ["acme-auth 2.0.0", "plugins/acme-auth/handler.lua:2: module 'resty.jwt' not found"];
    trap((Some(&lua), Some(SCHEMA)), Cause::DOES_NOT_LOAD_HERE, &words).await;
}

#[tokio::test]
async fn a_syntax_error_in_the_handler() {
    let words = ["plugins/acme-auth/handler.lua:2: ", "'<eof>' expected"];
    trap((Some("return {}\nfunction x"), Some(SCHEMA)), Cause::DOES_NOT_LOAD, &words).await;
}

#[tokio::test]
async fn a_syntax_error_in_the_schema() {
    let words = ["plugins/acme-auth/schema.lua:1: ", "near '}'"];
    trap((Some(GOOD), Some("return }")), Cause::DOES_NOT_LOAD, &words).await;
}

#[tokio::test]
async fn an_invalid_schema() {
    let schema = SCHEMA.replace("record", "no-such-type");
    trap((Some(GOOD), Some(&schema)), Cause::DOES_NOT_LOAD, &["acme-auth 2.0.0", "no-such-type"]).await;
}

#[tokio::test]
async fn no_schema() {
    trap((Some(GOOD), None), Cause::DOES_NOT_LOAD, &["no configuration schema found for plugin"]).await;
}

#[tokio::test]
async fn no_version() {
    trap((Some("return { PRIORITY = 1 }"), Some(SCHEMA)), Cause::DOES_NOT_LOAD, &["VERSION field"]).await;
}

#[tokio::test]
async fn no_priority() {
    trap((Some("return { VERSION = '1.0.0' }"), Some(SCHEMA)), Cause::DOES_NOT_LOAD, &["PRIORITY field"]).await;
}

#[tokio::test]
async fn an_error_at_load() {
    let lua = format!("-- reads its licence\nerror('no licence')\n{GOOD}");
    let words = ["plugins/acme-auth/handler.lua:2: no licence"];
    trap((Some(&lua), Some(SCHEMA)), Cause::DOES_NOT_LOAD, &words).await;
}

#[tokio::test]
async fn a_handler_that_returns_nothing() {
    trap((Some("local x = 1\n"), Some(SCHEMA)), Cause::DOES_NOT_LOAD, &["attempt to index local 'handler'"]).await;
}

#[tokio::test]
async fn an_empty_handler_file() {
    trap((Some(""), Some(SCHEMA)), Cause::DOES_NOT_LOAD, &["attempt to index local 'handler'"]).await;
}

#[tokio::test]
async fn no_handler() {
    trap((None, Some(SCHEMA)), Cause::DOES_NOT_LOAD_HERE, &["acme-auth 2.0.0", "its handler is found nowhere"]).await;
}

#[tokio::test]
async fn no_files_at_all() {
    trap((None, None), Cause::DOES_NOT_LOAD_HERE, &["acme-auth 2.0.0", "its handler is found nowhere"]).await;
}

#[tokio::test]
async fn what_loads_is_told_and_changes_nothing() {
    let bench = Bench::started(&[]);
    let facts = bench.look().await;
    let performer = bench.performer(&facts, &bundle(&handler("1.0.0", "")), std::time::Duration::from_mins(1));
    performer.acquire(&name()).await.unwrap();
    let before = picture(&bench).await;
    let (end, notes) = rehearsed(&bench, &performer, release(&bench, (Some(GOOD), Some(SCHEMA)))).await;
    assert!(matches!(end, StepEnd::Done { .. }), "{end:?}");
    assert_eq!(*notes.proven.lock().unwrap(), ["loads on trial: acme-auth 2.0.0"]);
    assert_eq!(picture(&bench).await, before);
    performer.release(&name()).await;
}
