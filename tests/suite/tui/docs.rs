//! The screens and the keys in the documents are those of the program. `MUSTER_WRITE_DOCS=1 cargo test --test suite -- tui::docs`
//! writes them anew.

use std::fs;
use std::path::PathBuf;

use crossterm::event::KeyCode;
use muster::run::{StepPhase, Verdict};
use muster::tui::Look;
use muster::tui::keymap::{self, Binding};

use super::fixture::{Recording, looked, planned};
use super::screens::to_run;
use super::script::{Act, enter, key, play, say, typed};
use crate::harness::variable;

/// A document of the repository.
pub(crate) fn page(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Whether documents are written instead of compared.
pub(crate) fn writes() -> bool {
    variable("MUSTER_WRITE_DOCS").is_some_and(|value| !value.is_empty())
}

/// What stands in a document between `<!-- name -->` and the next `<!-- end -->`.
pub(crate) fn block<'a>(text: &'a str, name: &str) -> &'a str {
    let begin = format!("<!-- {name} -->\n");
    let (_, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("there is no {begin}"));
    rest.split_once("<!-- end -->").unwrap_or_else(|| panic!("{begin} has no end")).0
}

/// A document with something else there.
pub(crate) fn with_block(text: &str, name: &str, content: &str) -> String {
    text.replacen(
        &format!("<!-- {name} -->\n{}<!-- end -->", block(text, name)),
        &format!("<!-- {name} -->\n{content}<!-- end -->"),
        1,
    )
}

/// A screen as a document shows it.
pub(crate) fn fenced(screen: &str) -> String {
    format!("```\n{}\n```\n", screen.trim_end())
}

fn screen(script: &[Vec<Act>]) -> String {
    fenced(&play((80, 24), Look::FULL, script.concat()).screen)
}

fn to_plan() -> Vec<Act> {
    [say(looked()), typed("p"), say(planned())].concat()
}

fn running() -> Vec<Act> {
    let mut run = Recording::begin();
    run.delivered().wave(1, &["eu-1"]).proven(3, "eu-1").wave(2, &["eu-2", "eu-3"]);
    run.started(4, "eu-2", "activate", "request-tag, acme-auth");
    run.phase(4, "eu-2", StepPhase::Prove, "still loading (2 old workers answer)");
    run.waiting("eu-2", "to prove its reload", 30);
    [to_run(), run.acts, vec![Act::Wait(20)]].concat()
}

fn over() -> Vec<Act> {
    let mut run = Recording::begin();
    run.delivered().wave(1, &["eu-1"]).proven(3, "eu-1").wave(2, &["eu-2", "eu-3"]).rolled_back(4, "eu-2");
    run.verdict(Verdict::NotReached);
    [to_run(), run.acts].concat()
}

/// The screens of docs/tui.md.
fn screens() -> Vec<(&'static str, String)> {
    vec![
        ("fleet", screen(&[say(looked()), typed("jjj")])),
        ("node", screen(&[say(looked()), typed("jjj"), enter()])),
        ("plan", screen(&[to_plan()])),
        ("question", screen(&[to_plan(), typed("aeu-pr")])),
        ("run", screen(&[running()])),
        ("verdict", screen(&[over()])),
        ("help", screen(&[say(looked()), typed("?")])),
        ("palette", screen(&[say(looked()), typed(":pl")])),
        ("commands", screen(&[to_plan(), typed("c"), key(KeyCode::Null)])),
    ]
}

/// The table of all keys.
fn keys() -> String {
    let row = |binding: &Binding| {
        let keys = binding.keys.iter().map(|key| format!("`{}`", key.words())).collect::<Vec<_>>().join(", ");
        let places = binding.places.iter().map(|place| place.name()).collect::<Vec<_>>().join(", ");
        let places = if places.is_empty() { "everywhere" } else { &places };
        format!("| {keys} | {} | {places} | {} |\n", binding.name, binding.words)
    };
    let rows: String = keymap::KEYMAP.iter().map(row).collect();
    format!("| key | action | screen | what it does |\n|---|---|---|---|\n{rows}")
}

#[test]
fn the_screens_and_keys_of_docs_tui_are_those_of_the_program() {
    let path = page("docs/tui.md");
    let text = fs::read_to_string(&path).unwrap();
    let made = screens().into_iter().map(|(name, screen)| (format!("screen: {name}"), screen));
    let blocks: Vec<(String, String)> = made.chain([("keys".to_owned(), keys())]).collect();
    if writes() {
        let written = blocks.iter().fold(text, |text, (name, content)| with_block(&text, name, content));
        fs::write(&path, written).unwrap();
        return;
    }
    for (name, content) in blocks {
        assert!(
            block(&text, &name) == content,
            "{name} in docs/tui.md is stale; type: MUSTER_WRITE_DOCS=1 cargo test --test suite -- tui::docs\n{content}"
        );
    }
}

#[test]
fn a_block_is_found_and_replaced_and_nothing_else() {
    let text = "a\n<!-- one -->\nold\n<!-- end -->\nb\n<!-- two -->\n<!-- end -->\n";
    assert_eq!((block(text, "one"), block(text, "two")), ("old\n", ""));
    let written = with_block(&with_block(text, "two", "2\n"), "one", "new\n");
    assert_eq!(written, "a\n<!-- one -->\nnew\n<!-- end -->\nb\n<!-- two -->\n2\n<!-- end -->\n");
}
