//! Keys in: what is asked for comes out, and nothing else.

use crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use muster::run::{CancelLevel, EventKind, Verdict};
use muster::tui::{Doing, Look, Message, Notice, Signal};

use super::fixture::{Recording, looked, planned};
use super::screens::to_run;
use super::script::{Act, Played, ctrl, enter, key, play, say, typed};

fn played(script: &[Vec<Act>]) -> Played {
    play((80, 24), Look::FULL, script.concat())
}

fn asked(script: &[Vec<Act>]) -> Vec<String> {
    played(script).asked
}

fn running() -> Vec<Act> {
    let mut run = Recording::begin();
    run.delivered().wave(1, &["eu-1"]).started(3, "eu-1", "activate", "request-tag");
    [to_run(), run.acts].concat()
}

#[test]
fn the_keys_of_the_fleet_ask_for_looks_and_plans() {
    assert_eq!(asked(&[say(looked()), typed("r")]), ["look All"]);
    assert_eq!(asked(&[say(looked()), typed("p")]), ["plan All"]);
    assert_eq!(asked(&[say(looked()), typed("jR")]), [r#"look Node("eu-1")"#]);
    assert_eq!(asked(&[say(looked()), typed("P")]), [r#"plan Cluster("eu-prod")"#]);
}

#[test]
fn a_second_look_is_not_asked_for_while_one_is_under_way() {
    let twice = played(&[say(looked()), typed("rr")]);
    assert_eq!(twice.asked, ["look All"]);
    assert!(twice.screen.contains("a look is under way"), "{}", twice.screen);
}

#[test]
fn no_plan_before_the_fleet_was_looked_at() {
    let early = played(&[typed("p")]);
    assert!(early.asked.is_empty());
    assert!(early.screen.contains("has not been looked at yet"), "{}", early.screen);
}

#[test]
fn a_plan_is_applied_only_after_its_word_and_enter() {
    let to_plan = || [say(looked()), typed("p"), say(planned())].concat();
    assert_eq!(asked(&[to_plan(), typed("aeu-prod"), enter()]), ["plan All", "apply 6 steps"]);
    for no in [typed("a"), typed("aeu-prod"), [typed("a"), enter(), enter()].concat(), typed("aaaaaaa")] {
        assert_eq!(asked(&[to_plan(), no]), ["plan All"]);
    }
    let escaped = [typed("aeu-prod"), key(KeyCode::Esc), enter()].concat();
    assert_eq!(asked(&[to_plan(), escaped]), ["plan All"]);
}

#[test]
fn a_paste_with_a_newline_does_not_apply() {
    let paste = vec![Act::Input(Input::Paste("eu-prod\n".to_owned()))];
    let to_question = [say(looked()), typed("p"), say(planned()), typed("a")].concat();
    assert_eq!(asked(&[to_question.clone(), paste.clone()]), ["plan All"]);
    assert_eq!(asked(&[to_question, paste, enter()]), ["plan All", "apply 6 steps"]);
}

#[test]
fn a_plan_that_changes_under_the_question_takes_the_question_away() {
    let script = [say(looked()), typed("p"), say(planned()), typed("aeu-prod"), say(planned()), enter()];
    let changed = played(&script);
    assert_eq!(changed.asked, ["plan All"]);
    assert!(!changed.screen.contains("Apply to"), "{}", changed.screen);
}

#[test]
fn the_release_of_a_key_is_not_a_key() {
    let mut release = KeyEvent::new(KeyCode::Char('r'), KeyModifiers::NONE);
    release.kind = KeyEventKind::Release;
    assert!(asked(&[say(looked()), vec![Act::Input(Input::Key(release))]]).is_empty());
}

#[test]
fn stopping_rises_one_rung_at_a_time_and_is_chosen() {
    let cancels = |script: Vec<Act>| {
        let asked = asked(&[running(), script]);
        asked.into_iter().filter(|asked| asked.starts_with("cancel")).collect::<Vec<_>>()
    };
    assert_eq!(cancels([typed("x"), enter()].concat()), ["cancel AfterWave"]);
    // What leaves nodes in the middle of a change needs a word, and the key that opened the question is none.
    assert!(cancels([typed("xjj"), enter()].concat()).is_empty());
    assert!(cancels([typed("xjj"), enter(), enter(), enter()].concat()).is_empty());
    assert!(cancels([typed("xjj"), enter(), typed("close"), enter()].concat()).is_empty());
    assert_eq!(cancels([typed("xjj"), enter(), typed("leave"), enter()].concat()), ["cancel LeaveSteps"]);
    assert_eq!(cancels([typed("xjjj"), enter(), typed("close"), enter()].concat()), ["cancel Close"]);
    assert_eq!(cancels(typed("xxxx")), Vec::<String>::new());
    let twice = [typed("xj"), enter(), typed("xkkk"), enter(), typed("leave"), enter()].concat();
    assert_eq!(cancels(twice), ["cancel AfterSteps", "cancel LeaveSteps"]);
}

#[test]
fn ctrl_c_climbs_the_ladder_but_not_when_it_is_held_down() {
    let cancels = |script: Vec<Act>| {
        let asked = asked(&[running(), script]);
        asked.into_iter().filter(|asked| asked.starts_with("cancel")).collect::<Vec<_>>()
    };
    // Longer than the events reach into the future of the made-up clock.
    let later = || vec![Act::Wait(60)];
    assert_eq!(cancels([later(), ctrl('c')].concat()), ["cancel AfterWave"]);
    assert_eq!(cancels([later(), vec![ctrl('c'); 9].concat()].concat()), ["cancel AfterWave"]);
    let slowly = [later(), ctrl('c'), vec![Act::Wait(2)], ctrl('c')].concat();
    assert_eq!(cancels(slowly), ["cancel AfterWave", "cancel AfterSteps"]);
}

#[test]
fn leaving_is_at_once_without_a_run_and_asked_with_one() {
    for leave in [typed("q"), ctrl('c')] {
        let left = played(&[say(looked()), leave]);
        assert!(left.left() && left.ended.verdict.is_none());
    }
    let asked = played(&[running(), typed("q")]);
    assert!(!asked.left(), "it only asks");
    let left = played(&[running(), typed("qleave"), enter()]);
    assert!(left.left());
    assert_eq!(left.asked.last().map(String::as_str), Some("cancel Close"));
    assert_eq!(left.ended.verdict, Some(Verdict::Interrupted));
}

#[test]
fn ctrl_c_that_stopped_a_run_and_is_pressed_again_as_it_ends_does_not_leave_its_verdict() {
    let mut run = Recording::begin();
    run.delivered();
    let before = run.acts.clone();
    run.looked(1, 2, &[]).verdict(Verdict::Interrupted);
    let after = run.acts[before.len()..].to_vec();
    let ended = |wait: u64| {
        let wait = vec![Act::Wait(wait)];
        played(&[to_run(), before.clone(), ctrl('c'), after.clone(), wait, say(looked()), ctrl('c')])
    };
    assert!(ended(0).screen.contains("the run has ended; q leaves"), "{}", ended(0).screen);
    assert!(!ended(60).screen.contains("the run has ended"), "{}", ended(60).screen);
}

#[test]
fn a_plan_for_all_says_that_it_is_not_for_what_is_selected_or_shown() {
    let filtered = [typed("/eu-1"), enter(), typed("p")].concat();
    for (keys, what) in [(typed("jj p"), "selected"), (filtered, "shown")] {
        let screen = played(&[say(looked()), keys]).screen;
        assert!(screen.contains(&format!("not only for what is {what}; P is for that")), "{screen}");
    }
    assert!(!played(&[say(looked()), typed("p")]).screen.contains("not only"));
}

#[test]
fn leaving_after_a_run_keeps_its_verdict() {
    let mut run = Recording::begin();
    run.delivered().looked(1, 2, &[]).verdict(Verdict::NotReached);
    let left = played(&[to_run(), run.acts, typed("q")]);
    assert_eq!(left.ended.verdict, Some(Verdict::NotReached));
}

#[test]
fn the_fleet_is_looked_at_after_a_run_that_did_not_do_it_itself() {
    let mut run = Recording::begin();
    run.delivered().verdict(Verdict::Interrupted);
    assert_eq!(asked(&[to_run(), run.acts]).last().map(String::as_str), Some("look All"));
    let mut run = Recording::begin();
    run.delivered().looked(3, 0, &[]).verdict(Verdict::Converged);
    assert_eq!(asked(&[to_run(), run.acts]).last().map(String::as_str), Some("apply 6 steps"));
}

#[test]
fn a_terminating_signal_leaves_the_steps_to_the_guards() {
    let terminate = say(Message::Signal(Signal::Terminate));
    let idle = played(&[say(looked()), terminate.clone()]);
    assert_eq!((idle.ended.signal, idle.asked.len()), (Some(Signal::Terminate), 0));
    let busy = played(&[running(), terminate]);
    assert_eq!(busy.ended.signal, Some(Signal::Terminate));
    assert_eq!(busy.asked.last().map(String::as_str), Some("cancel LeaveSteps"));
}

#[test]
fn a_task_that_panicked_ends_the_application() {
    let died = played(&[say(looked()), say(Message::Died("index out of bounds".to_owned())), typed("p")]);
    assert_eq!(died.ended.died.as_deref(), Some("index out of bounds"));
    assert!(died.asked.is_empty(), "nothing is asked for afterwards");
}

#[test]
fn suspending_gives_the_terminal_away_but_not_during_a_run() {
    assert_eq!(asked(&[say(looked()), ctrl('z')]), ["suspend"]);
    assert_eq!(asked(&[say(looked()), say(Message::Signal(Signal::Stop))]), ["suspend"], "a signal does the same");
    let during = played(&[running(), ctrl('z')]);
    assert!(!during.asked.contains(&"suspend".to_owned()));
    assert!(during.screen.contains("not while a run is on"), "{}", during.screen);
}

#[test]
fn ctrl_l_and_coming_back_draw_everything_anew_also_under_a_question() {
    assert_eq!(asked(&[say(looked()), ctrl('l')]), ["resume"]);
    assert_eq!(asked(&[say(looked()), say(Message::Signal(Signal::Continued))]), ["resume"]);
    let question = played(&[say(looked()), typed("p"), say(planned()), typed("aeu"), ctrl('l')]);
    assert_eq!(question.asked, ["plan All", "resume"]);
    assert!(question.screen.contains("go on:  eu"), "{}", question.screen);
}

#[test]
fn a_run_that_could_not_begin_leads_back_to_the_plan() {
    let notice = Notice { text: "the journal cannot be written".to_owned(), details: vec![], hints: vec![] };
    let failed =
        played(&[to_run(), say(Message::Failed { doing: Doing::Apply, notice }), enter(), typed("aeu-prod"), enter()]);
    assert_eq!(failed.asked, ["plan All", "apply 6 steps", "apply 6 steps"]);
}

#[test]
fn a_run_whose_worker_failed_is_over_and_not_called_good() {
    let notice = Notice { text: "the disk is full".to_owned(), details: vec![], hints: vec![] };
    let lost = played(&[running(), say(Message::Failed { doing: Doing::Apply, notice }), enter(), typed("q")]);
    assert!(lost.left(), "nothing is on that would have to be asked about");
    assert_eq!(lost.ended.verdict, Some(Verdict::NotReached));
    assert!(lost.screen.contains("verdict: not reached, exit 3"), "{}", lost.screen);
}

#[test]
fn the_cursor_of_a_run_goes_to_the_first_failure_until_it_is_moved() {
    let mut run = Recording::begin();
    run.delivered().wave(1, &["eu-1"]).rolled_back(4, "eu-2");
    let at = |played: &Played| played.screen.lines().find(|line| line.starts_with('›')).unwrap_or_default().to_owned();
    assert!(at(&played(&[to_run(), run.acts.clone()])).contains("eu-2"));
    let moved = played(&[to_run(), Recording::begin().acts, typed("jj"), run.acts]);
    assert!(at(&moved).contains("eu-3"), "{}", moved.screen);
}

#[test]
fn a_cancel_that_came_from_elsewhere_is_shown() {
    let mut run = Recording::begin();
    run.delivered().push(EventKind::CancelRequested { level: CancelLevel::AfterSteps, by: None });
    let shown = played(&[to_run(), run.acts]);
    assert!(shown.screen.contains("stopping: no new steps"), "{}", shown.screen);
}
