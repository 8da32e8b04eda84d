//! The fleet: grouped, sorted, selected; who holds nodes, what is not seen, and what is asked for.

use std::sync::Arc;

use crossterm::event::KeyCode;
use jiff::{SignedDuration, Timestamp};
use muster::inventory::{LabelName, LabelValue};
use muster::name::RunId;
use muster::survey::{LastRun, Lock, Role, RunEnd, Sight, Standing};
use muster::tui::{Look, Message, NodeRow, Notice, Picture};

use super::fixture::{Recording, large, looked, node, picture, planned};
use super::screens::{seen, to_run};
use super::script::{Act, Played, enter, key, play, say, start, typed};

fn minutes_ago(minutes: i64) -> Timestamp {
    start() - SignedDuration::from_mins(minutes)
}

fn run(minutes: i64, end: RunEnd) -> LastRun {
    let at = minutes_ago(minutes);
    let run = RunId::from_parts(u64::try_from(at.as_millisecond()).unwrap(), 7);
    LastRun { run, at, by: Some("eva@ops-1".to_owned()), commit: None, end }
}

/// A node that was seen.
fn standing(role: Role, last_run: Option<LastRun>) -> Standing {
    Standing {
        looked: Some(picture().looked),
        sight: Some(Sight::Seen),
        last_seen: Some(picture().looked),
        role: Some(role),
        lock: Some(Lock::Free),
        last_run: last_run.map(Into::into),
        asked: None,
    }
}

fn rows(picture: &mut Picture) -> impl Iterator<Item = &mut NodeRow> {
    picture.clusters.iter_mut().flat_map(|cluster| &mut cluster.nodes)
}

/// The fleet with everything that is known beside the plugins.
fn stood() -> Picture {
    let mut picture = picture();
    for node in rows(&mut picture) {
        node.standing = standing(Role::Traditional, Some(run(3 * 24 * 60, RunEnd::Done)));
        let zone = if node.name.as_str().ends_with('1') { "a" } else { "b" };
        node.labels.insert(LabelName::parse("zone").unwrap(), LabelValue::parse(zone).unwrap());
    }
    let eu = &mut picture.clusters[0].nodes;
    eu[1].standing.last_run = Some(run(90, RunEnd::PutBack).into());
    eu[2].standing.last_run = Some(run(500 * 24 * 60, RunEnd::Done).into());
    let us = &mut picture.clusters[1];
    us.topology = "hybrid".into();
    us.nodes[0].standing = standing(Role::ControlPlane, None);
    us.nodes[1].standing = Standing {
        looked: Some(picture.looked),
        sight: Some(Sight::Unreachable),
        last_seen: Some(minutes_ago(40)),
        ..Standing::default()
    };
    us.nodes[1].state.why = "connection timed out after 10 s; last seen 13:25:00 UTC".into();
    us.nodes[2].standing = Standing::default();
    us.nodes[2].labels.clear();
    picture
}

/// The same, while a run of somebody else holds two nodes.
fn held() -> Picture {
    let mut picture = stood();
    for node in &mut picture.clusters[0].nodes[..2] {
        let (who, run) = ("cron@ops-2".to_owned(), run(1, RunEnd::Done).run);
        node.standing.lock = Some(Lock::Held { who, run, left: 240 });
    }
    picture.clusters[0].nodes[2].standing.lock = Some(Lock::Unclear { why: "line 3 is not understood".to_owned() });
    picture
}

fn show(picture: Picture) -> Vec<Act> {
    say(Message::Looked(Arc::new(picture)))
}

fn played(script: &[Vec<Act>]) -> Played {
    play((80, 24), Look::FULL, script.concat())
}

#[test]
fn by_state_the_worst_is_first() {
    seen("fleet-by-state", &[show(stood()), typed("gj")]);
}

#[test]
fn by_version_and_by_label() {
    seen("fleet-by-version", &[show(stood()), typed("ggj")]);
    seen("fleet-by-label", &[show(stood()), typed("ggg")]);
}

#[test]
fn sorted_by_the_last_run() {
    seen("fleet-sorted", &[show(stood()), typed("sssj")]);
}

#[test]
fn some_nodes_are_selected_of_which_the_filter_hides_one() {
    seen("fleet-selected", &[show(stood()), typed("j jj "), typed("/zone=b"), enter()]);
}

#[test]
fn a_node_is_held_by_the_run_of_another() {
    seen("fleet-held", &[show(held()), typed("j")]);
    seen("fleet-held-cluster", &[show(held())]);
}

