//! The recorded runs, and a recorded run played back: from journals as they were written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossterm::event::KeyCode;
use muster::journal::{self, Entry, Journal};
use muster::name::RunId;
use muster::run::{Came, Event, EventKind, Recorded, Verdict};
use muster::tui::{Doing, Look, Message, Notice, Reel, Rest, RunsHeard};

use super::fixture::{Recording, looked, planned};
use super::screens::{seen, to_run};
use super::script::{Act, Played, ctrl, enter, key, play, say, start, typed};

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/journals").join(format!("FORMAT-1-{name}.jsonl"))
}

fn read(name: &str) -> Journal {
    journal::read(&path(name)).expect("it is read for ever")
}

/// A recorded run that began so many minutes before all fixtures.
fn recorded(name: &str, minutes: u64, operator: &str) -> Recorded {
    let began = u64::try_from(start().as_millisecond()).expect("after 1970") - minutes * 60_000;
    let run = RunId::from_parts(began, 7);
    let told = journal::told(&Entry { run: run.clone(), path: path(name) });
    let journal = PathBuf::from(format!("/home/deploy/.local/state/muster/runs/{run}/journal.jsonl"));
    let shift = jiff::SignedDuration::from_millis(i64::try_from(began).expect("a time")) - told.began.as_duration();
    let mut told =
        Recorded { run, journal, began: told.began + shift, last: told.last.map(|last| last + shift), ..told };
    if let Some(about) = &mut told.about {
        operator.clone_into(&mut about.operator);
    }
    told
}

/// A run for each way in which one can end.
fn all() -> Vec<Recorded> {
    let mut on = recorded("interrupted", 0, "cron@ops-1");
    (on.came, on.counts) = (Came::AtWork, None);
    let mut unreadable = Recorded::new(recorded("locked", 3000, "").run, PathBuf::from("/var/lib/x/journal.jsonl"));
    unreadable.trouble = Some("reading /var/lib/x/journal.jsonl: Permission denied (os error 13)".to_owned());
    let mut damaged = recorded("rolled-back", 2000, "cron@ops-1");
    damaged.came = Came::Damaged;
    damaged.trouble = Some("reading /home/deploy/journal.jsonl, line 17: it is not JSON".to_owned());
    let mut removal = recorded("removal", 90, "ann@ops-2");
    removal.undo = vec![PathBuf::from("/home/deploy/legacy-hmac.yaml")];
    vec![
        on,
        recorded("rolled-back", 3, "cron@ops-1"),
        recorded("converged", 63, "ann@ops-2"),
        removal,
        recorded("removal-held", 200, "ann@ops-2"),
        recorded("interrupted", 300, "ann@ops-2"),
        recorded("locked", 1000, "cron@ops-1"),
        recorded("refused", 1500, "cron@ops-1"),
        damaged,
        recorded("cut-short", 2500, "cron@ops-1"),
        unreadable,
    ]
}

fn told(runs: Vec<Recorded>) -> Vec<Act> {
    let ids = runs.iter().map(|run| run.run.clone()).collect();
    let listed = say(Message::Runs(RunsHeard::Listed { runs: ids, wrong: Vec::new() }));
    [listed, say(Message::Runs(RunsHeard::Told(runs)))].concat()
}

/// From the start to the recorded runs.
fn to_runs() -> Vec<Act> {
    [say(looked()), typed("W"), told(all())].concat()
}

/// What the driver reads of a journal, for the run that is opened.
fn reel(run: &RunId, name: &str, rest: Rest) -> Vec<Act> {
    let journal = read(name);
    let plan = journal.plan().map(Arc::new).map_err(|error| error.to_string());
    let events: Vec<Event> = journal.events().cloned().collect();
    let reels = [Reel::Plan(plan), Reel::Events { events, unknown: 0 }, Reel::Rest(rest)];
    reels.into_iter().flat_map(|reel| say(Message::Replay(run.clone(), reel))).collect()
}

fn opened(name: &str, rest: Rest) -> Vec<Act> {
    let run = recorded(name, 3, "cron@ops-1");
    let open = [say(looked()), typed("W"), told(vec![run.clone()]), enter()].concat();
    [open, reel(&run.run, name, rest)].concat()
}

fn over() -> Rest {
    Rest::Over { torn: false }
}

fn played(script: &[Vec<Act>]) -> Played {
    play((80, 24), Look::FULL, script.concat())
}

