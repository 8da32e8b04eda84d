//! `muster --plan --trial`: what would be loaded anew is loaded on trial before it is planned, and nothing of that is left.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::Gateways;
use crate::harness::gateways::{Said, Wanted, handler, schema};

/// Everything in these directories, with modes, sizes and times of change; of prefixes, logs and sockets move by themselves.
fn tree(dirs: &[PathBuf]) -> String {
    let mut find = Command::new("find");
    find.args(dirs).args(["-name", "logs", "-prune", "-o", "-name", "sockets", "-prune", "-o"]);
    // A directory that something was made in and removed from has another time, and nothing else.
    find.args(["(", "-type", "d", "-printf", "%p %m %U\n", "-o", "-printf", "%p %m %U %s %C@\n", ")"]);
    let out = find.output().unwrap();
    let mut lines: Vec<&str> = std::str::from_utf8(&out.stdout).unwrap().lines().collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// Home, prefix, Lua root and kong.conf of nodes, and what of us lies in the directory for temporary files.
fn picture(gateways: &Gateways, names: &[&str]) -> String {
    let dirs = names.iter().flat_map(|name| {
        let node = gateways.node(name);
        [gateways.home(name), node.prefix.clone(), node.lua_root.clone(), node.conf.clone()]
    });
    let dirs: Vec<PathBuf> = dirs.filter(|dir| dir.exists()).collect();
    let masters: Vec<_> = names.iter().map(|name| gateways.node(name).master()).collect();
    let homes: Vec<_> = names.iter().map(|name| gateways.home(name).exists()).collect();
    format!("{}\n{masters:?} {homes:?}", tree(&dirs))
}

fn trials_in_temp() -> Vec<PathBuf> {
    let of_a_trial = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".trial-"));
    let entries = std::fs::read_dir(std::env::temp_dir()).unwrap().flatten();
    entries.map(|entry| entry.path()).filter(|path| of_a_trial(path)).collect()
}

/// Nothing that was not there before is left in the directory for temporary files. Those of tests beside this one go, too.
async fn nothing_in_temp(before: &[PathBuf]) {
    let gone = || trials_in_temp().iter().all(|path| before.contains(path)).then_some(());
    crate::harness::poll_until(std::time::Duration::from_mins(1), "no trial is left", gone).await;
}

/// It ended so, and every one of these is in what it wrote, wherever its lines are wrapped.
#[track_caller]
fn says(said: &Said, code: u8, words: &[&str]) {
    assert_eq!(said.code, code, "{said}");
    let all = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for word in words {
        assert!(all.contains(word), "{word:?} is not in what was said\n{said}");
    }
}

/// Plans on trial, and nothing of the nodes is another than before.
async fn tried(gateways: &Gateways, names: &[&str], more: &[&str]) -> Said {
    let (before, temp) = (picture(gateways, names), trials_in_temp());
    let args: Vec<&str> = ["--plan", "--trial"].iter().chain(more).copied().collect();
    let said = gateways.muster(&args).await;
    assert_eq!(picture(gateways, names), before, "the trial left something: {said}");
    gateways.assert_nothing_left().await;
    nothing_in_temp(&temp).await;
    said
}

#[tokio::test]
async fn content_that_loads_is_told_with_where_it_was_tried_and_the_plan_is_as_without() {
    let Some(gateways) = Gateways::of(&["eu-p1", "eu-p2"]).await else { return };
    gateways.want("2.0.0");
    let said = tried(&gateways, &["eu-p1", "eu-p2"], &[]).await;
    says(
        &said,
        0,
        &[
            "trial load: acme-auth 2.0.0 loads on eu-p1 (Kong 3.9.1)",
            "2 nodes to change",
            "Carry it out: muster --apply --all --trial",
        ],
    );
    assert!(!said.out.contains("loads on eu-p2"), "one node tells of all that are alike: {said}");
    assert!(!gateways.home("eu-p1").exists(), "a bare node got a home");
    let json = tried(&gateways, &["eu-p1", "eu-p2"], &["--format", "json"]).await;
    let plan: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let texts: Vec<_> = plan["notes"].as_array().unwrap().iter().filter(|note| note["topic"] == "trial load").collect();
    assert_eq!(texts.len(), 1, "{json}");
    assert_eq!(texts[0]["text"], "acme-auth 2.0.0 loads on eu-p1 (Kong 3.9.1)");
    // What was carried out has nothing to try.
    gateways.muster(&["--apply", "--all", "--trial"]).await.assert(0, &["loads on eu-p1", "converged"]);
    let said = tried(&gateways, &["eu-p1", "eu-p2"], &["--detailed-exitcode"]).await;
    says(&said, 0, &["trial load: none was made", "Nothing to change."]);
}

