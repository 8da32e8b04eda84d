//! Installs, upgrades and failures on a stand-in gateway, by the real scripts: no false success, no false failure, and
//! the gateway serves whatever happens (issue 2, "Must show").

use std::time::Duration;

use muster::action::ReloadWay;
use muster::perform::Perform as _;
use muster::run::{Outcome, StepEnd, StepPhase};
use nix::sys::signal::Signal;

use super::nodes::{Bench, Made, Notes, bundle, children, handler, kill, name};
use crate::harness::{poll_until, within};

const LONG: Duration = Duration::from_mins(1);

fn good(version: &str) -> Made {
    bundle(&handler(version, ""))
}

async fn bring(bench: &Bench, made: &Made, notes: &Notes) -> StepEnd {
    within(LONG, "the step", bench.bring(made, ReloadWay::Candidate, notes)).await
}

#[track_caller]
fn done(end: &StepEnd) {
    assert_eq!(*end, StepEnd::Done { outcome: Outcome::Changed });
}

#[track_caller]
fn rolled_back(end: StepEnd) -> muster::run::Cause {
    match end {
        StepEnd::RolledBack { cause } => cause,
        other => panic!("not rolled back: {other:?}"),
    }
}

#[tokio::test]
async fn an_install_and_an_upgrade_are_proven_committed_and_survive_a_power_cut() {
    let bench = Bench::started(&[]);
    let notes = Notes::default();
    done(&bring(&bench, &good("1.0.0"), &notes).await);
    let proven = notes.proven.lock().unwrap()[0].clone();
    assert!(proven.starts_with("2 workers new, acme-auth 1.0.0, ready, 8 proxied"), "{proven}");
    assert!(bench.conf().contains("plugins = bundled,acme-auth"), "{}", bench.conf());
    done(&bring(&bench, &good("2.0.0"), &Notes::default()).await);
    assert_eq!(bench.loaded().await.as_deref(), Some("2.0.0"));
    let facts = bench.look().await;
    let path = facts.admin.as_ref().unwrap().lua_package_path.clone().unwrap();
    assert!(path.contains("releases/acme-auth"), "the workers were made with the staged path: {path}");
    let env = String::from_utf8(facts.env_file.as_ref().unwrap().open().bytes().to_vec()).unwrap();
    assert!(!env.contains("releases/acme-auth"), "and the next generation will not be");
    assert!(facts.guard.is_none() && facts.receipts.last().unwrap().result.as_deref() == Some("changed"));
    bench.restart();
    assert_eq!(bench.loaded().await.as_deref(), Some("2.0.0"));
}

#[tokio::test]
async fn a_plugin_that_cannot_be_loaded_is_put_back_and_its_line_is_named() {
    let bench = Bench::started(&[]);
    done(&bring(&bench, &good("1.0.0"), &Notes::default()).await);
    let conf = bench.conf();
    let bad = bundle(&handler("2.0.0", "\nlocal jwt = require \"resty.no-such\""));
    let cause = rolled_back(bring(&bench, &bad, &Notes::default()).await);
    assert_eq!(cause.code, "reload-failed");
    assert!(cause.text.contains("resty.no-such") && cause.text.contains("handler.lua:2"), "{cause:?}");
    assert!(cause.details.iter().any(|line| line.contains("serving acme-auth 1.0.0 as before")), "{cause:?}");
    assert!(!cause.hints.is_empty());
    assert_eq!((bench.loaded().await.as_deref(), bench.conf()), (Some("1.0.0"), conf));
    let facts = bench.look().await;
    assert_eq!(facts.ready, Some(200), "only a good reload brings readiness back");
    assert!(facts.guard.is_none());
    bench.restart();
    assert_eq!(bench.loaded().await.as_deref(), Some("1.0.0"));
}

#[tokio::test]
async fn at_log_level_crit_a_failed_reload_is_seen_all_the_same() {
    let bench = Bench::started(&[("log_level", "crit")]);
    let cause = rolled_back(bring(&bench, &bundle(&handler("1.0.0", "error(\"no\")")), &Notes::default()).await);
    assert_eq!(cause.code, "reload-failed");
    assert!(cause.details.iter().any(|line| line.contains("log_level crit")), "{cause:?}");
    assert_eq!(bench.loaded().await, None);
}

