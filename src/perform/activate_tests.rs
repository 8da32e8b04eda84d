use std::sync::Arc;

use super::*;
use crate::name::{BundlePath, Digest, Owner};
use crate::perform::gateway::{self, Gateway, NEW, Notes, OLD, OLD_SAME, Reaction, stage};
use crate::perform::scripted;
use crate::remote::Connect as _;

const TWO: [u32; 2] = [11, 12];

/// The other nodes of the cluster: eu-2 and so on, all of them this gateway.
struct Others<'a>(&'a Gateway, usize);

#[async_trait::async_trait]
impl Elsewhere for Others<'_> {
    async fn admin(
        &self,
        node: &crate::name::NodeName,
    ) -> Result<(Arc<dyn Remote>, crate::perform::admin::Face), Cause> {
        if node.as_str() != format!("eu-{}", self.1) {
            return Err(cause("timed-out", "no answer in 10 s"));
        }
        let remote = self.0.node.connect(&scripted::address(node.as_str())).await.unwrap();
        Ok((remote, gateway::doors().admin.unwrap()))
    }
}

struct Done {
    end: StepEnd,
    standing: Option<Standing>,
    notes: Notes,
    took: Duration,
}

async fn carry_out(gateway: &Gateway, activate: &Activate, notes: Notes) -> Done {
    let identity = scripted::identity();
    let remote: Arc<dyn Remote> = gateway.node.connect(&scripted::address("eu-1")).await.unwrap();
    let site = scripted::site("eu-1");
    let begun = Instant::now();
    let activation = Activation {
        remote: &*remote,
        site: &site,
        doors: &gateway::doors(),
        lease: &Lease { identity: &identity, generation: 3 },
        step: 7,
        activate,
        settings: &Settings::default(),
        watch: &notes,
        elsewhere: &Others(gateway, 3),
    };
    let (end, standing) = activation.perform().await;
    Done { end, standing, took: begun.elapsed(), notes }
}

async fn upgrade(gateway: &Gateway) -> Done {
    carry_out(gateway, &gateway::activate(ReloadWay::Candidate), Notes::default()).await
}

fn rolled_back(done: &Done) -> &Cause {
    match &done.end {
        StepEnd::RolledBack { cause } => cause,
        other => panic!("not rolled back: {other:?}"),
    }
}

fn failed(done: &Done) -> &Cause {
    match &done.end {
        StepEnd::Failed { cause } => cause,
        other => panic!("not failed: {other:?}"),
    }
}

fn unknown(done: &Done) -> &Cause {
    match &done.end {
        StepEnd::Unknown { cause } => cause,
        other => panic!("not unknown: {other:?}"),
    }
}

fn good() -> Gateway {
    Gateway::new(
        &TWO,
        &[stage(0, false, &TWO, OLD), stage(300, true, &[11, 12, 21, 22], NEW), stage(400, true, &[21, 22], NEW)],
    )
}

