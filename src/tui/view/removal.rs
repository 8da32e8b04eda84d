//! A removal in the plan: its three steps, the rows that use the plugin, and how far this plan goes.

use super::plan::names;
use crate::action::Withdrawal;
use crate::plan::{At, Removal, RemovalStep};
use crate::survey::PluginRow;
use crate::tui::look::{Look, Tone};
use crate::tui::shown::{count, fit, width};
use crate::tui::text::{TextLine, hanging};

/// How many rows are listed; a row is a line.
const ROWS: usize = 100;
/// What stands before each step.
const INDENT: &str = "      ";

/// The three steps, each with where and how; below the first how far it reaches, and the rows.
pub(super) fn lines(removal: &Removal, look: Look, columns: usize) -> Vec<TextLine> {
    let steps = removal.steps();
    let place = steps.iter().map(|step| width(&place_words(step.at))).max().unwrap_or_default().min(24);
    let step = |step: &RemovalStep<'_>, tone: Tone| {
        let tone = if step.at == At::Nowhere { Tone::Faint } else { tone };
        let lead = TextLine::new(Tone::Plain, &format!("{INDENT}{}  ", fit(step.name, 11, "")))
            .with(tone, &format!("{}  ", fit(&place_words(step.at), place, look.more())));
        hanging(&lead, tone, &step.how, columns)
    };
    let below = |tone: Tone, lead: &str, text: &str| {
        hanging(&TextLine::new(tone, &format!("{INDENT}   {lead} ")), tone, text, columns)
    };
    let [first, second, third] = &steps;
    let mut lines = step(first, Tone::Bad);
    lines.extend(removal.reach().iter().flat_map(|line| below(Tone::Bad, "!", line)));
    lines.extend(removal.row_lines(ROWS).iter().flat_map(|row| below(Tone::Plain, look.dot(), row)));
    lines.extend(step(second, Tone::Plain));
    lines.extend(step(third, Tone::Plain));
    lines
}

fn place_words(at: At<'_>) -> String {
    match at {
        At::Nowhere => "none".to_owned(),
        At::Once => "once".to_owned(),
        At::Nodes(nodes) => count(nodes.len(), "node"),
    }
}

/// What will be lost, for the question before a run: rows, then files, then the directive.
pub(crate) fn losses(removal: &Removal, place: &str) -> [Option<String>; 3] {
    let name = &removal.name;
    let worst = || removal.worst_first().into_iter().map(|(_, row)| row);
    let rows = match removal.how {
        _ if removal.withdraws() == 0 => None,
        Some(Withdrawal::Disable) => {
            let disabled = worst().filter(|row| row.enabled).map(PluginRow::words);
            Some(format!("disables {name} in {}", places(place, disabled.collect())))
        }
        Some(Withdrawal::Delete) | None => {
            let deletes = format!(" (DELETES {})", count(removal.withdraws(), "row"));
            let words = places(&format!("{place}{deletes}"), worst().map(PluginRow::words).collect());
            Some(format!("un-applies {name} from {words}"))
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