#[tokio::test]
async fn a_load_of_three_seconds_is_awaited_and_a_third_partys_reload_does_no_harm() {
    let bench = Bench::started(&[]);
    bench.node.change(|settings| settings.faults.slow_load = 3.0).unwrap();
    let master = bench.node.master().unwrap();
    let mut once = true;
    let notes = Notes::at(move |phase, text| {
        // In the middle of the load somebody else wants one, too.
        if phase == StepPhase::Prove && text.starts_with("still loading") && std::mem::take(&mut once) {
            kill(master, Signal::SIGHUP).unwrap();
        }
    });
    done(&bring(&bench, &good("1.0.0"), &notes).await);
    assert!(notes.told.lock().unwrap().iter().any(|(_, text)| text.starts_with("still loading")));
    bench.node.change(|settings| settings.faults.slow_load = 0.0).unwrap();
    assert_eq!(bench.loaded().await.as_deref(), Some("1.0.0"));
}

#[tokio::test]
async fn workers_killed_while_the_master_fails_are_not_taken_for_a_new_generation() {
    let bench = Bench::started(&[]);
    done(&bring(&bench, &good("1.0.0"), &Notes::default()).await);
    bench.node.change(|settings| settings.faults.slow_load = 1.0).unwrap();
    let master = bench.node.master().unwrap();
    let mut once = true;
    let notes = Notes::at(move |phase, text| {
        if phase == StepPhase::Prove && text.starts_with("still loading") && std::mem::take(&mut once) {
            for worker in children(master) {
                kill(worker, Signal::SIGKILL).unwrap();
            }
        }
    });
    // The same VERSION, so that only the path tells the two apart.
    let bad = bundle(&handler("1.0.0", "error(\"no\")"));
    let cause = rolled_back(bring(&bench, &bad, &notes).await);
    assert_eq!(cause.code, "reload-failed", "{cause:?}");
    bench.node.change(|settings| settings.faults.slow_load = 0.0).unwrap();
    assert_eq!(bench.loaded().await.as_deref(), Some("1.0.0"));
}

#[tokio::test]
async fn the_only_worker_killed_right_after_a_failed_content_upgrade_is_no_success() {
    let bench = Bench::started(&[("nginx_main_worker_processes", "1")]);
    done(&bring(&bench, &good("1.0.0"), &Notes::default()).await);
    let master = bench.node.master().unwrap();
    let notes = Notes::at(move |phase, _| {
        if phase == StepPhase::Reload {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(600));
                for worker in children(master) {
                    let _ = kill(worker, Signal::SIGKILL);
                }
            });
        }
    });
    let cause = rolled_back(bring(&bench, &bundle(&handler("1.0.0", "error(\"no\")")), &notes).await);
    assert_eq!(cause.code, "reload-failed");
    poll_until(LONG, "a worker serves again", || bench.proxied().then_some(())).await;
    assert_eq!(bench.loaded().await.as_deref(), Some("1.0.0"));
}

#[tokio::test]
async fn a_database_that_does_not_answer_pauses_before_anything_is_touched() {
    let bench = Bench::started(&[]);
    let facts = bench.look().await;
    let made = good("1.0.0");
    bench.node.change(|settings| settings.faults.database_gone = true).unwrap();
    let performer = bench.performer(&facts, &made, Duration::from_mins(1));
    let (notes, conf) = (Notes::default(), bench.conf());
    let end = bench.bring_with(&performer, &facts, &made, ReloadWay::Candidate, &notes).await;
    assert!(matches!(&end, StepEnd::Failed { cause } if cause.code == "database-unreachable"), "{end:?}");
    bench.node.change(|settings| settings.faults.database_gone = false).unwrap();
    let now = bench.look().await;
    assert_eq!(now.master, facts.master, "the workers are the same");
    assert_eq!(bench.conf(), conf);
}

#[tokio::test]
async fn a_hangup_of_our_own_line_is_proven_like_a_reload_by_the_command() {
    let bench = Bench::started(&[]);
    let end = within(LONG, "the step", bench.bring(&good("1.0.0"), ReloadWay::Hup, &Notes::default())).await;
    done(&end);
    assert_eq!(bench.loaded().await.as_deref(), Some("1.0.0"));
}