#[tokio::test]
async fn content_that_does_not_load_is_planned_on_no_node_and_its_neighbour_is() {
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2"]).await else { return };
    let bundles = ["acme-auth: { dir: plugins/acme-auth }", "geo-ip: { dir: plugins/geo-ip }"];
    let wanted = Wanted { bundles: &bundles, plugins: &["acme-auth: present", "geo-ip: present"], ..Wanted::default() };
    let bad = handler("2.0.0", "-- reads its licence\nerror('no licence')\n");
    let files = [
        ("plugins/acme-auth/handler.lua", bad.as_str()),
        ("plugins/acme-auth/schema.lua", &schema("acme-auth")),
        ("plugins/geo-ip/handler.lua", &handler("1.0.0", "")),
        ("plugins/geo-ip/schema.lua", &schema("geo-ip")),
        ("inventory.yaml", &gateways.inventory(&wanted)),
    ];
    gateways.commit(&files, "two, of which one does not load");
    let said = tried(&gateways, &["eu-1", "eu-2"], &["--detailed-exitcode"]).await;
    says(
        &said,
        2,
        &[
            "acme-auth is left alone on eu: acme-auth 2.0.0 does not load on eu-1",
            "plugins/acme-auth/handler.lua:2: no licence",
            "(trial-load)",
            "Kong's own words: Error: ",
            "see: docs/errors/",
            "trial load: geo-ip 1.0.0 loads on eu-1 (Kong 3.9.1)",
            "2 nodes to change",
            "1 plugin left alone",
        ],
    );
    assert!(!said.out.contains("acme-auth 2.0.0 loads") && !said.out.contains("+ install  acme-auth"), "{said}");
    let json = tried(&gateways, &["eu-1", "eu-2"], &["--format", "json"]).await;
    let plan: serde_json::Value = serde_json::from_str(&json.out).unwrap();
    let blockers = plan["blockers"].as_array().unwrap();
    assert_eq!(blockers.len(), 1, "one for the cluster: {json}");
    assert_eq!(blockers[0]["code"], "trial-load");
    assert_eq!(
        (&blockers[0]["scope"]["scope"], &blockers[0]["scope"]["name"]),
        (&"plugin".into(), &"acme-auth".into())
    );
    let allowed = gateways.muster(&["--plan", "--trial", "--allow", "trial-load"]).await;
    assert_eq!(allowed.code, 64, "{allowed}");
    assert!(allowed.err.contains("cannot be lifted"), "{allowed}");
    // What is left of the plan can be carried out.
    let said = gateways.muster(&["--apply", "--all", "--trial"]).await;
    assert!(said.out.contains("2 of 2 nodes proven") && !said.out.contains("rolled back"), "{said}");
    assert_ne!(said.code, 0, "acme-auth is not there: {said}");
    gateways.assert_serving(None).await;
}

#[tokio::test]
async fn each_fault_of_a_bundle_is_found_with_its_line() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    let good = handler("2.0.0", "");
    let schema = schema("acme-auth");
    // A VERSION that only running it tells is none of the linter's.
    let unversioned = "local version\nreturn { PRIORITY = 900, VERSION = version }\n";
    let cases = [
        (
            handler("2.0.0", "local x = nil\nlocal y = x.y\n"),
            schema.clone(),
            vec!["plugins/acme-auth/handler.lua:2: ", "attempt to index"],
        ),
        (unversioned.to_owned(), schema.clone(), vec!["VERSION field"]),
        (good, schema.replace("record", "no-such-type"), vec!["no-such-type"]),
    ];
    for (handler, schema, words) in cases {
        let files = [("plugins/acme-auth/handler.lua", handler.as_str()), ("plugins/acme-auth/schema.lua", &schema)];
        gateways.commit(&files, "another fault");
        let said = tried(&gateways, &["eu-1"], &["--detailed-exitcode"]).await;
        says(&said, 2, &["acme-auth is left alone on eu: acme-auth", " does not load on eu-1", "(trial-load)"]);
        says(&said, 2, &["Nothing to change. 1 blocked.", "Kong's own words: "]);
        says(&said, 2, &words);
    }
    gateways.assert_serving(Some("1.0.0")).await;
}

