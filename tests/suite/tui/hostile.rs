//! What nodes and people say is never shown raw, and no order of things breaks the application.

use std::sync::Arc;

use crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyModifiers};
use muster::run::{Cause, EventKind, StepEnd, StepPhase, Verdict};
use muster::tui::{Doing, Look, Message, Model, Notice, Signal, Title, draw, update};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Size;

use super::fixture::{Recording, empty_plan, large, looked, picture, plan, planned};
use super::screens::to_run;
use super::script::{Act, enter, play, say, start, typed};

const EVIL: &str = "\x1b[2J\x1b]0;owned\x07\r\n\u{9b}31m\u{202e}gnp.exe\u{200b}\x00";

fn assert_clean(screen: &str) {
    let raw = screen.chars().find(|c| (c.is_control() && *c != '\n') || ('\u{202a}'..='\u{202e}').contains(c));
    assert_eq!(raw, None, "{screen}");
}

#[test]
fn a_hostile_node_does_not_reach_the_terminal() {
    let mut evil = picture();
    for node in &mut evil.clusters[0].nodes {
        node.kong = Some(EVIL.to_owned());
        node.state.why = EVIL.to_owned();
        node.remarks = vec![EVIL.repeat(3)];
        node.plugins = vec![(0, vec![EVIL.to_owned()])];
    }
    evil.columns[0] = EVIL.to_owned();
    for script in [typed("j"), [typed("j"), enter()].concat()] {
        let screen = play((80, 24), Look::FULL, [say(Message::Looked(Arc::new(evil.clone()))), script].concat()).screen;
        assert_clean(&screen);
        assert!(screen.contains('\u{fffd}'), "what was taken out is seen\n{screen}");
    }
}

#[test]
fn hostile_output_of_a_run_does_not_reach_the_terminal() {
    let cause = Cause { code: EVIL.into(), text: EVIL.into(), details: vec![EVIL.into()], hints: vec![] };
    let mut run = Recording::begin();
    run.started(3, "eu-1", "activate", EVIL).phase(3, "eu-1", StepPhase::Prove, EVIL).waiting("eu-1", EVIL, 3);
    run.ended(3, "eu-1", "activate", StepEnd::Failed { cause });
    for keys in [vec![], enter()] {
        assert_clean(&play((80, 24), Look::FULL, [to_run(), run.acts.clone(), keys].concat()).screen);
    }
}

#[test]
fn a_hostile_plan_or_notice_does_not_reach_the_terminal() {
    let mut evil = plan();
    let change = &mut evil.clusters[0].changes[0];
    (change.name, change.detail, change.diff) = (EVIL.into(), EVIL.into(), vec![EVIL.into()]);
    (evil.blockers[0].what, evil.notes[0].text) = (EVIL.into(), EVIL.into());
    let planned = [say(looked()), typed("p"), say(Message::Planned(evil.into()))].concat();
    for keys in [vec![], typed("d"), typed("a"), vec![Act::Input(Input::Paste(EVIL.to_owned()))]] {
        assert_clean(&play((80, 24), Look::FULL, [planned.clone(), keys].concat()).screen);
    }
    let notice = Notice { text: EVIL.into(), details: vec![EVIL.into()], hints: vec![] };
    assert_clean(&play((80, 24), Look::FULL, say(Message::Failed { doing: Doing::Look, notice })).screen);
}

#[test]
fn a_line_of_ten_megabytes_neither_freezes_nor_breaks_it() {
    let mut run = Recording::begin();
    run.started(3, "eu-1", "activate", "x");
    let line = "word ".repeat(2_000_000);
    let (step, node) = (super::fixture::step_id(3), super::fixture::node("eu-1"));
    run.push(EventKind::StepPrinted { step, node, line });
    let screen = play((80, 24), Look::FULL, [to_run(), run.acts, typed("d")].concat()).screen;
    assert!(screen.contains("printed     word word"), "{screen}");
}