#[test]
fn a_node_that_cannot_be_reached_says_why_and_since_when() {
    seen("fleet-unreachable", &[show(stood()), typed("nnnn")]);
}

#[test]
fn three_hundred_nodes_folded_are_a_line() {
    let mut fleet = large(300);
    for (at, node) in rows(&mut fleet).enumerate() {
        node.kong = Some(if at % 3 == 0 { "3.4.2" } else { "3.9.1" }.to_owned());
        node.standing = standing(Role::Traditional, Some(run(90, RunEnd::Done)));
    }
    seen("fleet-many-folded", &[show(fleet), typed("gg"), enter(), typed("j"), enter()]);
}

#[test]
fn forty_plugins_scroll_beside_the_names() {
    let mut fleet = held();
    fleet.columns = (1..=40).map(|at| format!("plugin-number-{at}")).collect();
    for node in rows(&mut fleet) {
        node.cells = node.cells.iter().cycle().take(40).copied().collect();
    }
    seen("fleet-forty-plugins", &[show(fleet), typed("jlll")]);
}

#[test]
fn nodes_of_different_looks_say_when() {
    let mut again = stood();
    again.looked = start();
    again.clusters[0].nodes[0].standing.looked = Some(start());
    let both = [show(stood()), typed("jR"), show(again)].concat();
    let here = played(&[both.clone(), typed("jk")]).screen;
    assert!(here.contains("looked 14:02:10 to 14:05:00 UTC"), "{here}");
    assert!(!here.contains("looked at"), "it is the newest\n{here}");
    let other = played(&[both.clone(), typed("j")]).screen;
    assert!(other.contains("looked at 14:02:10 UTC"), "{other}");
    assert!(played(&[both]).screen.contains("eu-1 was looked at again: ~ drift, as before"));
}

#[test]
fn a_node_that_was_not_looked_at_again_is_as_old_as_its_own_look() {
    let mut again = stood();
    again.looked = start();
    again.clusters[0].nodes[0].standing.looked = Some(start());
    let notice = Notice { text: "no answer".into(), details: Vec::new(), hints: Vec::new() };
    let open = |keys: &str, name: &str| {
        let answer = Message::Answered(node(name), Err(notice.clone()));
        played(&[show(again.clone()), typed(keys), enter(), say(answer)]).screen
    };
    let (new, old) = (open("j", "eu-1"), open("jj", "eu-2"));
    assert!(new.contains(" eu-1 ") && new.contains("seen at 14:05:00 UTC"), "{new}");
    assert!(old.contains(" eu-2 ") && old.contains("seen at 14:02:10 UTC"), "{old}");
}

#[test]
fn while_a_run_is_on_its_nodes_show_where_they_are_in_it() {
    let mut run = Recording::begin();
    run.delivered().wave(1, &["eu-1"]).proven(3, "eu-1").wave(2, &["eu-2", "eu-3"]);
    let script = [to_run(), run.acts, vec![key(KeyCode::Esc); 2].concat()].concat();
    let screen = play((160, 50), Look::FULL, script).screen;
    let row = |name: &str| screen.lines().find(|line| line.contains(&format!("  {name} "))).unwrap_or_default();
    for name in ["eu-1", "eu-2", "eu-3"] {
        assert!(row(name).contains("in this run: "), "{name}\n{screen}");
    }
    assert!(!row("eu-1").contains("drift") && !row("eu-3").contains("drift"), "{screen}");
    assert!(row("us-1").contains("us-1") && !row("us-1").contains("in this run"), "{screen}");
}

#[test]
fn what_a_look_at_several_found_is_said() {
    let mut again = stood();
    again.looked = start();
    for node in &mut again.clusters[1].nodes[..2] {
        node.standing.looked = Some(start());
    }
    again.clusters[1].nodes[0].state.mark = '~';
    let screen = played(&[show(stood()), typed("jjjjR"), show(again)]).screen;
    assert!(
        screen.contains("2 nodes were looked at again, 1 of them not seen; the state of 1 has changed"),
        "{screen}"
    );
}

