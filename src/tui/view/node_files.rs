//! The files of a node: by plugin, in the order of their paths, each with its state.

use super::node::{Composer, line_of, plain};
use crate::diff::{FileState, Mark, PluginFiles};
use crate::tui::look::{Tone, tone_of};
use crate::tui::screen::{Fold, NodeLine, Target};
use crate::tui::shown::{fit, width};
use crate::tui::text::TextLine;

/// The widest column of names; a longer name pushes what is said of it to the right.
const NAME: usize = 40;

/// How many files are in which state, worst first, and whether any of them is one to look at.
pub(super) fn counted(plugins: &[PluginFiles]) -> (String, bool) {
    words(plugins.iter().flat_map(|plugin| &plugin.files))
}

fn words<'a>(files: impl Iterator<Item = &'a FileState>) -> (String, bool) {
    const ORDER: [(Mark, &str); 6] = [
        (Mark::Unknown, "unknown"),
        (Mark::Differs, "different"),
        (Mark::Missing, "missing"),
        (Mark::Extra, "not wanted"),
        (Mark::AsWanted, "as wanted"),
        (Mark::Absent, "absent"),
    ];
    let states: Vec<Mark> = files.map(|file| file.state).collect();
    let of = |(mark, word): &(Mark, &str)| {
        let number = states.iter().filter(|state| *state == mark).count();
        (number > 0).then(|| format!("{number} {word}"))
    };
    let parts: Vec<String> = ORDER.iter().filter_map(of).collect();
    let odd = states.iter().any(|state| *state != Mark::AsWanted);
    (if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }, odd)
}

/// The lines of all plugins.
pub(super) fn lines(composer: &Composer<'_>, plugins: &[PluginFiles]) -> Vec<NodeLine> {
    let lines: Vec<NodeLine> = plugins.iter().flat_map(|plugin| of_plugin(composer, plugin)).collect();
    if lines.is_empty() {
        return vec![plain(TextLine::new(Tone::Faint, "    the inventory assigns nothing to this node"))];
    }
    lines
}

fn of_plugin(composer: &Composer<'_>, plugin: &PluginFiles) -> Vec<NodeLine> {
    let fold = Fold::Files(plugin.name.clone());
    let (words, odd) = words(plugin.files.iter());
    let open = composer.screen.is_open(&fold, odd && !plugin.files.is_empty());
    let version = plugin.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let head = TextLine::new(Tone::Head, &format!("  {} {}{version}  ", composer.look.fold(open), plugin.name));
    let tone = if odd { Tone::Change } else { Tone::Faint };
    let mut lines = vec![line_of(head.with(tone, &words), Target::Fold(fold))];
    if !open {
        return lines;
    }
    let mut above = "";
    // The files of a directory before those of the directories in it.
    let mut files: Vec<(&str, &str, &FileState)> = plugin.files.iter().map(place).collect();
    files.sort_by_key(|(dir, name, _)| (*dir, *name));
    for (dir, name, file) in files {
        if dir != above {
            above = dir;
            lines.push(plain(TextLine::new(Tone::Faint, &format!("      {dir}/"))));
        }
        lines.push(of_file(composer, plugin, file, name));
    }
    if plugin.cut {
        lines.push(plain(TextLine::new(Tone::Unknown, "    ? there are more files than a look reads")));
    }
    if plugin.files.is_empty() {
        lines.push(plain(TextLine::new(Tone::Faint, "      no file is there")));
    }
    lines
}

fn place(file: &FileState) -> (&str, &str, &FileState) {
    let (dir, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    (dir, name, file)
}

fn of_file(composer: &Composer<'_>, plugin: &PluginFiles, file: &FileState, name: &str) -> NodeLine {
    let sign = file.state.sign();
    let said = match file.state {
        Mark::AsWanted | Mark::Absent => "",
        Mark::Missing => "missing",
        Mark::Differs => "different, enter shows how",
        Mark::Extra => "not wanted",
        Mark::Unknown => "unknown",
    };
    let said = file.kind.unwrap_or(said);
    let room = composer.columns.saturating_sub(10 + width(said)).min(NAME);
    let text = TextLine::new(tone_of(sign), &format!("    {sign} "))
        .with(Tone::Plain, &format!("  {}  ", fit(name, room.max(8), composer.look.more())))
        .with(tone_of(sign), said);
    line_of(text, Target::File(plugin.name.clone(), file.path.clone()))
}
