//! A plugin that is removed, on every screen: the plan, the question, the run, the node.

use crossterm::event::KeyCode;
use muster::hint::Hint;
use muster::run::{Cause, EventKind, Outcome, SkipReason, StepEnd, StepPhase, Verdict};
use muster::tui::{Look, Marks, Message};

use super::fixture::{FENCE, Recording, UNAPPLY, cluster, held_plan, looked, node, picture, removal_plan};
use super::screens::seen;
use super::script::{Act, enter, key, play, say, typed};

fn planned() -> Vec<Act> {
    [say(looked()), typed("p"), say(Message::Planned(removal_plan().into()))].concat()
}

fn to_run() -> Vec<Act> {
    [planned(), typed("aeu-prod"), enter()].concat()
}

fn screen(script: &[Vec<Act>]) -> String {
    play((80, 24), Look::FULL, script.concat()).screen
}

/// The row of a screen with these words.
fn row_of(screen: &str, words: &str) -> usize {
    screen.lines().position(|line| line.contains(words)).unwrap_or_else(|| panic!("no {words}\n{screen}"))
}

/// A run of the plan up to its last proof.
fn proven() -> Recording {
    let mut run = Recording::begin_removal();
    run.delivered().unapplied().wave(1, &["eu-1"]).proven(3, "eu-1");
    run.wave(2, &["eu-2", "eu-3"]).proven(4, "eu-2").proven(5, "eu-3");
    run
}

fn reapplied() -> Cause {
    Cause {
        code: Cause::REAPPLIED.into(),
        text: "1 row uses again what is being removed: legacy-hmac: service billing".into(),
        details: vec!["legacy-hmac: service billing".into(), "nothing was touched on eu-2".into()],
        hints: vec![
            Hint::do_("either take these rows out again and apply again: the removal goes on where it stopped"),
            Hint::do_("or put the plugin back into the inventory (`present`), commit, and apply"),
        ],
    }
}

#[test]
fn a_plan_says_the_danger_first_and_then_each_step() {
    seen("plan-removal", &[planned()]);
    let screen = screen(&[planned()]);
    let first = screen.lines().nth(2).unwrap_or_default();
    assert!(first.contains("DELETES 2 rows; deletes files on 3 nodes; reloads 3 gateways"), "{screen}");
}

#[test]
fn a_removal_folds_and_unfolds() {
    let folded = [planned(), enter()].concat();
    let closed = play((120, 40), Look::FULL, folded.clone()).screen;
    assert!(!closed.contains("1 un-apply") && closed.contains("2 rows deleted, out of the directive of 3"), "{closed}");
    let open = play((120, 40), Look::FULL, [folded, enter()].concat()).screen;
    assert!(open.contains("1 un-apply") && open.contains("· service billing"), "{open}");
    assert!(open.lines().any(|line| line.starts_with('›') && line.contains("- remove")), "the cursor stays\n{open}");
}

#[test]
fn a_plan_says_what_is_held_and_what_releases_it() {
    let script = [say(looked()), typed("p"), say(Message::Planned(held_plan().into()))];
    seen("plan-held", &script);
    let screen = play((160, 50), Look::FULL, script.concat()).screen;
    assert!(screen.contains("legacy-hmac is held on eu-prod: 2 rows use it"), "{screen}");
    assert!(
        screen.contains("what to do  to have them saved and deleted") && screen.contains("1 removal held"),
        "{screen}"
    );
    assert!(!screen.contains("DELETES"), "nothing is lost\n{screen}");
}

#[test]
fn the_question_says_what_will_be_lost_before_anything_else() {
    seen("confirm-removal", &[planned(), typed("a")]);
    let screen = screen(&[planned(), typed("a")]);
    let at = |words: &str| row_of(&screen, words);
    // The row that loses traffic is named first, the disabled one last.
    let rows = at("un-applies legacy-hmac from 2 places (DELETES 2 rows): service");
    assert_eq!(rows + 1, at("billing; global, disabled"), "{screen}");
    assert!(rows < at("deletes the files of"), "{screen}");
    assert!(
        at("deletes the files of legacy-hmac on eu-[1-3]") < at("takes legacy-hmac out of the directive"),
        "{screen}"
    );
    assert!(at("takes legacy-hmac out") < at("replaces what was edited"), "{screen}");
}

#[test]
fn neither_enter_nor_another_word_begins_a_removal() {
    for typing in ["", "yes", "a", "eu", "all"] {
        let played = play((80, 24), Look::FULL, [planned(), typed("a"), typed(typing), enter()].concat());
        assert!(!played.asked.iter().any(|asked| asked.starts_with("apply")), "{typing}: {:?}", played.asked);
    }
}

