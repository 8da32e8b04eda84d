//! Every screen at two sizes, as it is seen.

use muster::run::{StepPhase, Verdict};
use muster::tui::{Doing, Look, Message, Notice};

use super::fixture::{Recording, empty_plan, looked, planned};
use super::script::{Act, ctrl, enter, key, play, say, typed};
use crossterm::event::KeyCode;

const SIZES: [(u16, u16); 2] = [(80, 24), (160, 50)];

/// Plays a script at both sizes and compares the screens with those that were read and found good.
pub(super) fn seen(name: &str, script: &[Vec<Act>]) {
    for (width, height) in SIZES {
        let played = play((width, height), Look::FULL, script.concat());
        insta::assert_snapshot!(format!("{name}-{width}x{height}"), played.screen);
    }
}

/// From the start to the run: a plan, the question, the cluster's name.
pub(super) fn to_run() -> Vec<Act> {
    [say(looked()), typed("p"), say(planned()), typed("aeu-prod"), enter()].concat()
}

#[test]
fn before_the_first_look() {
    seen("start", &[say(Message::Looking { done: 2, of: 6 })]);
}

#[test]
fn the_fleet() {
    seen("fleet", &[say(looked()), typed("jj")]);
}

#[test]
fn the_fleet_with_a_cluster_folded() {
    seen("fleet-folded", &[say(looked()), enter()]);
}

#[test]
fn the_fleet_on_the_next_node_in_trouble() {
    seen("fleet-trouble", &[say(looked()), typed("nnnn")]);
}

#[test]
fn a_node() {
    seen("node", &[say(looked()), typed("jjj"), enter()]);
}

#[test]
fn the_plan() {
    seen("plan", &[say(looked()), typed("p"), say(planned())]);
}

#[test]
fn what_is_alike_on_forty_nodes_is_said_once_in_a_plan() {
    use muster::name::NodeName;
    use muster::plan::Scope;
    let mut plan = empty_plan();
    let names: Vec<NodeName> = (1..=40).map(|n| NodeName::parse(&format!("eu-{n}")).unwrap()).collect();
    let mut blocker = super::fixture::plan().blockers.remove(0);
    let one = |node: &NodeName| {
        blocker.scope = Scope::Node { node: node.clone() };
        blocker.hints = vec![muster::hint::Hint::look(format!("the log of {node}"))];
        blocker.clone()
    };
    plan.blockers = names.iter().map(one).collect();
    plan.clusters[0].nodes.in_line.clear();
    plan.clusters[0].nodes.blocked = names;
    let script = [say(looked()), typed("p"), say(Message::Planned(plan.into()))].concat();
    let screen = play((100, 50), Look::FULL, script).screen;
    assert_eq!(screen.matches("any reload of it").count(), 1, "{screen}");
    assert_eq!(screen.matches("the log of eu-").count(), 1, "{screen}");
    assert!(
        screen.contains("eu-[1-40] are left alone: ") && screen.contains("and likewise for the others"),
        "{screen}"
    );
}

#[test]
fn a_plan_without_steps() {
    seen("plan-empty", &[say(looked()), typed("p"), say(Message::Planned(empty_plan().into())), typed("a")]);
}

#[test]
fn the_difference_of_a_change() {
    seen("diff", &[say(looked()), typed("p"), say(planned()), typed("jd")]);
}

#[test]
fn the_question_before_a_run() {
    seen("confirm", &[say(looked()), typed("p"), say(planned()), typed("aeu-pr")]);
}

#[test]
fn the_question_after_a_wrong_word() {
    seen("confirm-wrong", &[say(looked()), typed("p"), say(planned()), typed("aall"), enter()]);
}

#[test]
fn a_plan_and_a_run_of_several_clusters() {
    let planned = || say(Message::Planned(super::fixture::wide_plan().into()));
    seen("plan-wide", &[say(looked()), typed("p"), planned()]);
    seen("confirm-wide", &[say(looked()), typed("p"), planned(), typed("a")]);
    let mut run = Recording::begin_in(&[("eu-prod", &["eu-1", "eu-2", "eu-3"]), ("us-prod", &["us-1"])]);
    run.delivered().wave(1, &["eu-1"]).proven(3, "eu-1");
    seen("run-wide", &[say(looked()), typed("p"), planned(), typed("aall"), enter(), run.acts]);
}

#[test]
fn a_run_in_its_second_wave() {
    let mut run = Recording::begin();
    run.delivered().wave(1, &["eu-1"]).proven(3, "eu-1").wave(2, &["eu-2", "eu-3"]);
    run.started(4, "eu-2", "activate", "request-tag, acme-auth");
    run.phase(4, "eu-2", StepPhase::Prove, "still loading (2 old workers answer)");
    run.waiting("eu-2", "to prove its reload", 30);
    seen("run", &[to_run(), run.acts, vec![Act::Wait(20)]]);
}

