//! A removal in the plan: its three steps, the rows that use the plugin, and how far this plan goes.

use super::plan::names;
use crate::action::Withdrawal;
use crate::plan::Removal;
use crate::survey::PluginRow;
use crate::tui::look::{Look, Tone};
use crate::tui::shown::{count, fit, width};
use crate::tui::text::{TextLine, hanging};

/// How many rows are listed; a row is a line.
const ROWS: usize = 100;
/// What stands before each step.
const INDENT: &str = "      ";

/// The three steps, each with where and how, and below the first the rows.
pub(super) fn lines(removal: &Removal, look: Look, columns: usize) -> Vec<TextLine> {
    let steps = [
        (Tone::Bad, "1 un-apply", unapply(removal)),
        (Tone::Plain, "2 directive", directive(removal)),
        (Tone::Plain, "3 files", files(removal)),
    ];
    let place = steps.iter().map(|(_, _, (place, _))| width(place)).max().unwrap_or_default().min(24);
    let step = |(tone, name, (at, how)): (Tone, &str, (String, String))| {
        let tone = if at == NOWHERE { Tone::Faint } else { tone };
        let lead = TextLine::new(Tone::Plain, &format!("{INDENT}{}  ", fit(name, 11, "")))
            .with(tone, &format!("{}  ", fit(&at, place, look.more())));
        hanging(&lead, tone, &how, columns)
    };
    let [first, second, third] = steps.map(step);
    let rows = row_lines(removal).flat_map(|row| {
        hanging(&TextLine::new(Tone::Plain, &format!("{INDENT}   {} ", look.dot())), Tone::Plain, &row, columns)
    });
    first.into_iter().chain(rows).chain(second).chain(third).collect()
}

const NOWHERE: &str = "none";

fn unapply(removal: &Removal) -> (String, String) {
    let all = removal.rows.values().map(Vec::len).sum::<usize>();
    let rows = count(all, "row");
    match removal.how {
        None if all == 0 => (NOWHERE.to_owned(), "no row uses it".to_owned()),
        None => (NOWHERE.to_owned(), format!("held, see below; used by {rows}:")),
        Some(Withdrawal::Delete) => ("once".to_owned(), format!("DELETES {rows}, kept in the undo bundle:")),
        Some(Withdrawal::Disable) => ("once".to_owned(), format!("DISABLES {} of {rows}:", removal.withdraws())),
    }
}

fn directive(removal: &Removal) -> (String, String) {
    let how = match removal.directive.len() {
        0 if removal.held.is_empty() => "no node lists it",
        0 => "held, see below",
        1 => "in its one reload; rows are counted again right before",
        _ => "in the one reload of each; rows are counted again right before each",
    };
    (nodes(removal.directive.len()), how.to_owned())
}

fn files(removal: &Removal) -> (String, String) {
    let how = match (removal.files.len(), removal.proven_by) {
        (0, _) if removal.held.is_empty() => "none of ours are left".to_owned(),
        (0, _) => "held, see below".to_owned(),
        (_, 1) => "once it has proven step 2 and its old workers have ended".to_owned(),
        (_, all) => format!("once all {all} have proven step 2 and their old workers have ended"),
    };
    (nodes(removal.files.len()), how)
}

fn nodes(number: usize) -> String {
    if number == 0 { NOWHERE.to_owned() } else { count(number, "node") }
}

/// What uses it: scope, workspace, disabled or not; the plugin where there are several.
fn row_lines(removal: &Removal) -> impl Iterator<Item = String> {
    let named = removal.rows.len() > 1;
    let all = removal.rows.iter().flat_map(|(plugin, rows)| rows.iter().map(move |row| (plugin, row)));
    let lines = all.map(move |(plugin, row)| if named { format!("{plugin}: {}", row.words()) } else { row.words() });
    let more = removal.rows.values().map(Vec::len).sum::<usize>().saturating_sub(ROWS);
    lines.take(ROWS).chain((more > 0).then(|| format!("and {more} more; muster --plan --format json has them all")))
}

/// What will be lost, for the question before a run: rows, then files, then the directive.
pub(crate) fn losses(removal: &Removal, place: &str) -> [Option<String>; 3] {
    let name = &removal.name;
    let rows = match removal.how {
        _ if removal.withdraws() == 0 => None,
        Some(Withdrawal::Disable) => {
            let disabled = removal.rows.values().flatten().filter(|row| row.enabled).map(PluginRow::words);
            Some(format!("disables {name} in {}", places(place, disabled.collect())))
        }
        Some(Withdrawal::Delete) | None => {
            let gone = removal.rows.values().flatten().map(PluginRow::words);
            Some(format!("un-applies {name} from {}", places(place, gone.collect())))
        }
    };
    let on = |nodes: &[crate::name::NodeName]| {
        let all = names(nodes);
        if width(&all) <= 30 { all } else { count(nodes.len(), "node") }
    };
    let some = |nodes: &[crate::name::NodeName], words: String| (!nodes.is_empty()).then_some(words);
    [
        rows,
        some(&removal.files, format!("deletes the files of {name} on {}", on(&removal.files))),
        some(&removal.directive, format!("takes {name} out of the directive on {}", on(&removal.directive))),
    ]
}

/// How many of them a question names.
const PLACES: usize = 4;

fn places(place: &str, mut words: Vec<String>) -> String {
    let all = words.len();
    let more = all.saturating_sub(PLACES);
    words.truncate(PLACES);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{place}: {}{more}", count(all, "place"), words.join("; "))
}
