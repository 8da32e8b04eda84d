//! The demo as somebody meets it who has read nothing: what the bottom line and the questions say is all that is known.

use std::time::{Duration, Instant};

use super::demo::assert_nothing_left;
use super::demo_tui::{LONG, start};
use crate::tui::docs::{block, fenced, page, with_block, writes};
use crate::tui::pty::Terminal;

/// What the bottom line offers: each key with the words behind it.
fn offered(screen: &vt100::Screen) -> Vec<(String, String)> {
    let contents = screen.contents();
    let last = contents.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    let pieces = last.split("  ").filter_map(|piece| piece.trim().split_once(' '));
    pieces.map(|(key, words)| (key.to_owned(), words.to_owned())).collect()
}

/// The bytes of a key, by its name on the screen.
fn bytes(key: &str) -> String {
    match key {
        "enter" => "\r".to_owned(),
        "esc" => "\x1b".to_owned(),
        "space" => " ".to_owned(),
        "tab" => "\t".to_owned(),
        letter => letter.to_owned(),
    }
}

/// Presses the key that the bottom line has for one of these words, the first of them that it has.
fn press(terminal: &mut Terminal, wanted: &[&str]) {
    let find = |screen: &vt100::Screen| {
        let offered = offered(screen);
        wanted.iter().find_map(|words| offered.iter().find(|(_, offer)| offer == words).map(|(key, _)| key.clone()))
    };
    terminal.within(LONG, &wanted.join(" or "), |screen| find(screen).is_some());
    let key = terminal.look(find).expect("it was there");
    terminal.send(&bytes(&key));
}

/// What a question wants to have typed: `type all to go on`.
fn word(screen: &vt100::Screen) -> Option<String> {
    let contents = screen.contents();
    let line = contents.lines().find(|line| line.contains("│ type ") || line.contains("| type "))?;
    let (_, rest) = line.split_once("type ")?;
    rest.split_once(" to go on").map(|(word, _)| word.to_owned())
}

#[tokio::test]
async fn somebody_without_a_manual_comes_from_start_to_converged_by_the_bottom_line_alone() {
    let (mut terminal, temp) = start();
    let began = Instant::now();
    press(&mut terminal, &["plan"]);
    press(&mut terminal, &["apply"]);
    terminal.until("a question that says what to type", |screen| word(screen).is_some());
    let word = terminal.look(word).expect("it was there");
    terminal.until("what happens to enter and esc", |screen| screen.contents().contains("enter: yes"));
    terminal.send(&format!("{word}\r"));
    terminal.within(LONG, "the verdict", |screen| screen.contents().contains("converged"));
    let took = began.elapsed();
    press(&mut terminal, &["quit"]);
    terminal.end("verdict: converged, exit 0");
    assert!(took < Duration::from_mins(1), "it took {} s", took.as_secs());
    assert_nothing_left(temp.path()).await;
}

/// The first lines of a screen, without what is another each time: the commit and the time of the look.
fn steady(screen: &str) -> String {
    let lines: Vec<&str> = screen.lines().take(11).map(str::trim_end).collect();
    let mut text = lines.join("\n") + "\n";
    for (before, length, shown) in [(" @ ", 7, "9b7695a"), ("looked ", 8, "14:48:27")] {
        let Some(at) = text.find(before).map(|at| at + before.len()) else { continue };
        if text.is_char_boundary(at + length) {
            text.replace_range(at..at + length, shown);
        }
    }
    text
}

#[tokio::test]
async fn the_screen_in_the_readme_is_that_of_the_demo() {
    let (mut terminal, temp) = start();
    let screen = terminal.look(vt100::Screen::contents);
    let shown = fenced(&steady(&screen));
    press(&mut terminal, &["quit"]);
    terminal.end("no run was begun");
    assert_nothing_left(temp.path()).await;
    let path = page("README.md");
    let text = std::fs::read_to_string(&path).unwrap();
    if writes() {
        std::fs::write(&path, with_block(&text, "screen: demo", &shown)).unwrap();
        return;
    }
    // How its nodes are reached depends on the machine.
    let without = |text: &str| text.lines().filter(|line| !line.contains("── demo: ")).collect::<Vec<_>>().join("\n");
    assert_eq!(
        without(block(&text, "screen: demo")),
        without(&shown),
        "README.md is stale; type: MUSTER_WRITE_DOCS=1 cargo test --test suite -- demo_keys"
    );
}