#[test]
fn the_rows_of_a_run_stand_where_they_stood_before_it_began() {
    let mut run = proven();
    run.cluster_started(FENCE).cluster_says(FENCE, "eu-2: 2 old workers still at work");
    let mut rows = Vec::new();
    for events in 1..=run.acts.len() {
        let screen = screen(&[to_run(), run.acts[..events].to_vec()]);
        let words = ["un-apply legacy-hmac", "before files go: legacy-hmac", "eu-1", "eu-2", "eu-3"];
        let is_row = |line: &str, words: &str| line.trim_start_matches(['›', ' ']).starts_with(words);
        rows.push(words.map(|words| screen.lines().skip(3).position(|line| is_row(line, words))));
    }
    assert_eq!(rows[0], [1, 2, 3, 4, 5].map(Some));
    assert!(rows.iter().all(|row| *row == rows[0]), "{rows:?}");
}

#[test]
fn a_run_that_waits_for_old_workers_before_files_go() {
    let mut run = proven();
    run.cluster_started(FENCE).cluster_says(FENCE, "eu-2: 2 old workers still at work");
    let script = [to_run(), run.acts, vec![Act::Wait(60)], typed("j")];
    seen("run-fence", &script);
    let screen = screen(&script);
    let row = screen.lines().nth(row_of(&screen, "before files go")).unwrap_or_default();
    let (_, since) = row.split_once("legacy-hmac").unwrap_or_default();
    let seconds: u32 = since.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default();
    assert!(seconds > 10 && row.contains("eu-2: 2 old workers still at work"), "{screen}");
    assert!(screen.contains(&format!("waiting {seconds} s: fence legacy-hmac: eu-2: 2 old")), "{screen}");
}

#[test]
fn a_run_that_removed_a_plugin() {
    let mut run = proven();
    run.cluster_started(FENCE).cluster_ended(FENCE, StepEnd::Done { outcome: Outcome::Unchanged });
    for (number, name) in [(8, "eu-1"), (9, "eu-2"), (10, "eu-3")] {
        run.started(number, name, "delete", "legacy-hmac");
        run.ended(number, name, "delete", StepEnd::Done { outcome: Outcome::Changed });
    }
    run.looked(4, 0, &[]).verdict(Verdict::Converged);
    seen("run-removed", &[to_run(), run.acts.clone()]);
    let screen = play((160, 50), Look::FULL, [to_run(), run.acts, typed("kkkkk")].concat()).screen;
    assert!(screen.contains("undo bundle /home/deploy/.local"), "{screen}");
    assert!(screen.contains("way back    type: muster restore-rows 01M7WMCPQ0"), "{screen}");
}

#[test]
fn an_un_apply_that_failed_is_where_the_cursor_goes() {
    let mut run = Recording::begin_removal();
    run.delivered().cluster_started(UNAPPLY).cluster_says(UNAPPLY, "1 of 2 rows deleted");
    let hints = vec![Hint::type_("muster restore-rows 01M7WMCPQ0")];
    let text = "1 of 2 rows deleted, then: DELETE /plugins/2 (global) through eu-1: answered 500";
    let details = vec!["all 2 rows as they were: /state/runs/01M7WMCPQ0/legacy-hmac.yaml".to_owned()];
    let cause = Cause { code: "admin-error".into(), text: text.into(), details, hints };
    run.cluster_ended(UNAPPLY, StepEnd::Failed { cause });
    let script = [to_run(), run.acts];
    seen("run-unapply-failed", &script);
    let screen = screen(&script);
    assert!(screen.lines().any(|line| line.starts_with('›') && line.contains("un-apply legacy-hmac")), "{screen}");
    assert!(screen.contains("cause       1 of 2 rows deleted, then: DELETE"), "{screen}");
}

#[test]
fn a_step_opens_like_a_node() {
    let mut run = Recording::begin_removal();
    run.delivered().unapplied();
    let screen = screen(&[to_run(), run.acts, key(KeyCode::Home), typed("d")]);
    assert!(screen.contains("a step of the whole cluster, in this run"), "{screen}");
    assert!(screen.contains("un-apply legacy-hmac") && screen.contains("restore-rows"), "{screen}");
}