#[tokio::test]
async fn what_one_node_lacks_blocks_that_node_and_the_next_one_is_tried() {
    let Some(gateways) = Gateways::of(&["eu-1", "eu-2", "eu-3"]).await else { return };
    gateways.want_handler(&handler("2.0.0", "local jwt = require \"resty.jwt\"\n"), "2.0.0");
    // The module is there on all but the first.
    for name in ["eu-2", "eu-3"] {
        let dir = gateways.node(name).lua_root.join("resty");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("jwt.lua"), "return {}\n").unwrap();
    }
    let said = tried(&gateways, &["eu-1", "eu-2", "eu-3"], &[]).await;
    says(
        &said,
        0,
        &[
            "eu-1 is left alone: acme-auth 2.0.0 does not load on eu-1: plugins/acme-auth/handler.lua:1: module 'resty.jwt' not found",
            "(trial-load)",
            "see: docs/errors/missing-module.md",
            "trial load: acme-auth 2.0.0 loads on eu-2 (Kong 3.9.1)",
            "2 nodes to change",
            "1 blocked",
        ],
    );
    assert!(!said.out.contains("loads on eu-3"), "{said}");
}

#[tokio::test]
async fn where_none_tells_it_is_said_how_many_were_tried_and_the_plan_stands() {
    let names = ["eu-1", "eu-2", "eu-3", "eu-4"];
    let Some(gateways) = Gateways::of(&names).await else { return };
    gateways.want("2.0.0");
    for name in names {
        // A command that cannot parse a configuration, for whatever reason: it is none of a plugin's.
        let kong = gateways.node(name).kong.clone();
        let text = std::fs::read_to_string(&kong).unwrap();
        let odd = text.replacen('\n', "\n[ \"$1\" != config ] || { echo 'Error: no nginx here' >&2; exit 1; }\n", 1);
        std::fs::write(&kong, odd).unwrap();
    }
    let said = tried(&gateways, &names, &[]).await;
    says(
        &said,
        0,
        &[
            "trial load: none could be made on eu-1 (Kong 3.9.1): Kong's command ended with 1: Error: no nginx here",
            "none could be made on eu-3",
            "acme-auth 2.0.0: none of the 3 nodes of eu that it was tried on tells whether it loads; others were not tried",
            "4 nodes to change",
        ],
    );
    assert!(!said.out.contains("on eu-4"), "{said}");
}

#[tokio::test]
async fn without_it_nothing_of_a_branch_runs_anywhere() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    let mark = gateways.dir().join("mark");
    let lua = format!("io.open('{}', 'w'):close()\n", mark.display());
    gateways.want_handler(&handler("6.6.6", &lua), "of a stranger");
    let before = picture(&gateways, &["eu-1"]);
    for args in [&["--plan"][..], &["--plan", "--diff", "--format", "json"], &["status"], &["check"]] {
        gateways.muster(args).await;
        assert!(!mark.exists(), "{args:?} ran it");
    }
    assert_eq!(picture(&gateways, &["eu-1"]), before);
    tried(&gateways, &["eu-1"], &[]).await.assert(0, &[" loads on eu-1"]);
    assert!(mark.exists(), "the trial did not run it");
}

#[tokio::test]
async fn it_goes_with_plans_and_what_carries_them_out_alone() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    for args in [&["status", "--trial"][..], &["check", "--trial"], &["doctor", "--trial"], &["--trial"]] {
        let said = gateways.muster(args).await;
        assert_eq!(said.code, 64, "{said}");
        assert!(said.err.contains("--trial does not go with"), "{said}");
    }
    gateways.muster(&["--plan", "--trial", "--read-only"]).await.assert(0, &[" loads on eu-1"]);
}

#[tokio::test]
async fn an_interrupted_one_leaves_nothing_on_the_node() {
    let Some(gateways) = Gateways::of(&["eu-1"]).await else { return };
    gateways.want("1.0.0");
    gateways.muster(&["--apply", "--all"]).await.assert(0, &["converged"]);
    let begun = gateways.dir().join("begun");
    let lua = format!("io.open('{}', 'w'):close()\nwhile true do end\n", begun.display());
    gateways.want_handler(&handler("2.0.0", &lua), "one that never ends");
    let before = picture(&gateways, &["eu-1"]);
    let call = gateways.begin(&["--plan", "--trial"]);
    crate::harness::poll_until(std::time::Duration::from_mins(1), "the trial", || begun.exists().then_some(())).await;
    assert_ne!(picture(&gateways, &["eu-1"]), before, "it is there while it is tried");
    call.cancel(muster::run::CancelLevel::AfterSteps);
    let said = call.said().await;
    assert_eq!(said.code, 130, "{said}");
    crate::harness::poll_until(std::time::Duration::from_mins(1), "nothing is left of it", || {
        (picture(&gateways, &["eu-1"]) == before).then_some(())
    })
    .await;
    gateways.assert_nothing_left().await;
}
