//! Steering a run, reading its logs, and what it came to.

use crossterm::event::{Event as Input, KeyCode};
use muster::hint::Hint;
use muster::plan::Plan;
use muster::run::{CancelLevel, Cause, EventKind, Outcome, SkipReason, StepEnd, StepPhase, Verdict};
use muster::tui::{Look, Message};

use super::fixture::{FENCE, Recording, cluster, looked, node, removal_plan, step_id};
use super::screens::{seen, to_run};
use super::script::{Act, Played, enter, key, play, say, typed};

fn by() -> String {
    "deploy@ops-1".to_owned()
}

fn played(script: &[Vec<Act>]) -> Played {
    play((80, 24), Look::FULL, script.concat())
}

/// What the driver was asked for after the plan was applied.
fn asked(script: &[Vec<Act>]) -> Vec<String> {
    let asked = played(script).asked;
    asked.into_iter().skip_while(|asked| !asked.starts_with("apply")).skip(1).collect()
}

/// A run whose first wave is over; `eu-1` is proven.
fn first_wave() -> Recording {
    let mut run = Recording::begin();
    run.delivered().wave(1, &["eu-1"]).proven(3, "eu-1");
    run
}

fn paused() -> Recording {
    let mut run = first_wave();
    run.push(EventKind::PauseRequested { paused: true, by: Some(by()) });
    run.push(EventKind::RunPaused { cluster: cluster("eu-prod"), wave: 1, by: by() });
    run
}

/// A run of the plan that removes a plugin, too.
fn to_removal() -> Vec<Act> {
    let planned = say(Message::Planned(removal_plan().into()));
    [say(looked()), typed("p"), planned, typed("aeu-prod"), enter()].concat()
}

/// A node talks.
fn printed(run: &mut Recording, number: u32, name: &str, line: &str) {
    run.push(EventKind::StepPrinted { step: step_id(number), node: node(name), line: line.to_owned() });
}

fn talking() -> Recording {
    let mut run = first_wave();
    run.wave(2, &["eu-2", "eu-3"]).started(4, "eu-2", "activate", "bundled,request-tag,acme-auth");
    run.phase(4, "eu-2", StepPhase::Guard, "guard armed, 120 s");
    for number in 1..=20 {
        let line = match number % 7 {
            3 => format!(
                "2026/11/20 14:05:{number:02} [warn] 5806#0: worker {number} is slow to close a keepalive connection, and a resty.jwt cache of 12 MiB is kept"
            ),
            _ => format!("2026/11/20 14:05:{number:02} [notice] 5806#0: signal {number} received"),
        };
        printed(&mut run, 4, "eu-2", &line);
    }
    run.phase(4, "eu-2", StepPhase::Prove, "still loading (2 old workers answer)");
    run
}

/// From the run to the log of `eu-2`.
fn to_log() -> Vec<Act> {
    [typed("j"), enter()].concat()
}

#[test]
fn a_run_that_will_pause_and_one_that_is_paused() {
    let mut asked = first_wave();
    asked.wave(2, &["eu-2", "eu-3"]).started(4, "eu-2", "activate", "request-tag");
    asked.push(EventKind::PauseRequested { paused: true, by: Some(by()) });
    seen("run-pausing", &[to_run(), asked.acts]);
    seen("run-paused", &[to_run(), paused().acts, vec![Act::Wait(90)], typed("j")]);
    seen("stop-paused", &[to_run(), paused().acts, typed("x")]);
}

#[test]
fn space_asks_for_a_pause_and_for_going_on() {
    assert_eq!(asked(&[to_run(), first_wave().acts, typed(" ")]), ["pause true"]);
    assert_eq!(asked(&[to_run(), paused().acts, typed(" ")]), ["pause false"]);
    let mut taken_back = first_wave();
    taken_back.push(EventKind::PauseRequested { paused: true, by: Some(by()) });
    assert_eq!(asked(&[to_run(), taken_back.acts, typed(" ")]), ["pause false"]);
}

