//! A line that is typed below a screen, which shows at once what each letter does: a filter, a search.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What became of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pressed {
    /// It is typed on.
    Open,
    /// It was entered.
    Entered,
    /// It was given up; it is empty.
    GivenUp,
}

/// Takes a key in; the line never becomes longer than `most` characters.
pub(super) fn press(text: &mut String, key: &KeyEvent, most: usize) -> Pressed {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Enter => return Pressed::Entered,
        KeyCode::Esc => {
            text.clear();
            return Pressed::GivenUp;
        }
        KeyCode::Char('c') if control => {
            text.clear();
            return Pressed::GivenUp;
        }
        KeyCode::Backspace => drop(text.pop()),
        KeyCode::Char('u') if control => text.clear(),
        KeyCode::Char(c) if !control && text.chars().count() < most => text.push(c),
        _ => {}
    }
    Pressed::Open
}