/// The line of a screen that the cursor is on.
fn here(played: &Played) -> String {
    played.screen.lines().find(|line| line.starts_with('›')).unwrap_or_default().to_owned()
}

fn head(played: &Played) -> &str {
    played.screen.lines().next().unwrap_or_default()
}

#[test]
fn the_recorded_runs_with_every_end() {
    seen("runs", &[to_runs()]);
    seen("runs-trouble", &[to_runs(), typed("n")]);
    seen("runs-removal", &[to_runs(), typed("jjj")]);
    seen("runs-damaged", &[to_runs(), key(KeyCode::End), typed("kk")]);
    seen("runs-not-readable", &[to_runs(), key(KeyCode::End)]);
    seen("help-runs", &[to_runs(), typed("?")]);
}

#[test]
fn no_run_and_a_place_that_cannot_be_listed() {
    let wrong = vec!["listing /root/.local/state/muster/runs: Permission denied (os error 13)".to_owned()];
    let listed = say(Message::Runs(RunsHeard::Listed { runs: Vec::new(), wrong }));
    let reading = played(&[say(looked()), typed("W")]);
    assert!(reading.screen.contains("the recorded runs are being read"), "{}", reading.screen);
    let none = played(&[say(looked()), typed("W"), listed]);
    assert!(none.screen.contains("no run was recorded on this machine"), "{}", none.screen);
    assert!(none.screen.contains("not seen: listing /root/.local"), "{}", none.screen);
}

#[test]
fn the_filter_is_a_plain_text_of_any_column() {
    let shown = |text: &str| {
        let screen = played(&[to_runs(), typed("/"), typed(text), enter()]).screen;
        screen.lines().filter(|line| line.contains(" 11-") && line.contains("exit")).count()
    };
    assert_eq!(shown(""), 7);
    assert_eq!(shown("NOT reached"), 3);
    assert_eq!(shown("ann@"), 4);
    let kept = played(&[to_runs(), typed("/cron"), enter()]);
    assert!(kept.screen.contains("filter cron: 6 of 11 runs shown (/)"), "{}", kept.screen);
    let typing = played(&[to_runs(), typed("/qW ")]);
    assert!(
        typing.screen.contains("filter: qW ") && typing.screen.contains("no run has this text"),
        "{}",
        typing.screen
    );
    let again = played(&[to_runs(), typed("/cron"), enter(), typed("/"), key(KeyCode::Esc)]);
    assert!(!again.screen.contains("runs shown"), "{}", again.screen);
}

#[test]
fn the_next_trouble_is_the_next_run_that_did_not_end_well_and_it_goes_round() {
    assert!(here(&played(&[to_runs(), typed("n")])).contains("x not reached, exit 3"));
    let third = here(&played(&[to_runs(), typed("nn")]));
    assert!(third.contains("ann@ops-2") && third.contains("not reached"), "{third}");
    let round = here(&played(&[to_runs(), typed("nnnnnnnnnn")]));
    assert!(round.contains("x not reached, exit 3") && round.contains("3 min"), "{round}");
    let well = played(&[say(looked()), typed("W"), told(vec![recorded("converged", 3, "ann@ops-2")]), typed("n")]);
    assert!(well.screen.contains("every run that is shown ended well"), "{}", well.screen);
}

#[test]
fn a_run_that_begins_comes_on_top_and_the_cursor_stays_on_its_run() {
    let older = all().split_off(1);
    let script = [say(looked()), typed("W"), told(older), typed("jj"), told(all())];
    assert!(
        here(&played(&script)).contains("90 min") || here(&played(&script)).contains("1 h"),
        "{}",
        here(&played(&script))
    );
    let gone = played(&[to_runs(), told(all().split_off(5))]);
    assert!(gone.screen.contains("6 runs recorded") && !gone.screen.contains("at work"), "{}", gone.screen);
}

#[test]
fn the_list_is_read_again_while_it_is_seen_and_only_then() {
    let asks = |script: &[Vec<Act>]| played(script).asked.iter().filter(|asked| *asked == "list runs").count();
    assert_eq!(asks(&[to_runs()]), 1);
    assert_eq!(asks(&[to_runs(), typed("r")]), 2);
    assert_eq!(asks(&[to_runs(), vec![Act::Wait(11)]]), 3);
    assert_eq!(asks(&[to_runs(), key(KeyCode::Esc), vec![Act::Wait(60)]]), 1);
}