#[test]
fn a_pause_is_asked_for_only_where_one_can_begin() {
    let mut cancelled = first_wave();
    cancelled.push(EventKind::CancelRequested { level: CancelLevel::AfterWave, by: None });
    let stopping = played(&[to_run(), cancelled.acts, typed(" ")]);
    assert!(stopping.screen.contains("the run is being stopped: nothing begins any more"), "{}", stopping.screen);
    let mut over = first_wave();
    over.looked(3, 0, &[]).verdict(Verdict::Converged);
    let over = played(&[to_run(), over.acts, typed(" ")]);
    assert!(over.screen.contains("no run is on"), "{}", over.screen);
    assert!(!stopping.asked.iter().chain(&over.asked).any(|asked| asked.starts_with("pause")));
}

#[test]
fn a_run_that_goes_on_is_no_longer_called_paused() {
    let mut run = paused();
    run.push(EventKind::RunResumed { by: by() }).wave(2, &["eu-2", "eu-3"]);
    let screen = played(&[to_run(), run.acts]).screen;
    assert!(!screen.contains("paused"), "{screen}");
    assert!(screen.contains("space pause"), "{screen}");
}

#[test]
fn a_node_that_waits_is_skipped_after_its_name_was_typed() {
    seen("skip", &[to_run(), first_wave().acts, typed("jjSeu-")]);
    let skip = |script: Vec<Act>| asked(&[to_run(), first_wave().acts, script]);
    assert_eq!(skip([typed("jjSeu-3"), enter()].concat()), ["skip eu-3"]);
    for no in [typed("jjS"), typed("jjSeu-3"), [typed("jjSeu-2"), enter()].concat(), typed("jjSSSSS")] {
        assert_eq!(skip(no), Vec::<String>::new());
    }
    let paste = vec![Act::Input(Input::Paste("eu-3\n".to_owned()))];
    assert_eq!(skip([typed("jjS"), paste.clone()].concat()), Vec::<String>::new());
    assert_eq!(skip([typed("jjS"), paste, enter()].concat()), ["skip eu-3"]);
}

#[test]
fn skipping_in_a_removal_says_which_files_it_holds() {
    let mut run = Recording::begin_removal();
    run.unapplied();
    seen("skip-removal", &[to_removal(), run.acts, typed("jjS")]);
}

#[test]
fn what_cannot_be_skipped_says_why() {
    let why = |run: Recording, keys: &str| {
        let played = played(&[to_run(), run.acts, typed(keys)]);
        assert!(!played.screen.contains("type the node's name"), "{}", played.screen);
        played.screen.lines().last().unwrap_or_default().trim().to_owned()
    };
    let mut on = first_wave();
    on.wave(2, &["eu-2", "eu-3"]).started(4, "eu-2", "activate", "request-tag");
    assert_eq!(why(on, "jS"), "a step is under way on eu-2: it ends first; x stops the run");
    assert_eq!(why(first_wave(), "S"), "all steps of eu-1 are over");
    let mut over = first_wave();
    over.looked(1, 2, &[]).verdict(Verdict::NotReached);
    assert_eq!(why(over, "jS"), "the run is over");
}

#[test]
fn a_node_that_was_skipped_and_a_skip_that_was_refused() {
    let mut run = first_wave();
    run.push(EventKind::NodeSkipped { node: node("eu-3"), by: by() });
    run.ended(5, "eu-3", "activate", StepEnd::Skipped { why: SkipReason::Operator { by: by() } });
    run.push(EventKind::SkipRefused { node: node("eu-1"), by: by(), why: "all of its steps are over".to_owned() });
    seen("run-skipped", &[to_run(), run.acts.clone(), typed("jj")]);
    let log = played(&[to_run(), run.acts, enter()]).screen;
    assert!(log.contains("not skipped, though deploy@ops-1 asked for it: "), "{log}");
}

#[test]
fn the_log_of_a_node() {
    seen("log", &[to_run(), talking().acts, to_log()]);
    seen("log-cut", &[to_run(), talking().acts, to_log(), typed("wll")]);
    seen(
        "log-search",
        &[to_run(), talking().acts, to_log(), typed("/JWT"), key(KeyCode::Backspace), typed("t"), enter()],
    );
    seen("log-found", &[to_run(), talking().acts, to_log(), typed("/jwt"), enter(), typed("n")]);
    seen("log-nothing", &[to_run(), Recording::begin().acts, enter()]);
}