#[tokio::test(start_paused = true)]
async fn a_good_upgrade_is_proven_then_confirmed() {
    let gateway = good();
    let done = upgrade(&gateway).await;
    assert_eq!(done.end, StepEnd::Done { outcome: Outcome::Changed });
    let proven = done.notes.proven.lock().unwrap();
    assert_eq!(*proven, ["2 workers new, acme-auth 2.1.0, ready, 8 proxied requests answered"]);
    assert_eq!(done.notes.course(), [StepPhase::Guard, StepPhase::Reload, StepPhase::Prove, StepPhase::Commit]);
    let words = gateway.words();
    assert_eq!(words.last(), Some(&Word::Confirm));
    assert!(words[..words.len() - 1].iter().all(|word| *word == Word::Look));
    assert_eq!(done.standing.unwrap().live.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_script_is_told_the_basis_and_everything_wanted() {
    let path = |text| BundlePath::parse(text).unwrap();
    let mut activate = gateway::activate(ReloadWay::Candidate);
    activate.basis.env = Some(Digest::of(b"env"));
    activate.basis.generation = 4;
    activate.switches = vec![crate::action::Switch {
        bundle: gateway::bundle(),
        owner: Owner::parse("edge").unwrap(),
        from: None,
        to: gateway::digest(),
        links: [path("kong/plugins/acme-auth")].into(),
        unlinks: [path("kong/plugins/gone")].into(),
        adopts: [path("kong/plugins/acme-auth")].into(),
        plugins: [].into(),
    }]
    .into();
    activate.conf = Some(crate::action::ConfEdit {
        keeping: crate::action::Keeping::Conf,
        path: crate::name::NodePath::parse("/etc/kong/kong.conf").unwrap(),
        before: Some(Digest::of(b"a")),
        offset: 3,
        remove: 2,
        insert: "x\n".to_owned(),
        after: Digest::of(b"b"),
    });
    let gateway = good();
    carry_out(&gateway, &activate, Notes::default()).await;
    let call = &gateway.node.calls()[0];
    let digest = gateway::digest();
    let release = format!("/var/lib/muster/releases/acme-auth/{digest}");
    for (key, value) in [
        ("way", "candidate"),
        ("plugins", "bundled,acme-auth"),
        ("stage", &format!("{release}/?.lua;{release}/?/init.lua;")),
        ("patience", "300"),
        ("generation", "3"),
        ("step", "7"),
        ("conf_sha", "-"),
        ("env_sha", Digest::of(b"env").as_str()),
        ("master_pid", "100"),
        ("master_start", "5"),
        ("manifest_generation", "4"),
        ("was_1", "acme-auth -"),
        ("switch_1", &format!("acme-auth {digest}")),
        ("root_1", "acme-auth kong/plugins/acme-auth"),
        ("drop_1", "acme-auth kong/plugins/gone"),
        ("adopt_1", "acme-auth kong/plugins/acme-auth"),
        ("conf_offset", "3"),
        ("conf_remove", "2"),
        ("conf_insert", "\\0170\\0012"),
        ("conf_after", Digest::of(b"b").as_str()),
        ("manifest_1", "muster-manifest 1"),
        ("content_1", &format!("acme-auth {digest}")),
    ] {
        assert_eq!(call.args.get(key), Some(value), "{key}");
    }
}

const NOT_FOUND: &str = "2026/11/20 07:00:00 [error] 5806#0: init_by_lua error: /usr/share/lua/5.1/kong/init.lua:553: \
    error loading plugin schemas: on plugin 'acme-auth': error loading module 'kong.plugins.acme-auth.handler':\n\
    /rel/acme-auth/kong/plugins/acme-auth/handler.lua:12: module 'resty.jwt' not found:No LuaRocks module found\n";

#[tokio::test(start_paused = true)]
async fn a_failed_reload_is_put_back_at_once_and_the_log_says_why() {
    let gateway = Gateway::new(&TWO, &[stage(0, false, &TWO, OLD), stage(140, true, &TWO, OLD)]);
    gateway.set(|setup| setup.log(NOT_FOUND));
    let done = upgrade(&gateway).await;
    let cause = rolled_back(&done);
    assert_eq!(cause.code, "reload-failed");
    assert!(cause.text.contains("handler.lua:12") && cause.text.contains("resty.jwt"), "{}", cause.text);
    assert!(cause.details.last().unwrap().contains("serving acme-auth 2.0.3 as before"), "{:?}", cause.details);
    assert!(!cause.hints.is_empty());
    assert!(done.took < Duration::from_millis(600), "{:?}", done.took);
    assert!(done.notes.proven.lock().unwrap().is_empty());
    assert_eq!(gateway.words().last(), Some(&Word::Undo));
}

#[tokio::test(start_paused = true)]
async fn a_failed_reload_at_log_level_crit_is_seen_without_any_log_line() {
    let gateway = Gateway::new(&TWO, &[stage(0, false, &TWO, OLD), stage(140, true, &TWO, OLD)]);
    gateway.set(|setup| setup.log(""));
    let done = upgrade(&gateway).await;
    let cause = rolled_back(&done);
    assert_eq!(cause.code, "reload-failed");
    assert!(cause.details.iter().any(|line| line.contains("log_level crit")), "{:?}", cause.details);
}

#[tokio::test(start_paused = true)]
async fn a_log_full_of_errors_does_not_fail_a_good_reload() {
    let gateway = good();
    gateway.set(|setup| setup.log(NOT_FOUND));
    assert_eq!(upgrade(&gateway).await.end, StepEnd::Done { outcome: Outcome::Changed });
}

#[tokio::test(start_paused = true)]
async fn the_commit_names_the_file_that_is_really_written() {
    use crate::action::Keeping;
    let edit = |keeping, path| crate::action::ConfEdit {
        keeping,
        path: crate::name::NodePath::parse(path).unwrap(),
        before: None,
        offset: 0,
        remove: 0,
        insert: String::new(),
        after: Digest::of(b"b"),
    };
    for (keeping, path, said) in [
        (Keeping::Conf, "/etc/kong/kong.conf", "kong.conf"),
        (Keeping::EnvironmentFile, "/etc/default/kong", "/etc/default/kong"),
    ] {
        let mut activate = gateway::activate(ReloadWay::Candidate);
        activate.conf = Some(edit(keeping, path));
        let done = carry_out(&good(), &activate, Notes::default()).await;
        let seen = done.notes.phases.lock().unwrap();
        let committed = seen.iter().find(|(phase, _)| *phase == StepPhase::Commit).map(|(_, text)| text.as_str());
        assert!(committed.is_some_and(|text| text.split(", ").last() == Some(said)), "{seen:?}");
        assert!(said == "kong.conf" || !committed.unwrap().contains("kong.conf"), "{seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_load_of_three_seconds_is_awaited() {
    let gateway = Gateway::new(&TWO, &[stage(0, false, &TWO, OLD), stage(3000, true, &[21, 22], NEW)]);
    let done = upgrade(&gateway).await;
    assert_eq!(done.end, StepEnd::Done { outcome: Outcome::Changed });
    let seen = done.notes.phases.lock().unwrap();
    assert!(seen.iter().any(|(_, text)| text == "still loading (2 old workers answer)"), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn the_only_worker_killed_after_a_failed_content_upgrade_is_put_back() {
    let gateway = Gateway::new(&[11], &[stage(0, false, &[11], OLD), stage(600, true, &[31], OLD_SAME)]);
    assert_eq!(rolled_back(&upgrade(&gateway).await).code, "reload-failed");
}

#[tokio::test(start_paused = true)]
async fn all_workers_killed_while_the_master_fails_is_put_back() {
    let gateway = Gateway::new(
        &TWO,
        &[stage(0, false, &TWO, OLD), stage(500, false, &[], OLD), stage(2000, true, &[31, 32], OLD_SAME)],
    );
    assert_eq!(rolled_back(&upgrade(&gateway).await).code, "reload-failed");
}

#[tokio::test(start_paused = true)]
async fn a_third_partys_reload_in_the_middle_does_not_harm() {
    let gateway = Gateway::new(
        &TWO,
        &[
            stage(0, false, &TWO, OLD),
            stage(300, true, &[21, 22], NEW),
            stage(600, false, &[21, 22], NEW),
            stage(900, true, &[21, 22, 31, 32], NEW),
            stage(1000, true, &[31, 32], NEW),
        ],
    );
    let done = upgrade(&gateway).await;
    assert_eq!(done.end, StepEnd::Done { outcome: Outcome::Changed });
    assert!(done.standing.unwrap().live.contains(&(31, 310)));
}

#[tokio::test(start_paused = true)]
async fn merged_reloads_are_proven_by_the_last_generation() {
    let gateway = Gateway::new(
        &TWO,
        &[stage(0, false, &TWO, OLD), stage(4400, false, &[21, 22], OLD), stage(5670, true, &[31, 32], NEW)],
    );
    let done = upgrade(&gateway).await;
    assert_eq!(done.end, StepEnd::Done { outcome: Outcome::Changed });
    assert!(done.took > Duration::from_millis(6600), "{:?}", done.took);
}

#[tokio::test(start_paused = true)]
async fn a_load_longer_than_the_guards_time_is_put_back_and_said_so() {
    let gateway = Gateway::new(&TWO, &[stage(0, false, &TWO, OLD)]);
    let done = upgrade(&gateway).await;
    let cause = rolled_back(&done);
    assert_eq!(cause.code, "timed-out");
    assert!(cause.text.contains("still loading"), "{}", cause.text);
    assert!(done.took < Duration::from_mins(5), "before the guard does it by itself: {:?}", done.took);
    let printed = done.notes.printed.lock().unwrap();
    assert_eq!(printed.len(), 1, "one alarm: {printed:?}");
    assert!(printed[0].contains("after 120 s"), "{printed:?}");
}

#[tokio::test(start_paused = true)]
async fn put_back_but_not_proven_is_a_failure_not_a_rollback() {
    let gateway = Gateway::new(&TWO, &[stage(0, false, &TWO, OLD), stage(140, true, &TWO, OLD)]);
    gateway.set(|setup| setup.on_undo(Reaction::Ends("undone unproved", Status::Undone)));
    let done = upgrade(&gateway).await;
    assert!(failed(&done).details.contains(&"put back, but not proven".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_link_lost_before_the_proof_is_unknown_and_the_guard_is_named() {
    let gateway = Gateway::new(&TWO, &[stage(0, false, &TWO, OLD), stage(140, true, &TWO, OLD)]);
    gateway.set(|setup| setup.on_undo(Reaction::Breaks));
    let done = upgrade(&gateway).await;
    assert!(unknown(&done).details[0].contains("within 300 s"), "{:?}", done.end);
    gateway.set(|setup| setup.opens(Reaction::Breaks));
    assert!(unknown(&upgrade(&gateway).await).details[0].contains("the guard on the node"));
}

#[tokio::test(start_paused = true)]
async fn a_link_lost_after_confirm_is_unknown_and_the_receipt_is_named() {
    let gateway = good();
    gateway.set(|setup| setup.on_confirm(Reaction::Breaks));
    let done = upgrade(&gateway).await;
    assert!(unknown(&done).details[0].contains("receipt"), "{:?}", done.end);
    assert_eq!(done.notes.proven.lock().unwrap().len(), 1, "the proof stays a fact");
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_was_faster_than_confirm_is_a_rollback_never_done() {
    let gateway = good();
    gateway.set(|setup| setup.on_confirm(Reaction::Ends("undone proved", Status::Undone)));
    assert_eq!(rolled_back(&upgrade(&gateway).await).code, "guard-fired");
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_stops_half_way_is_failed_and_says_that_it_goes_on() {
    let gateway = good();
    gateway.set(|setup| setup.on_confirm(Reaction::Ends("did switch a b\nproblem commit conf abc", Status::Failed)));
    let done = upgrade(&gateway).await;
    let cause = failed(&done);
    assert_eq!(cause.code, "commit");
    assert!(cause.details[0].contains("new content is loaded"), "{cause:?}");
}

#[tokio::test(start_paused = true)]
async fn a_database_that_does_not_answer_leaves_the_node_untouched() {
    let gateway = good();
    gateway.set(|setup| setup.database(false));
    assert_eq!(failed(&upgrade(&gateway).await).code, "database-unreachable");
    assert!(gateway.node.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_the_script_refuses_before_it_touches_anything_keeps_its_meaning() {
    let gateway = good();
    gateway.set(|setup| setup.opens(Reaction::Ends("moved conf abc", Status::Moved)));
    let done = upgrade(&gateway).await;
    assert_eq!(
        done.end,
        StepEnd::Skipped { why: SkipReason::NodeMoved { what: "kong.conf was written since (abc)".to_owned() } }
    );
    assert_eq!(*done.notes.printed.lock().unwrap(), ["not as the plan saw it: conf abc"]);
    gateway.set(|setup| setup.opens(Reaction::Ends("locked cron@ops 01RUN 42", Status::Locked)));
    let done = upgrade(&gateway).await;
    assert_eq!(failed(&done).text, "eu-1 is held by cron@ops, run 01RUN, for 42 s more");
    gateway.set(|setup| setup.opens(Reaction::Ends("problem conf-hard-links /etc/kong/kong.conf", Status::Refused)));
    let done = upgrade(&gateway).await;
    assert_eq!(failed(&done).code, "conf-hard-links");
    gateway.set(|setup| setup.opens(Reaction::Ends("no-guard", Status::Refused)));
    assert_eq!(failed(&upgrade(&gateway).await).code, "no-guard");
    assert!(gateway.words().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_cli_that_says_no_is_put_back_with_its_words() {
    let gateway = good();
    let said = "reloading\ncli 1 Error:%20no%20user\nundone restored";
    gateway.set(|setup| setup.opens(Reaction::Ends(said, Status::Failed)));
    let done = upgrade(&gateway).await;
    let cause = rolled_back(&done);
    assert_eq!(cause.code, "reload-refused");
    assert!(cause.details.iter().any(|line| line.contains("Kong was not told")), "{cause:?}");
}

#[tokio::test(start_paused = true)]
async fn a_kong_that_does_not_run_is_committed_without_a_proof() {
    let gateway = Gateway::new(&[], &[stage(0, true, &[], OLD)]);
    gateway.set(|setup| setup.reloads(false));
    let done = carry_out(&gateway, &gateway::activate(ReloadWay::Stopped), Notes::default()).await;
    assert_eq!(done.end, StepEnd::Done { outcome: Outcome::Edited });
    assert!(done.notes.proven.lock().unwrap().is_empty(), "nothing was proven");
    assert_eq!(done.notes.course(), [StepPhase::Guard]);
    assert_eq!(gateway.words(), [Word::Confirm]);
    assert!(gateway.node.asked().is_empty(), "nobody asks a Kong that does not run");
    assert_eq!(gateway.node.calls()[0].args.get("way"), Some("none"));
}

#[tokio::test(start_paused = true)]
async fn without_a_reload_the_workers_have_to_run_what_is_wanted_already() {
    let gateway = Gateway::new(&TWO, &[stage(0, true, &TWO, NEW)]);
    gateway.set(|setup| setup.reloads(false));
    let mut activate = gateway::activate(ReloadWay::Unneeded);
    let done = carry_out(&gateway, &activate, Notes::default()).await;
    assert_eq!(done.end, StepEnd::Done { outcome: Outcome::Changed });
    activate.loaded.to_mut().insert(PluginName::parse("other").unwrap(), None);
    let done = carry_out(&gateway, &activate, Notes::default()).await;
    assert_eq!(failed(&done).code, "moved");
    assert_eq!(gateway.node.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_left_asks_for_the_way_back_and_is_unknown() {
    let gateway = Gateway::new(&TWO, &[stage(0, false, &TWO, OLD)]);
    let notes = Notes::default();
    *notes.cancel.lock().unwrap() = Some(CancelLevel::LeaveSteps);
    let done = carry_out(&gateway, &gateway::activate(ReloadWay::Candidate), notes).await;
    assert_eq!(unknown(&done).code, "left");
    assert_eq!(gateway.words(), [Word::Undo]);
}

#[tokio::test(start_paused = true)]
async fn a_script_that_falls_silent_is_unknown_in_bounded_time() {
    let gateway = good();
    gateway.node.stages(Script::Activate, |_| Ok(Box::new(|_| (vec![scripted::record("reloading")], None))));
    let done = upgrade(&gateway).await;
    assert_eq!(unknown(&done).code, "timed-out");
    assert!(done.took <= CLI + Duration::from_secs(1), "{:?}", done.took);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_lies_about_its_length_is_no_proof() {
    for look in ["proof 0 1 1 3\nworker 1 2 live\nnonsense", "proof 0 1 1 99999999", "proof 0 1 1"] {
        let gateway = good();
        let lines = format!("reloading\n{look}");
        gateway.node.stages(Script::Activate, move |_| {
            let replies: Vec<_> = lines.lines().map(scripted::record).collect();
            Ok(Box::new(move |_| (replies.clone(), None)))
        });
        assert_eq!(unknown(&upgrade(&gateway).await).code, "garbled", "{look}");
    }
}

fn removal(way: ReloadWay) -> Activate {
    Activate { gone: [PluginName::parse("legacy").unwrap()].into(), ..gateway::activate(way) }
}

fn row(plugin: &str) -> serde_json::Value {
    serde_json::json!({ "id": format!("{plugin}-1"), "name": plugin, "enabled": false, "service": { "id": "s-1" } })
}

#[tokio::test(start_paused = true)]
async fn a_name_goes_only_while_nobody_uses_it() {
    let gateway = good();
    gateway.set(|setup| setup.rows(Ok(vec![row("other")])));
    let done = carry_out(&gateway, &removal(ReloadWay::Candidate), Notes::default()).await;
    assert_eq!(done.end, StepEnd::Done { outcome: Outcome::Changed });
    for way in [ReloadWay::Candidate, ReloadWay::Hup, ReloadWay::Unneeded] {
        let gateway = good();
        gateway.set(|setup| setup.rows(Ok(vec![row("legacy"), row("other")])));
        let mut wanted = removal(way.clone());
        wanted.loaded = std::collections::BTreeMap::new().into();
        let done = carry_out(&gateway, &wanted, Notes::default()).await;
        let cause = failed(&done);
        assert_eq!(cause.code, Cause::REAPPLIED);
        assert_eq!(cause.text, "1 row uses again what is being removed: legacy: service s-1, disabled");
        assert_eq!(cause.details.last().unwrap(), "nothing was touched on eu-1");
        assert_eq!(cause.hints.len(), 2, "both ways out");
        assert!(gateway.node.calls().is_empty(), "{way:?}: a script was sent");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_counted_does_not_go() {
    for (rows, master, code) in
        [(Err(500), 100, "admin-error"), (Err(200), 100, "admin-garbled"), (Ok(vec![]), 7, "other-kong")]
    {
        let gateway = good();
        gateway.set(|setup| {
            setup.rows(rows);
            setup.master(master);
        });
        let done = carry_out(&gateway, &removal(ReloadWay::Candidate), Notes::default()).await;
        let cause = failed(&done);
        assert_eq!(cause.code, code);
        assert!(cause.text.starts_with("nothing was touched on eu-1, as the rows"), "{cause:?}");
        assert!(gateway.node.calls().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_node_counts_through_others_of_its_cluster() {
    let nodes = |names: &[&str]| names.iter().map(|name| crate::name::NodeName::parse(name).unwrap()).collect();
    let with = |through: &[&str]| Activate { count_through: nodes(through), ..removal(ReloadWay::Stopped) };
    let gateway = good();
    gateway.set(|setup| setup.reloads(false));
    let done = carry_out(&gateway, &with(&["eu-2", "eu-3"]), Notes::default()).await;
    assert_eq!(done.end, StepEnd::Done { outcome: Outcome::Edited });
    gateway.set(|setup| setup.rows(Ok(vec![row("legacy")])));
    let done = carry_out(&gateway, &with(&["eu-2", "eu-3"]), Notes::default()).await;
    assert_eq!(failed(&done).code, Cause::REAPPLIED);
    let done = carry_out(&gateway, &with(&["eu-2"]), Notes::default()).await;
    assert!(failed(&done).text.ends_with("through eu-2: no answer in 10 s"), "{:?}", done.end);
    let done = carry_out(&gateway, &with(&[]), Notes::default()).await;
    assert_eq!(failed(&done).code, "no-admin");
}