#[test]
fn what_was_seen_before_the_runs_is_there_again_after_them() {
    let plan = [say(looked()), typed("p"), say(planned())].concat();
    let back = played(&[plan, typed("W"), told(all()), key(KeyCode::Esc), typed("a")]);
    assert!(back.screen.contains("type the cluster's name to go on"), "{}", back.screen);
}

#[test]
fn a_replay_begins_with_its_verdict() {
    seen("replay-end", &[opened("rolled-back", over())]);
    let opened = played(&[opened("rolled-back", over())]);
    assert!(opened.asked.last().is_some_and(|asked| asked.starts_with("open 01")), "{:?}", opened.asked);
    assert!(opened.screen.contains("verdict: not reached, exit 3"), "{}", opened.screen);
}

#[test]
fn a_replay_at_its_start_and_in_its_middle() {
    seen("replay-start", &[opened("rolled-back", over()), key(KeyCode::Home)]);
    seen("replay-middle", &[opened("rolled-back", over()), key(KeyCode::Home), typed("]]"), typed("lll")]);
    seen("replay-node", &[opened("rolled-back", over()), typed("["), enter()]);
    seen("replay-cut-short", &[opened("cut-short", Rest::Over { torn: true })]);
    seen("replay-removal", &[opened("removal", over()), key(KeyCode::Home), typed("]]")]);
    seen("help-replay", &[opened("rolled-back", over()), typed("?")]);
}

#[test]
fn the_plan_of_a_recorded_run_can_be_read_and_not_applied() {
    seen("replay-plan", &[opened("removal", over()), typed("p")]);
    let applied = played(&[opened("removal", over()), typed("pa")]);
    assert!(applied.screen.contains("a recorded plan can only be read"), "{}", applied.screen);
    assert!(!applied.asked.iter().any(|asked| asked.starts_with("plan") || asked.starts_with("apply")));
    let back = played(&[opened("removal", over()), typed("p"), key(KeyCode::Esc)]);
    assert!(head(&back).contains("replay of"), "{}", back.screen);
    let run = recorded("removal", 3, "cron@ops-1");
    let no_plan = say(Message::Replay(run.run.clone(), Reel::Plan(Err("missing field `basis`".to_owned()))));
    let none = played(&[say(looked()), typed("W"), told(vec![run]), enter(), no_plan, typed("p")]);
    assert!(none.screen.contains("its plan cannot be read: missing field"), "{}", none.screen);
}

#[test]
fn the_foot_says_stop_while_it_is_playing() {
    let foot = |keys: Vec<Act>| {
        let screen = played(&[opened("rolled-back", over()), key(KeyCode::Home), keys]).screen;
        screen.lines().last().unwrap_or_default().to_owned()
    };
    assert!(foot(Vec::new()).contains("space play"));
    let playing = foot(typed(" "));
    assert!(playing.contains("space stop") && !playing.contains("space play"), "{playing}");
    assert!(foot(typed("  ")).contains("space play"));
}

#[test]
fn one_event_back_and_on_and_from_mark_to_mark() {
    let of = read("rolled-back").events().count();
    let at = |keys: Vec<Act>| {
        let screen = played(&[opened("rolled-back", over()), keys]).screen;
        let (_, rest) = screen.split_once(", event ").expect("the place");
        rest.split(' ').next().and_then(|number| number.parse::<usize>().ok()).expect("a number")
    };
    assert_eq!(at(Vec::new()), of);
    assert_eq!(at(key(KeyCode::Left)), of - 1);
    assert_eq!(at([key(KeyCode::Left), key(KeyCode::Left), key(KeyCode::Right)].concat()), of - 1);
    assert_eq!(at(key(KeyCode::Home)), 1);
    assert_eq!(at([key(KeyCode::Home), key(KeyCode::Left)].concat()), 1);
    assert_eq!(at([key(KeyCode::Home), key(KeyCode::End)].concat()), of);
    let marks = played(&[opened("rolled-back", over()), key(KeyCode::Home), typed("]")]).screen;
    assert!(marks.contains("wave 1 of") && marks.contains("begins"), "{marks}");
    let first = played(&[opened("rolled-back", over()), key(KeyCode::Home), typed("[")]).screen;
    assert!(first.contains("no wave and no trouble was before this"), "{first}");
}