#[test]
fn a_log_follows_until_it_is_scrolled_and_says_so() {
    let later = || {
        let mut run = talking();
        run.acts.clear();
        printed(&mut run, 4, "eu-2", "a line that came later");
        run.acts
    };
    let log = |keys: &str| played(&[to_run(), talking().acts, to_log(), typed(keys), later()]).screen;
    assert!(log("").contains("a line that came later") && log("").contains("following, wrapped"));
    let scrolled = log("kkk");
    assert!(!scrolled.contains("a line that came later") && scrolled.contains("not following"), "{scrolled}");
    assert!(log("kkkf").contains("a line that came later") && log("kkkG").contains("a line that came later"));
    let held = log("f");
    assert!(!held.contains("a line that came later") && held.contains("1 below"), "{held}");
}

#[test]
fn a_search_is_seen_while_it_is_typed_and_ended_by_escape() {
    let typing = played(&[to_run(), talking().acts, to_log(), typed("/keepalive")]).screen;
    assert!(typing.contains(" search: keepalive   1 of 3") || typing.contains("of 3   enter"), "{typing}");
    let none = played(&[to_run(), talking().acts, to_log(), typed("/keepalive"), key(KeyCode::Esc), typed("n")]).screen;
    assert!(none.contains("nothing is searched for: / begins"), "{none}");
    let wrong = played(&[to_run(), talking().acts, to_log(), typed("/zebra"), enter(), typed("n")]).screen;
    assert!(wrong.contains("/zebra not found") && wrong.contains("it is not in this log"), "{wrong}");
}

#[test]
fn the_log_can_be_read_after_the_end_and_escape_goes_back_to_the_run() {
    let mut run = talking();
    run.ended(4, "eu-2", "activate", StepEnd::RolledBack { cause: super::fixture::cause() });
    run.looked(1, 2, &[]).verdict(Verdict::NotReached);
    let log = played(&[to_run(), run.acts.clone(), enter()]).screen;
    assert!(
        log.contains("activate rolled back, serving as before") && log.contains("to do: add resty/jwt.lua"),
        "{log}"
    );
    let back = played(&[to_run(), run.acts, enter(), key(KeyCode::Esc)]).screen;
    assert!(back.contains("verdict: not reached"), "{back}");
}

#[test]
fn a_line_of_a_megabyte_freezes_nothing() {
    let mut run = talking();
    printed(&mut run, 4, "eu-2", &format!("BEGIN {}", "x\u{1b}[2J!".repeat(170_000)));
    printed(&mut run, 4, "eu-2", "after it");
    seen("log-huge", &[to_run(), run.acts.clone(), to_log(), typed("w")]);
    let began = std::time::Instant::now();
    let keys = "wkkkkkkkkkk/begin";
    let played = played(&[to_run(), run.acts, to_log(), typed(keys), enter(), typed("GgGw")]);
    // Sixty frames of a debug build on a machine that does other things, too; without bounds it takes minutes.
    assert!(began.elapsed().as_secs() < 20, "{:?} for {} frames", began.elapsed(), played.frames);
    assert!(!played.screen.contains('\u{1b}'));
}

#[test]
fn a_storm_of_lines_is_bounded_and_says_what_it_dropped() {
    let mut run = talking();
    let line = EventKind::StepPrinted { step: step_id(4), node: node("eu-2"), line: "again and again".to_owned() };
    run.push(line);
    let storm = super::script::at_once(run.acts.last().expect("it was just pushed"), 12_000);
    let screen = played(&[to_run(), run.acts, to_log(), storm]).screen;
    assert!(screen.contains("lines dropped") && screen.contains("again and again"), "{screen}");
}

#[test]
fn the_log_of_a_cluster_tells_its_steps_and_waves() {
    let mut run = Recording::begin_removal();
    run.unapplied().wave(1, &["eu-1"]);
    run.push(EventKind::WaveProven { cluster: cluster("eu-prod"), wave: 1, soak: 30 });
    let screen = played(&[to_removal(), run.acts, typed("g"), enter()]).screen;
    for said in
        ["log of eu-prod", "un-apply begins: legacy-hmac", "2 rows, none left", "wave 1 proven, healthy for 30 s"]
    {
        assert!(screen.contains(said), "{said}:\n{screen}");
    }
}

#[test]
fn the_lines_of_one_node_do_not_stand_in_the_log_of_another() {
    let mut run = talking();
    printed(&mut run, 5, "eu-3", "only of eu-3");
    let screen = played(&[to_run(), run.acts, to_log()]).screen;
    assert!(!screen.contains("only of eu-3"), "{screen}");
}