#[tokio::test]
async fn a_kong_that_does_not_run_gets_files_and_directive_and_starts_with_them() {
    let bench = Bench::create(&[]);
    let end = within(LONG, "the step", bench.bring(&good("1.0.0"), ReloadWay::Stopped, &Notes::default())).await;
    assert_eq!(end, StepEnd::Done { outcome: Outcome::Edited });
    assert!(bench.look().await.master.is_none(), "it is never started by us");
    bench.node.start().unwrap();
    assert_eq!(bench.loaded().await.as_deref(), Some("1.0.0"));
}

#[tokio::test]
async fn what_runs_right_already_is_written_down_without_a_reload() {
    let bench = Bench::started(&[]);
    done(&bring(&bench, &good("1.0.0"), &Notes::default()).await);
    let text = bench.conf().replace("plugins = bundled,acme-auth", "plugins = bundled");
    std::fs::write(&bench.node.conf, text).unwrap();
    let before = bench.look().await.master.clone();
    let end = within(LONG, "the step", bench.bring(&good("1.0.0"), ReloadWay::Unneeded, &Notes::default())).await;
    done(&end);
    assert_eq!(bench.look().await.master, before, "no worker was replaced");
    assert!(bench.conf().contains("plugins = bundled,acme-auth"));
}

#[tokio::test]
async fn an_operator_who_dies_in_the_middle_leaves_a_node_that_puts_itself_back() {
    let bench = Bench::started(&[]);
    done(&bring(&bench, &good("1.0.0"), &Notes::default()).await);
    let facts = bench.look().await;
    let made = good("2.0.0");
    bench.node.change(|settings| settings.faults.slow_load = 1.0).unwrap();
    let performer = bench.performer(&facts, &made, Duration::from_mins(1));
    let (told, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let notes = Notes::at(move |phase, _| {
        let _ = told.send(phase);
    });
    {
        let step = bench.bring_with(&performer, &facts, &made, ReloadWay::Candidate, &notes);
        tokio::pin!(step);
        let loading = async { while seen.recv().await.is_some_and(|phase| phase != StepPhase::Prove) {} };
        tokio::select! {
            end = &mut step => panic!("it ended first: {end:?}"),
            () = loading => {}
        }
        // Dropped here: our side of the pipes closes, as when muster is killed.
    }
    bench.node.change(|settings| settings.faults.slow_load = 0.0).unwrap();
    let until = tokio::time::Instant::now() + LONG;
    loop {
        let facts = bench.look().await;
        let undone =
            facts.receipts.iter().filter_map(|receipt| receipt.result.as_deref()).any(|r| r.starts_with("undone"));
        if undone && facts.guard.is_none() {
            break;
        }
        assert!(tokio::time::Instant::now() < until, "not put back: {:?}", facts.receipts);
    }
    assert_eq!(bench.loaded().await.as_deref(), Some("1.0.0"));
    assert!(bench.proxied());
    performer.release(&name()).await;
}

#[tokio::test]
async fn a_worker_that_dies_after_the_proof_is_noticed_by_the_soak() {
    let bench = Bench::started(&[]);
    let (facts, made) = (bench.look().await, good("1.0.0"));
    let performer = bench.performer(&facts, &made, LONG);
    let end = bench.bring_with(&performer, &facts, &made, ReloadWay::Candidate, &Notes::default()).await;
    done(&end);
    assert_eq!(performer.healthy(&name()).await, Ok(()));
    let victim = bench.look().await.master.as_ref().unwrap().workers.first().unwrap().0;
    kill(i32::try_from(victim).unwrap(), Signal::SIGKILL).unwrap();
    let until = tokio::time::Instant::now() + LONG;
    let found = loop {
        match performer.healthy(&name()).await {
            Err(cause) => break cause,
            Ok(()) => assert!(tokio::time::Instant::now() < until, "nobody noticed"),
        }
    };
    assert_eq!(found.code, "workers-restart");
    performer.release(&name()).await;
}
