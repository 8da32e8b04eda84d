//! Where the settings of a node come from: every place, the weakest first, which of them counts for what, and what follows.

use super::node::{Composer, line_of, plain};
use crate::diff::{Disagreement, Inspection, Link, SettingOrigin};
use crate::tui::look::Tone;
use crate::tui::screen::{Fold, NodeLine, Target};
use crate::tui::shown::width;
use crate::tui::text::TextLine;

/// Where the words below a place begin.
const BELOW: &str = "          ";

/// What stands behind the heading.
pub(super) fn counted(settings: &[SettingOrigin]) -> &'static str {
    match settings.iter().filter(|setting| setting.is_odd()).count() {
        _ if settings.is_empty() => "not known",
        0 => "every place says the same",
        _ => "places differ",
    }
}

/// The lines of both settings.
pub(super) fn lines(composer: &Composer<'_>, found: &Inspection) -> Vec<NodeLine> {
    if found.settings.is_empty() {
        return vec![plain(TextLine::new(Tone::Unknown, "    not known: the node could not be seen"))];
    }
    // A plan that writes the directive is where somebody asks which of several files that is.
    let edits = found.planned.directive.is_some();
    let all = found.settings.iter();
    all.flat_map(|setting| of_setting(composer, setting, edits && setting.chain.key == "plugins")).collect()
}

fn of_setting(composer: &Composer<'_>, setting: &SettingOrigin, edited: bool) -> Vec<NodeLine> {
    let chain = &setting.chain;
    let fold = Fold::Setting(chain.key);
    let open = composer.screen.is_open(&fold, composer.screen.origins || setting.is_odd() || edited);
    let decides = format!("the next start has it from {}", chain.origin.words());
    let tone = if setting.is_odd() { Tone::Change } else { Tone::Faint };
    let head = TextLine::new(Tone::Head, &format!("  {} {}  ", composer.look.fold(open), chain.key));
    let mut lines = vec![line_of(head.with(tone, &decides), Target::Fold(fold))];
    if !open {
        return lines;
    }
    lines.extend(chain.links.iter().flat_map(|link| place(composer, link)));
    if let Some(hand) = &chain.by_hand {
        let words = format!("a prepare typed into a shell has not the environment of the service: {hand}");
        lines.extend(composer.hanging(&TextLine::new(Tone::Change, "    ! "), Tone::Change, &words));
    }
    if let Some(reaches) = &setting.reaches {
        let (mark, tone) = if setting.lacks.is_empty() { ("=", Tone::Good) } else { ("!", Tone::Change) };
        let lead = TextLine::new(tone, &format!("    {mark} "));
        lines.extend(composer.hanging(&lead, Tone::Plain, &reaches.words()));
    }
    lines.extend(setting.lacks.iter().flat_map(|lack| odd(composer, &lack.what, &lack.fix)));
    let differs = setting.disagreement.iter();
    lines.extend(differs.flat_map(|Disagreement { what, fix, .. }| odd(composer, what, fix)));
    lines
}

/// A place with its value, and what that is for. `=` stands before a place that counts: for the next start, the next reload, or
/// now.
fn place(composer: &Composer<'_>, link: &Link) -> Vec<NodeLine> {
    let (mark, tone) = if link.counts { ("=", Tone::Good) } else { (" ", Tone::Faint) };
    let number = link.line.map(|number| format!(":{number}")).unwrap_or_default();
    let at = format!("{}{number}", link.at);
    let lead = TextLine::new(tone, &format!("    {mark} "));
    let below = TextLine::new(Tone::Plain, BELOW);
    let text = if link.counts { Tone::Plain } else { Tone::Faint };
    let mut lines = match &link.value {
        Some(value) if lead.width() + width(&at) + 2 + width(value) <= composer.columns => {
            vec![plain(lead.with(text, &format!("{at}  ")).with(text, value))]
        }
        Some(value) => {
            let mut lines = composer.hanging(&lead, text, &at);
            lines.extend(composer.hanging(&below, text, value));
            lines
        }
        None => composer.hanging(&lead, text, &at),
    };
    lines.extend(composer.hanging(&below, Tone::Faint, &link.why));
    lines
}

fn odd(composer: &Composer<'_>, what: &str, fix: &str) -> Vec<NodeLine> {
    let mut lines = composer.hanging(&TextLine::new(Tone::Change, "    ! "), Tone::Change, what);
    lines.extend(composer.hanging(&TextLine::new(Tone::Plain, "      "), Tone::Plain, fix));
    lines
}