fn notice() -> Notice {
    Notice { text: "no".into(), details: vec!["more".into(); 40], hints: vec![] }
}

fn recorded() -> Vec<Message> {
    let mut run = Recording::begin();
    run.delivered().wave(1, &["eu-1"]).proven(3, "eu-1").rolled_back(4, "eu-2").looked(1, 2, &["eu-2: no"; 5]);
    run.verdict(Verdict::NotReached);
    let messages = run.acts.into_iter().filter_map(|act| match act {
        Act::Say(message) => Some(message),
        _ => None,
    });
    messages.collect()
}

fn messages() -> impl Strategy<Value = Message> {
    let keys = prop_oneof![
        prop::sample::select("jkgGhlnpPaAdrRwxq? \u{e9}eu-prodleave".chars().collect::<Vec<_>>())
            .prop_map(KeyCode::Char),
        Just(KeyCode::Enter),
        Just(KeyCode::Esc),
        Just(KeyCode::Backspace),
        Just(KeyCode::PageDown),
        Just(KeyCode::End),
        Just(KeyCode::Up),
    ];
    let modifiers = prop_oneof![9 => Just(KeyModifiers::NONE), 1 => Just(KeyModifiers::CONTROL)];
    let key = (keys, modifiers).prop_map(|(code, m)| Message::Input(Input::Key(KeyEvent::new(code, m))));
    let said = prop::sample::select(vec![
        looked(),
        Message::Looked(Arc::new(large(40))),
        Message::Looked(Arc::new(muster::tui::Picture::default())),
        planned(),
        Message::Planned(empty_plan().into()),
        Message::Looking { done: 1, of: 2 },
        Message::Clock(start()),
        Message::Signal(Signal::Interrupt),
        Message::Signal(Signal::Continued),
        Message::Input(Input::Paste("eu-prod\nx".into())),
        Message::Failed { doing: Doing::Look, notice: notice() },
        Message::Failed { doing: Doing::Plan, notice: notice() },
        Message::Failed { doing: Doing::Apply, notice: notice() },
    ]);
    let size = (0u16..200, 0u16..60).prop_map(|(w, h)| Message::Input(Input::Resize(w, h)));
    prop_oneof![8 => key, 4 => said, 4 => prop::sample::select(recorded()), 1 => size]
}

/// The keys that lead from the start into a run, so that what happens at random happens there too.
fn into_run() -> Vec<Message> {
    let acts = to_run().into_iter().filter_map(|act| match act {
        Act::Say(message) => Some(message),
        Act::Key(code, m) => Some(Message::Input(Input::Key(KeyEvent::new(code, m)))),
        Act::Input(_) | Act::Wait(_) | Act::Storm(..) => None,
    });
    acts.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_keys_and_messages_panics(
        in_run in any::<bool>(),
        plain in any::<bool>(),
        messages in prop::collection::vec(messages(), 1..60),
    ) {
        let look = if plain { Look::PLAIN } else { Look::FULL };
        let mut model = Model::new(Title::default(), look, Size::new(80, 24), start());
        let before = if in_run { into_run() } else { Vec::new() };
        for message in before.into_iter().chain(messages) {
            update(&mut model, message);
            let mut terminal = Terminal::new(TestBackend::new(model.size.width, model.size.height)).expect("in memory");
            terminal.draw(|frame| draw(&model, frame)).expect("in memory");
            let cells = &terminal.backend().buffer().content;
            prop_assert!(!cells.iter().any(|cell| cell.symbol().chars().any(char::is_control)));
            prop_assert!(!plain || cells.iter().all(|cell| cell.symbol().is_ascii()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_text_in_the_palette_reaches_the_terminal_raw(text in any::<String>()) {
        let script = [say(looked()), typed(":"), vec![Act::Input(Input::Paste(text))]].concat();
        let played = play((80, 24), Look::FULL, script);
        assert_clean(&played.screen);
        prop_assert!(!played.left() && played.asked.is_empty());
    }
}