#[test]
fn looks_and_plans_are_about_exactly_what_is_selected() {
    let asked = |script: &[Vec<Act>]| played(script).asked;
    let two = [show(stood()), typed("j jjjj ")].concat();
    let nodes = r#"Nodes({"eu-1", "us-1"})"#;
    assert_eq!(asked(&[two.clone(), typed("R")]), [format!("look {nodes}")]);
    assert_eq!(asked(&[two.clone(), typed("P")]), [format!("plan {nodes}")]);
    assert_eq!(asked(&[two.clone(), typed("r")]), ["look All"], "all is all");
    assert_eq!(asked(&[two.clone(), typed("p")]), ["plan All"], "all is all");
    assert_eq!(asked(&[two.clone(), key(KeyCode::Esc), typed("P")]), [r#"plan Node("us-1")"#]);
    assert_eq!(
        asked(&[two, show(stood()), typed("gsG"), typed("P")]),
        [format!("plan {nodes}")],
        "it outlives all that"
    );
}

#[test]
fn a_heading_is_its_cluster_or_else_its_nodes() {
    let asked = |script: &[Vec<Act>]| played(script).asked;
    assert_eq!(asked(&[show(stood()), typed("P")]), [r#"plan Cluster("eu-prod")"#]);
    assert_eq!(asked(&[show(stood()), typed("g"), key(KeyCode::Home), typed("R")]), [r#"look Nodes({"us-2"})"#]);
    assert_eq!(asked(&[show(stood()), typed(" P")]), [r#"plan Nodes({"eu-1", "eu-2", "eu-3"})"#]);
    assert_eq!(asked(&[show(stood()), typed("  P")]), [r#"plan Cluster("eu-prod")"#], "none is selected any more");
}

#[test]
fn escape_gives_up_the_selection_then_the_filter_and_never_leaves() {
    let script = [show(stood()), typed("/eu"), enter(), typed(" ")].concat();
    let both = played(std::slice::from_ref(&script)).screen;
    assert!(both.contains("3 selected (esc) · filter eu: 3 of 6 nodes shown (/)"), "{both}");
    let one = played(&[script.clone(), key(KeyCode::Esc)]).screen;
    assert!(!one.contains("selected (esc)") && one.contains("filter eu"), "{one}");
    let none = played(&[script.clone(), vec![key(KeyCode::Esc); 2].concat()]).screen;
    assert!(!none.contains("filter eu"), "{none}");
    assert!(!played(&[script, vec![key(KeyCode::Esc); 9].concat()]).left());
}

#[test]
fn the_cursor_stays_on_its_node_whatever_is_arranged() {
    for keys in ["g", "gg", "ggg", "s", "ss", "sss", "gs", "ggss"] {
        let screen = played(&[show(stood()), typed("jj"), typed(keys)]).screen;
        let at = screen.lines().find(|line| line.starts_with('›')).unwrap_or_default();
        assert!(at.contains("eu-2"), "{keys}\n{screen}");
    }
}

#[test]
fn a_plan_of_the_selection_comes_back_to_it() {
    let script = [show(stood()), typed("j P"), say(planned()), key(KeyCode::Esc)].concat();
    let screen = played(&[script]).screen;
    assert!(screen.contains("1 selected (esc)"), "{screen}");
}

#[test]
fn the_keys_that_matter_most_stand_in_the_bottom_line() {
    let screen = played(&[say(looked())]).screen;
    let keys = screen.lines().last().unwrap_or_default();
    assert_eq!(keys, " enter open  p plan  / filter  space select  r look  n trouble  q quit  ? help");
}

#[test]
fn hostile_holders_versions_and_labels_do_not_reach_the_terminal() {
    const EVIL: &str = "\x1b[2J\x07\u{9b}31m\u{202e}gnp.exe\u{200b}";
    let mut evil = held();
    for node in rows(&mut evil) {
        node.kong = Some(EVIL.to_owned());
        let run = run(1, RunEnd::Done);
        node.standing.lock = Some(Lock::Held { who: EVIL.repeat(9), run: run.run.clone(), left: 1 });
        node.standing.last_run = Some(LastRun { by: Some(EVIL.to_owned()), ..run }.into());
    }
    for keys in ["", "j", "gg", "ggj", " s"] {
        for size in [(80, 24), (160, 50)] {
            let screen = play(size, Look::FULL, [show(evil.clone()), typed(keys)].concat()).screen;
            let raw = screen.chars().find(|c| (c.is_control() && *c != '\n') || ('\u{202a}'..='\u{202e}').contains(c));
            assert_eq!(raw, None, "{screen}");
        }
    }
}

#[test]
fn without_unicode_what_is_selected_still_has_a_mark() {
    let screen = play((160, 50), Look::PLAIN, [show(held()), typed("j ")].concat()).screen;
    assert!(screen.is_ascii() && screen.contains("> # eu-1"), "{screen}");
}