#[test]
fn it_plays_at_the_pace_of_the_run_or_faster_and_stops_at_its_end() {
    let journal = read("rolled-back");
    let times: Vec<_> = journal.events().map(|event| event.at).collect();
    let whole = times.last().unwrap().as_second() - times[0].as_second();
    let after = |keys: &str, seconds: u64| {
        let script = [opened("rolled-back", over()), typed(keys), vec![Act::Wait(seconds)]];
        played(&script)
    };
    let slow = after(" ", 3);
    assert!(head(&slow).contains("playing 1x"), "{}", slow.screen);
    let fast = after("++ ", u64::try_from(whole / 16 + 2).unwrap());
    assert!(fast.screen.contains("verdict: not reached") && head(&fast).contains("its end"), "{}", fast.screen);
    let paused =
        played(&[opened("rolled-back", over()), typed(" "), vec![Act::Wait(2)], typed(" "), vec![Act::Wait(600)]]);
    assert!(head(&paused).contains("paused"), "{}", paused.screen);
    let too = played(&[opened("rolled-back", over()), typed("+++++++")]).screen;
    assert!(too.contains("64 s of the run in a second"), "{too}");
}

#[test]
fn nothing_is_drawn_while_a_replay_stands_still() {
    let frames = |seconds| played(&[opened("rolled-back", over()), vec![Act::Wait(seconds)]]).frames;
    assert_eq!(frames(1), frames(3_600));
}

#[test]
fn a_replay_steers_nothing() {
    for keys in [typed("x"), typed("xj\n"), typed("a"), typed("R"), typed("S"), typed("dPRr")] {
        let played = played(&[opened("rolled-back", over()), keys]);
        let asked: Vec<_> =
            played.asked.iter().filter(|asked| !asked.contains("runs") && !asked.starts_with("open")).collect();
        assert!(asked.is_empty(), "{asked:?}");
    }
    let why = played(&[opened("rolled-back", over()), typed("x")]);
    assert!(why.screen.contains("a recording: nothing can be stopped"), "{}", why.screen);
    let node = played(&[opened("rolled-back", over()), typed("dP")]);
    assert!(node.screen.contains("the fleet as it is now is on the first screen"), "{}", node.screen);
}

#[test]
fn a_run_of_another_muster_is_watched_until_its_verdict() {
    let run = recorded("rolled-back", 1, "cron@ops-1");
    let journal = read("rolled-back");
    let mut events: Vec<Event> = journal.events().cloned().collect();
    let shift = start().duration_since(events[0].at);
    for event in &mut events {
        event.at += shift;
    }
    if let EventKind::RunStarted { head } = &mut events[0].kind {
        head.operator = "cron@ops-1".to_owned();
    }
    let last = events.split_off(events.len() - 4);
    let plan = Ok(Arc::new(journal.plan().unwrap()));
    let reel = |reel| say(Message::Replay(run.run.clone(), reel));
    let open = [say(looked()), typed("W"), told(vec![run.clone()]), enter()].concat();
    let on =
        [open, reel(Reel::Plan(plan)), reel(Reel::Events { events, unknown: 0 }), reel(Reel::Rest(Rest::On))].concat();
    seen("watching", std::slice::from_ref(&on));
    let watched = played(&[on.clone(), typed("x")]);
    assert!(watched.screen.contains("it can be steered only where it was begun"), "{}", watched.screen);
    let (early, later) = (played(std::slice::from_ref(&on)), played(&[on.clone(), vec![Act::Wait(30)]]));
    assert!(later.frames > early.frames + 20, "its time goes on");
    let end = reel(Reel::Events { events: last, unknown: 0 });
    let ended = played(&[on.clone(), end.clone(), reel(Reel::Rest(over()))]);
    assert!(
        ended.screen.contains("verdict: not reached, exit 3") && head(&ended).contains("its end"),
        "{}",
        ended.screen
    );
    let back = played(&[on, typed("h"), end, reel(Reel::Rest(over()))]);
    assert!(!back.screen.contains("verdict:"), "who went back stays there\n{}", back.screen);
}

#[test]
fn a_damaged_recording_shows_what_stands_before_the_damage() {
    let damaged = Rest::Damaged("reading /x/journal.jsonl, line 40: it is not JSON".to_owned());
    let run = recorded("rolled-back", 1, "cron@ops-1");
    let events: Vec<Event> = read("rolled-back").events().take(38).cloned().collect();
    let reel = |reel| say(Message::Replay(run.run.clone(), reel));
    let open = [say(looked()), typed("W"), told(vec![run.clone()]), enter()].concat();
    let screen = played(&[open, reel(Reel::Events { events, unknown: 0 }), reel(Reel::Rest(damaged))]).screen;
    assert!(screen.contains("event 38 of 38") && screen.contains("no verdict was recorded"), "{screen}");
    assert!(screen.contains("line 40: it is not JSON; what stands"), "{screen}");
}