#[test]
fn a_fence_that_is_held_says_for_what_and_what_it_means() {
    let mut run = proven();
    let why = SkipReason::Held { why: "eu-2: 2 old workers still at work".into() };
    run.cluster_started(FENCE).cluster_ended(FENCE, StepEnd::Skipped { why: why.clone() });
    for (number, name) in [(8, "eu-1"), (9, "eu-2"), (10, "eu-3")] {
        run.ended(number, name, "delete", StepEnd::Skipped { why: why.clone() });
    }
    run.verdict(Verdict::NotReached);
    seen("run-held", &[to_run(), run.acts.clone()]);
    let screen = screen(&[to_run(), run.acts]);
    let row = screen.lines().nth(row_of(&screen, "before files go")).unwrap_or_default();
    assert!(row.contains("held: eu-2: 2 old workers"), "{screen}");
    assert!(screen.contains("no file was deleted") && screen.contains(" 3/3 proven "), "{screen}");
    assert!(screen.contains("next        n goes to what is held"), "{screen}");
}

#[test]
fn a_plugin_that_is_used_again_is_said_at_the_top_and_with_its_way_out() {
    let mut run = Recording::begin_removal();
    run.delivered().unapplied().wave(1, &["eu-1"]).proven(3, "eu-1").wave(2, &["eu-2", "eu-3"]);
    run.started(4, "eu-2", "activate", "request-tag, acme-auth");
    run.ended(4, "eu-2", "activate", StepEnd::Failed { cause: reapplied() });
    let mut cause = reapplied();
    cause.details.push("eu-1 would not start again now, as it does not list it; it is listed again".into());
    run.push(EventKind::StepsAdded {
        cluster: cluster("eu-prod"),
        cause,
        steps_of: [(node("eu-1"), 1)].into(),
        waves: 1,
    });
    run.wave(3, &["eu-1"]).started(11, "eu-1", "activate", "list legacy-hmac again");
    run.phase(11, "eu-1", StepPhase::Reload, "reloading bundled,legacy-hmac");
    seen("run-put-back", &[to_run(), run.acts.clone()]);
    let now = screen(&[to_run(), run.acts.clone()]);
    assert!(now.contains("eu-prod: putting back: somebody uses it again"), "{now}");
    assert!(now.contains("1 row uses again what is being removed"), "{now}");
    run.ended(11, "eu-1", "activate", StepEnd::Done { outcome: Outcome::Changed }).verdict(Verdict::NotReached);
    let after = screen(&[to_run(), run.acts]);
    assert!(after.contains("eu-prod: was put back: somebody used it again"), "{after}");
}

#[test]
fn the_ladder_says_what_each_rung_does_to_an_un_apply_and_to_a_fence() {
    let mut run = Recording::begin_removal();
    run.delivered().cluster_started(UNAPPLY);
    seen("stop-unapply", &[to_run(), run.acts.clone(), typed("x")]);
    let unapply = screen(&[to_run(), run.acts.clone(), typed("x")]);
    assert!(unapply.contains("the un-apply stops between two rows"), "{unapply}");
    let leave = screen(&[to_run(), run.acts, typed("q")]);
    assert!(leave.contains("rows are being un-applied") && !leave.contains("guards"), "{leave}");
    let mut run = proven();
    run.cluster_started(FENCE);
    seen("stop-fence", &[to_run(), run.acts.clone(), typed("x")]);
    run.cluster_ended(FENCE, StepEnd::Done { outcome: Outcome::Unchanged }).started(8, "eu-1", "delete", "legacy-hmac");
    let files = screen(&[to_run(), run.acts, typed("x")]);
    assert!(files.contains("nodes whose files are being deleted are finished"), "{files}");
}

#[test]
fn a_node_shows_what_should_be_gone_what_uses_it_and_what_holds_it() {
    let mut picture = picture();
    picture.columns.push("legacy-hmac".into());
    for node in picture.clusters.iter_mut().flat_map(|cluster| &mut cluster.nodes) {
        node.cells.push(Some(Marks(['+'; 4])));
        let rows = ["used by 2 rows", "  service billing", "  global, disabled"].map(str::to_owned).to_vec();
        node.plugins.push((3, rows));
    }
    let looked = || say(Message::Looked(picture.clone().into()));
    seen("fleet-removal", &[looked(), typed("j")]);
    let fleet = screen(&[looked()]);
    assert!(fleet.contains("legacy-") && fleet.contains("++++"), "all columns are seen\n{fleet}");
    let held =
        [looked(), typed("p"), say(Message::Planned(held_plan().into())), key(KeyCode::Esc), typed("j"), enter()];
    seen("node-removal", &held);
    let node = screen(&held);
    assert!(node.contains("service billing") && node.contains("held: 2 rows use it"), "{node}");
}

#[test]
fn a_removal_can_be_read_in_ascii_without_colour() {
    let mut run = proven();
    run.cluster_started(FENCE);
    for script in [planned(), [planned(), typed("a")].concat(), [to_run(), run.acts].concat()] {
        let screen = play((80, 24), Look::PLAIN, script).screen;
        assert!(screen.is_ascii(), "{screen}");
    }
}
