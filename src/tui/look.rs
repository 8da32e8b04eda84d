//! How things look: the glyphs and the styles. Colour never says anything that a mark or a word does not say too.

use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;

/// What the terminal can show, found by the caller from the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The locale is UTF-8 and the terminal is not the Linux console: box drawing and arrows may be used.
    pub unicode: bool,
    /// Colours may be used: `NO_COLOR` is not set.
    pub colour: bool,
}

/// What a piece of text is, for its style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Ordinary.
    Plain,
    /// A heading.
    Head,
    /// Less important: rules, key hints, times.
    Faint,
    /// As wanted, proven.
    Good,
    /// Differs, or is under way.
    Change,
    /// Failed, rolled back, will be lost.
    Bad,
    /// Not known, or waiting for somebody.
    Unknown,
    /// A word of a language, or the key of a setting.
    Keyword,
    /// A string or a number in code.
    Literal,
}

impl Look {
    /// Everything that a modern terminal can do.
    pub const FULL: Self = Self { unicode: true, colour: true };
    /// ASCII without colour.
    pub const PLAIN: Self = Self { unicode: false, colour: false };

    /// From the values of `LC_ALL`, `LC_CTYPE`, `LANG`, `TERM` and `NO_COLOR`, empty where not set. The first locale that
    /// is set decides, as for every other program; the Linux console has too few glyphs (crates.md 4).
    pub fn from_environment(var: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| var(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| set(name)).unwrap_or_default();
        let locale = locale.to_ascii_uppercase();
        let utf8 = locale.contains("UTF-8") || locale.contains("UTF8");
        let term = set("TERM").unwrap_or_default();
        Self { unicode: utf8 && term != "linux" && term != "dumb", colour: set("NO_COLOR").is_none() && term != "dumb" }
    }

    const fn pick(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.unicode { unicode } else { ascii }
    }

    /// A cluster that is unfolded, folded.
    pub const fn fold(self, open: bool) -> &'static str {
        if open { self.pick("▾", "v") } else { self.pick("▸", ">") }
    }

    /// What stands before the row under the cursor.
    pub const fn cursor(self) -> &'static str {
        self.pick("›", ">")
    }

    /// To the left, to the right: there is more.
    pub const fn sides(self) -> (&'static str, &'static str) {
        (self.pick("‹", "<"), self.pick("›", ">"))
    }

    /// What stands before a row that is selected.
    pub const fn selected(self) -> &'static str {
        self.pick("●", "#")
    }

    /// A rule, one column of it.
    pub const fn rule(self) -> &'static str {
        self.pick("─", "-")
    }

    /// Done and not done, one column of a bar.
    pub const fn bar(self) -> (&'static str, &'static str) {
        (self.pick("█", "#"), self.pick("░", "."))
    }

    /// Between two facts of a line.
    pub const fn dot(self) -> &'static str {
        self.pick("·", "-")
    }

    /// Between two sides.
    pub const fn between(self) -> &'static str {
        self.pick("│", "|")
    }

    /// Text was cut here.
    pub const fn more(self) -> &'static str {
        self.pick("…", "~")
    }

    /// From one to the other.
    pub const fn to(self) -> &'static str {
        self.pick("→", "->")
    }

    /// The border of a dialog.
    pub const fn border(self) -> border::Set<'static> {
        if self.unicode { border::PLAIN } else { ASCII_BORDER }
    }

    /// The style of a tone, from the terminal's own sixteen colours.
    pub fn style(self, tone: Tone) -> Style {
        let (colour, modifier) = match tone {
            Tone::Plain => (None, Modifier::empty()),
            Tone::Head => (None, Modifier::BOLD),
            Tone::Faint => (None, Modifier::DIM),
            Tone::Good => (Some(Color::Green), Modifier::empty()),
            Tone::Change | Tone::Literal => (Some(Color::Yellow), Modifier::empty()),
            Tone::Bad => (Some(Color::LightRed), Modifier::BOLD),
            Tone::Unknown => (Some(Color::LightMagenta), Modifier::empty()),
            Tone::Keyword => (Some(Color::Cyan), Modifier::empty()),
        };
        let style = Style::new().add_modifier(modifier);
        match colour.filter(|_| self.colour) {
            Some(colour) => style.fg(colour),
            None => style,
        }
    }
}

/// The tone of a mark (screens.md, "The marks").
pub(super) const fn tone_of(mark: char) -> Tone {
    match mark {
        '=' => Tone::Good,
        '~' | '-' | '+' | '*' => Tone::Change,
        'x' | '<' | '!' => Tone::Bad,
        '?' => Tone::Unknown,
        '.' => Tone::Faint,
        _ => Tone::Plain,
    }
}

const ASCII_BORDER: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

#[cfg(test)]
mod tests {
    use super::*;

    fn look(vars: &[(&str, &str)]) -> Look {
        Look::from_environment(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn the_first_locale_that_is_set_decides() {
        assert!(look(&[("LANG", "en_US.UTF-8")]).unicode);
        assert!(look(&[("LANG", "C"), ("LC_ALL", "C.utf8")]).unicode);
        assert!(!look(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]).unicode);
        assert!(look(&[("LC_ALL", ""), ("LANG", "en_US.UTF-8")]).unicode);
        assert!(!look(&[("LANG", "en_US.UTF-8"), ("TERM", "linux")]).unicode);
        assert!(!look(&[]).unicode);
    }

    #[test]
    fn no_color_counts_when_it_is_not_empty() {
        assert!(!look(&[("NO_COLOR", "1")]).colour);
        assert!(look(&[("NO_COLOR", "")]).colour);
        assert!(look(&[]).colour);
    }

    #[test]
    fn without_colour_no_style_has_one() {
        let tones = [Tone::Plain, Tone::Head, Tone::Faint, Tone::Good, Tone::Change, Tone::Bad, Tone::Unknown];
        assert!(tones.iter().all(|tone| Look::PLAIN.style(*tone).fg.is_none()));
        assert!(tones.iter().any(|tone| Look::FULL.style(*tone).fg.is_some()));
    }
}