/// A run that stopped at a node whose failure is explained.
fn failed() -> Recording {
    let mut run = first_wave();
    run.wave(2, &["eu-2", "eu-3"]).started(4, "eu-2", "activate", "request-tag, acme-auth");
    run.phase(4, "eu-2", StepPhase::Reload, "reloading");
    run.phase(4, "eu-2", StepPhase::PutBack, "putting back");
    let cause = Cause {
        code: "reload-failed".into(),
        text: "reload failed: handler.lua:12: module 'resty.jwt' not found".into(),
        details: [
            "no new worker after 30 s",
            "a module that the plugin needs is not on this node",
            "in the log: init_by_lua error: error loading module 'kong.plugins.acme-auth.handler'",
        ]
        .map(str::to_owned)
        .to_vec(),
        hints: vec![Hint::do_("add resty/jwt.lua to the bundle, or install it, then commit")],
    };
    run.ended(4, "eu-2", "activate", StepEnd::RolledBack { cause });
    run.ended(5, "eu-3", "activate", StepEnd::Skipped { why: SkipReason::ClusterStopped });
    let counts = muster::run::Counts::default();
    run.push(EventKind::ClusterStopped { cluster: cluster("eu-prod"), why: "1 failed, 0 allowed".to_owned(), counts });
    run.looked(1, 2, &["eu-2 drift: acme-auth: loaded 2.0.3, wanted 2.1.0", "eu-3 drift"]);
    run.verdict(Verdict::NotReached);
    run
}

#[test]
fn a_failure_says_what_it_means_and_what_to_do() {
    seen("run-failed", &[to_run(), failed().acts]);
    let screen = play((80, 50), Look::FULL, [to_run(), failed().acts].concat()).screen;
    let at = |words: &str| screen.find(words).unwrap_or_else(|| panic!("{words}:\n{screen}"));
    let order =
        [at("   cause "), at("   it means "), at("   what to do  add"), at(" next "), at("no new worker after 30 s")];
    assert!(order.is_sorted(), "{order:?}\n{screen}");
}