#[test]
fn a_recording_that_cannot_be_opened_leads_back_to_the_list() {
    let notice = Notice { text: "reading /x: Permission denied".to_owned(), details: vec![], hints: vec![] };
    let failed = played(&[to_runs(), enter(), say(Message::Failed { doing: Doing::Replay, notice }), enter()]);
    assert!(failed.screen.contains("11 runs recorded"), "{}", failed.screen);
    assert_eq!(failed.asked.last().map(String::as_str), Some("close the recording"));
}

#[test]
fn the_run_that_is_on_here_is_never_mixed_with_a_recording() {
    let mut live = Recording::begin();
    live.delivered().wave(1, &["eu-1"]);
    let last = live.acts.split_off(live.acts.len() - 1);
    let to_replay = [to_run(), live.acts, typed("W"), told(all()), typed("j"), enter()].concat();
    let run = all()[1].run.clone();
    let replaying = [to_replay, reel(&run, "rolled-back", over())].concat();
    let while_on = played(&[replaying.clone(), last.clone()]);
    assert!(head(&while_on).contains("replay of"), "{}", while_on.screen);
    assert!(while_on.screen.contains("a run is on: 0 of 3 nodes proven (w)"), "{}", while_on.screen);
    let live = played(&[replaying.clone(), last.clone(), typed("w")]);
    assert!(head(&live).contains("run 01M7WMCPQ0") && head(&live).contains("wave 1 of 2"), "{}", live.screen);
    assert_eq!(live.asked.last().map(String::as_str), Some("close the recording"));
    // Stopping is of the run that is on, wherever one is.
    let stopped = played(&[replaying, vec![Act::Wait(60)], ctrl('c')]);
    assert_eq!(stopped.asked.last().map(String::as_str), Some("cancel AfterWave"));
    let mut own = recorded("interrupted", 0, "deploy@ops-1");
    own.run = RunId::from_parts(1_795_183_500_000, 7);
    own.came = Came::AtWork;
    let same = played(&[to_run(), Recording::begin().acts, typed("W"), told(vec![own]), enter()]);
    assert!(same.screen.contains("this is the run that is on here"), "{}", same.screen);
}

#[test]
fn a_recording_that_was_closed_is_not_heard_any_more() {
    let late = reel(&recorded("rolled-back", 3, "x").run, "rolled-back", over());
    let closed = played(&[opened("rolled-back", over()), key(KeyCode::Esc), late]);
    assert!(closed.screen.contains("1 run recorded"), "{}", closed.screen);
    assert_eq!(closed.asked.last().map(String::as_str), Some("close the recording"));
}

#[test]
fn a_thousand_runs_scroll() {
    let runs: Vec<_> = (0..1_000).map(|minute| recorded("converged", minute, "cron@ops-1")).collect();
    let screen = played(&[say(looked()), typed("W"), told(runs), key(KeyCode::End)]).screen;
    assert!(screen.contains("more above") && screen.contains("1000 runs recorded"), "{screen}");
}

#[test]
fn what_a_recording_says_is_never_shown_raw() {
    let evil = "\x1b[2J\u{202e}gnp\u{9b}31m\x07";
    let mut run = recorded("rolled-back", 3, evil);
    run.trouble = Some(evil.to_owned());
    if let Some(about) = &mut run.about {
        (about.summary, about.repository) = (evil.to_owned(), evil.to_owned());
    }
    let mut events: Vec<Event> = read("rolled-back").events().cloned().collect();
    if let EventKind::RunStarted { head } = &mut events[0].kind {
        (head.operator, head.summary) = (evil.to_owned(), evil.to_owned());
    }
    let told = [say(looked()), typed("W"), told(vec![run.clone()])].concat();
    let events = say(Message::Replay(run.run.clone(), Reel::Events { events, unknown: 0 }));
    let damaged = say(Message::Replay(run.run.clone(), Reel::Rest(Rest::Damaged(evil.to_owned()))));
    for script in [told.clone(), [told, enter(), events, damaged].concat()] {
        let screen = play((160, 50), Look::FULL, script).screen;
        assert!(!screen.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{screen}");
    }
}

#[test]
fn the_verdict_of_a_recording_is_not_that_of_this_muster() {
    let left = played(&[opened("rolled-back", over()), typed("q")]);
    assert!(left.left());
    assert_eq!(left.ended.verdict, None::<Verdict>);
}