#[test]
fn a_run_that_rolled_back() {
    let mut run = Recording::begin();
    run.delivered().wave(1, &["eu-1"]).proven(3, "eu-1").wave(2, &["eu-2", "eu-3"]).rolled_back(4, "eu-2");
    let why = muster::run::SkipReason::ClusterStopped;
    run.ended(5, "eu-3", "activate", muster::run::StepEnd::Skipped { why });
    let stopped = "1 failed, 0 allowed".to_owned();
    let (cluster, counts) = (super::fixture::cluster("eu-prod"), muster::run::Counts::default());
    run.push(muster::run::EventKind::ClusterStopped { cluster, why: stopped, counts });
    run.looked(1, 2, &["eu-2: acme-auth is 2.0.3, wanted 2.1.0", "eu-3: acme-auth is 2.0.3, wanted 2.1.0"]);
    run.verdict(Verdict::NotReached);
    seen("run-not-reached", &[to_run(), run.acts.clone()]);
    seen("run-node", &[to_run(), run.acts, typed("d")]);
}

#[test]
fn a_run_that_converged() {
    let mut run = Recording::begin();
    run.delivered().wave(1, &["eu-1"]).proven(3, "eu-1").wave(2, &["eu-2", "eu-3"]).proven(4, "eu-2").proven(5, "eu-3");
    run.looked(4, 0, &[]).verdict(Verdict::Converged);
    seen("run-converged", &[to_run(), run.acts]);
}

#[test]
fn a_run_of_a_plan_for_one_cluster_shows_no_other() {
    let mut run = Recording::begin_in(&[("eu-prod", &["eu-1", "eu-2", "eu-3"]), ("us-prod", &[])]);
    run.delivered().wave(1, &["eu-1"]);
    let screen = play((80, 24), Look::FULL, [to_run(), run.acts].concat()).screen;
    assert!(!screen.contains("us-prod") && !screen.contains("no wave has begun"), "{screen}");
    assert!(screen.contains("  eu-prod  @ ") && screen.contains(" wave 1 of 2"), "{screen}");
}

#[test]
fn a_node_whose_kong_is_stopped_is_neither_proven_nor_unknown() {
    let mut picture = super::fixture::picture();
    let us = &mut picture.clusters[1].nodes[0];
    let state = muster::tui::NodeState { mark: '.', word: "stopped", why: "as wanted on disk".into(), brief: vec![] };
    (us.stopped, us.state) = (true, state);
    us.cells = vec![Some(muster::tui::Marks(['=', '=', '.', '?'])); 2];
    let script = [say(Message::Looked(picture.into())), typed("jjjjj"), enter()].concat();
    let screen = play((80, 24), Look::FULL, script).screen;
    assert!(screen.contains(". stopped") && screen.contains("in the directive, nothing loaded: Kong"), "{screen}");
}

#[test]
fn the_state_says_what_there_is_room_for() {
    let mut picture = super::fixture::picture();
    let state = &mut picture.clusters[0].nodes[2].state;
    state.why = "acme-auth: loaded 2.0.3, wanted 2.1.0".to_owned();
    state.brief = vec!["request-tag, acme-auth".to_owned(), "2 plugins".to_owned()];
    let script = say(Message::Looked(picture.into()));
    let narrow = play((80, 24), Look::FULL, script.clone()).screen;
    assert!(narrow.lines().any(|line| line.contains("eu-3") && line.contains("~ drift: 2 plugins")), "{narrow}");
    let wide = play((160, 50), Look::FULL, script).screen;
    assert!(wide.contains("~ drift: acme-auth: loaded 2.0.3, wanted 2.1.0"), "{wide}");
}

#[test]
fn the_ladder_of_stopping() {
    let mut run = Recording::begin();
    run.delivered().wave(1, &["eu-1"]).started(3, "eu-1", "activate", "request-tag");
    seen("stop", &[to_run(), run.acts.clone(), typed("x"), enter(), typed("x"), key(KeyCode::Down)]);
    seen("stop-all", &[to_run(), run.acts.clone(), typed("xjjj"), enter(), typed("close"), enter(), typed("x")]);
    seen("stop-hard", &[to_run(), run.acts.clone(), typed("xjj"), enter(), typed("lea")]);
    seen("leave", &[to_run(), run.acts, typed("qleav")]);
}

#[test]
fn something_that_could_not_be_done() {
    let notice = Notice {
        text: "the inventory has 2 mistakes".to_owned(),
        details: vec!["inventory.yaml:12:7: unknown key `plugin`, did you mean `plugins`".to_owned()],
        hints: vec![muster::hint::Hint::type_("muster check")],
    };
    seen("notice", &[say(looked()), typed("p"), say(Message::Failed { doing: Doing::Plan, notice })]);
}

#[test]
fn the_help_of_each_screen() {
    seen("help-fleet", &[say(looked()), typed("?")]);
    seen("help-plan", &[say(looked()), typed("p"), say(planned()), typed("?")]);
    seen("help-run", &[to_run(), Recording::begin().acts, typed("?")]);
}

#[test]
fn the_fleet_while_a_run_is_on() {
    let mut run = Recording::begin();
    run.delivered();
    seen("fleet-during-run", &[to_run(), run.acts, key(KeyCode::Esc)]);
}

#[test]
fn everything_can_be_read_in_ascii_without_colour() {
    let script = [to_run(), Recording::begin().delivered().acts.clone(), ctrl('c')].concat();
    let played = play((80, 24), Look::PLAIN, script);
    assert!(played.screen.is_ascii(), "{}", played.screen);
    insta::assert_snapshot!("ascii-80x24", played.screen);
}