#[test]
fn retrying_makes_a_plan_for_what_failed_and_nothing_else() {
    assert_eq!(asked(&[to_run(), failed().acts, typed("R")]), [r#"plan Nodes({"eu-2"})"#]);
    let plan: Plan = super::fixture::plan();
    let shown = played(&[to_run(), failed().acts, typed("R"), say(Message::Planned(plan.into()))]).screen;
    assert!(shown.contains("a apply"), "the plan is shown, and nothing begins without it\n{shown}");
    let on = played(&[to_run(), first_wave().acts, typed("R")]);
    assert!(on.screen.contains("R plans what failed once it is over"), "{}", on.screen);
    let mut good = first_wave();
    good.looked(3, 0, &[]).verdict(Verdict::Converged);
    let good = played(&[to_run(), good.acts, typed("R")]);
    assert!(good.screen.contains("no node failed: p plans what is left"), "{}", good.screen);
    assert!(!on.asked.iter().chain(&good.asked).any(|asked| asked.starts_with("plan Nodes")));
}

/// A removal that a skipped node holds.
fn held() -> Recording {
    let mut run = Recording::begin_removal();
    run.unapplied().delivered().wave(1, &["eu-1"]).proven(3, "eu-1");
    run.push(EventKind::NodeSkipped { node: node("eu-2"), by: by() });
    run.ended(4, "eu-2", "activate", StepEnd::Skipped { why: SkipReason::Operator { by: by() } });
    run.wave(2, &["eu-2", "eu-3"]).proven(5, "eu-3");
    let why = SkipReason::Held { why: "eu-2 was skipped, and it still lists what is to go".to_owned() };
    run.cluster_ended(FENCE, StepEnd::Skipped { why: why.clone() });
    for (number, name) in [(8, "eu-1"), (10, "eu-3")] {
        run.ended(number, name, "delete", StepEnd::Skipped { why: why.clone() });
    }
    run.looked(0, 3, &["legacy-hmac is held on eu-prod: 2 of 3 nodes are without it", "eu-2 drift"]);
    run.verdict(Verdict::NotReached);
    run
}

#[test]
fn a_finished_run_names_what_is_held_and_what_releases_it() {
    seen("run-finished-held", &[to_removal(), held().acts]);
    seen("ticket", &[to_removal(), held().acts, typed("y")]);
    seen("ticket-failed", &[to_run(), failed().acts, typed("y")]);
    seen("ticket-on", &[to_run(), paused().acts, typed("y")]);
}

#[test]
fn the_ticket_of_a_removal_names_what_is_kept_and_the_way_back() {
    let mut run = Recording::begin_removal();
    run.unapplied().looked(4, 0, &[]).verdict(Verdict::Converged);
    seen("ticket-removed", &[to_removal(), run.acts, typed("y")]);
}

#[test]
fn leaving_while_paused_says_nothing_of_nodes_in_the_middle_of_a_change() {
    let leave = |run: Recording| played(&[to_run(), run.acts, typed("q")]).screen;
    let (on, waits) = (leave(first_wave()), leave(paused()));
    assert!(waits.contains("paused: nothing is under way") && !waits.contains("how they end is unknown"), "{waits}");
    assert!(on.contains("how they end is unknown"), "{on}");
}

#[test]
fn the_page_of_a_node_has_what_the_run_said_of_it() {
    let mut run = first_wave();
    run.started(4, "eu-2", "activate", "request-tag");
    run.ended(4, "eu-2", "activate", StepEnd::Done { outcome: Outcome::Edited });
    let page = played(&[to_run(), run.acts, typed("jd")]).screen;
    assert!(page.contains("a node, in this run"), "{page}");
    assert!(page.contains("activate: edited; Kong is stopped, so nothing is proven"), "{page}");
}

#[test]
fn the_ticket_goes_to_the_clipboard_and_to_a_page_that_nothing_surrounds() {
    let played = played(&[to_run(), failed().acts, typed("y")]);
    let copied = played.asked.last().cloned().unwrap_or_default();
    assert!(copied.starts_with("copy muster run 01M7WMCPQ0"), "{copied}");
    let lines: Vec<&str> = played.screen.lines().collect();
    assert!(lines[2].starts_with("muster run 01M7WMCPQ0"), "no space before it\n{}", played.screen);
    assert!(played.screen.contains("also in the clipboard, where the terminal allows it"), "{}", played.screen);
    let early = play((80, 24), Look::FULL, [to_run(), typed("y")].concat());
    assert!(early.screen.contains("no run was begun here"), "{}", early.screen);
}

#[test]
fn a_run_that_was_cancelled_in_a_pause_says_both() {
    let mut run = paused();
    run.push(EventKind::CancelRequested { level: CancelLevel::AfterWave, by: Some(by()) });
    run.looked(1, 2, &[]).verdict(Verdict::Interrupted);
    let screen = played(&[to_run(), run.acts]).screen;
    assert!(screen.contains("verdict: interrupted, exit 130; paused after wave 1 by deploy@ops-1"), "{screen}");
    assert!(
        screen.contains("from a shell: muster resume 01M7WMCPQ00000000000000007\n"),
        "whole, to be copied\n{screen}"
    );
}

#[test]
fn rows_never_move_whatever_is_steered() {
    let order = |screen: &str| -> Vec<String> {
        let rows = screen.lines().skip_while(|line| !line.contains("NODE")).skip(1).take(3);
        rows.filter_map(|line| line.split_whitespace().find(|word| word.starts_with("eu-")).map(str::to_owned))
            .collect()
    };
    let rows: Vec<Vec<String>> = [first_wave(), paused(), failed()]
        .into_iter()
        .map(|run| order(&played(&[to_run(), run.acts]).screen))
        .collect();
    assert_eq!(rows, vec![["eu-1", "eu-2", "eu-3"].map(str::to_owned).to_vec(); 3]);
}

#[test]
fn a_paste_into_a_search_is_its_first_line_also_where_lines_end_by_carriage_returns() {
    let paste = vec![Act::Input(Input::Paste("wave\rxdq".to_owned()))];
    let shown = played(&[to_run(), first_wave().acts, enter(), typed("/"), paste]);
    assert!(shown.screen.contains("wave") && !shown.screen.contains("xdq"), "{}", shown.screen);
    assert!(!shown.left(), "nothing that was pasted is a key");
}
