//! The rows of a run that belong to a whole cluster: the un-apply before its waves, the fence before its files go.

use jiff::Timestamp;

use super::run::cause_lines;
use crate::hint::Hint;
use crate::name::ClusterName;
use crate::plan::StepId;
use crate::run::{ClusterStep, SkipReason, StepEnd};
use crate::tui::look::{Look, Tone, tone_of};
use crate::tui::screen::{Expected, Watched};
use crate::tui::shown::{clip, fit, width};
use crate::tui::text::{TextLine, hanging};

/// The widest name of a row: what happens needs more room than what it is called.
const NAME: usize = 34;
/// The mark, or the seconds since it began.
const CELL: usize = 7;

/// Its row: name, mark or time, and what happens.
pub(super) fn row(
    run: &Watched,
    cluster: &ClusterName,
    step: StepId,
    lead: &str,
    clock: Timestamp,
    look: Look,
) -> TextLine {
    let Some(expected) = run.expected(cluster, step) else { return TextLine::new(Tone::Plain, lead) };
    let state = run.step(cluster, step);
    let name = run.all_expected().map(|expected| width(&expected.words())).max().unwrap_or_default().min(NAME);
    let tone = tone(run, state);
    let cell = match (state, mark(run, state)) {
        (Some(ClusterStep { since: Some(since), .. }), ' ') => elapsed(*since, clock),
        (_, mark) => mark.to_string(),
    };
    TextLine::new(Tone::Plain, &format!("{lead}{}  ", fit(&expected.words(), name, look.more())))
        .with(tone, &fit(&cell, CELL, ""))
        .with(tone, &words(run, expected, state))
}

/// Time since then, as a cell has room for.
pub(super) fn elapsed(since: Timestamp, clock: Timestamp) -> String {
    length((clock.as_second() - since.as_second()).max(0))
}

/// So many seconds, as a cell has room for.
pub(super) fn length(seconds: i64) -> String {
    match seconds {
        seconds @ ..1000 => format!("{seconds} s"),
        seconds => format!("{} min", seconds / 60),
    }
}

/// `=` it holds, `x` failed, `?` unknown, `.` held or not begun, space before its end.
fn mark(run: &Watched, state: Option<&ClusterStep>) -> char {
    let Some(state) = state else { return if run.is_on() { ' ' } else { '.' } };
    match &state.end {
        None if run.is_on() => ' ',
        None | Some(StepEnd::Unknown { .. }) => '?',
        Some(StepEnd::Done { .. }) => '=',
        Some(StepEnd::Failed { .. }) => 'x',
        Some(StepEnd::RolledBack { .. }) => '<',
        Some(StepEnd::Skipped { .. }) => '.',
    }
}

fn tone(run: &Watched, state: Option<&ClusterStep>) -> Tone {
    match state {
        Some(state) if is_held(state) => Tone::Unknown,
        Some(state) if state.running() && run.is_on() => Tone::Change,
        _ => tone_of(mark(run, state)),
    }
}

fn is_held(state: &ClusterStep) -> bool {
    matches!(&state.end, Some(StepEnd::Skipped { why: SkipReason::Held { .. } }))
}

/// Whether a step of a whole cluster waits for something outside the run, and nothing else went wrong.
pub(super) fn any_held(run: &Watched) -> bool {
    let well = !run.state.nodes.values().any(|node| node.fate.is_bad());
    well && run.state.cluster_steps.values().flatten().any(is_held)
}

/// What happens, or what came of it, behind the name.
fn words(run: &Watched, expected: &Expected, state: Option<&ClusterStep>) -> String {
    match state {
        None if !run.is_on() => "was not begun".to_owned(),
        None if expected.is_fence() => "once every node is without it".to_owned(),
        None => "before the first wave".to_owned(),
        Some(ClusterStep { end: Some(StepEnd::Skipped { why }), .. }) => match why {
            SkipReason::Held { .. } => why.words(),
            _ => format!("not begun: {}", why.words()),
        },
        Some(state) if state.now.is_empty() => if state.running() { "begun" } else { "done" }.to_owned(),
        Some(state) => {
            // The name of the row says the rest.
            let said = format!("un-applied {}: ", expected.about());
            state.now.strip_prefix(&said).unwrap_or(&state.now).to_owned()
        }
    }
}

/// All that is known of it: what came of it, its cause and what to do, and what it means for the steps behind it.
pub(super) fn lines(run: &Watched, cluster: &ClusterName, step: StepId, columns: usize) -> Vec<TextLine> {
    let Some(expected) = run.expected(cluster, step) else { return Vec::new() };
    let state = run.step(cluster, step);
    let head = TextLine::new(Tone::Head, &format!(" {}  ", clip(&expected.words(), columns / 2, "")));
    let cause = state.and_then(|state| match state.end.as_ref()? {
        StepEnd::Failed { cause } | StepEnd::Unknown { cause } | StepEnd::RolledBack { cause } => Some(cause),
        StepEnd::Done { .. } | StepEnd::Skipped { .. } => None,
    });
    let now = match (cause, state.map(|state| &state.end)) {
        // What the cause says stands in the lines below.
        (Some(_), Some(Some(StepEnd::Unknown { .. }))) => "unknown until it is looked at again".to_owned(),
        (Some(_), _) => "failed".to_owned(),
        (None, _) => words(run, expected, state),
    };
    let mut lines = hanging(&head, tone(run, state), &now, columns);
    lines.extend(cause.into_iter().flat_map(|cause| cause_lines(cause, columns)));
    lines.extend(meaning(run, expected, state, columns));
    lines.extend(added_lines(run, cluster, columns));
    lines
}

/// What it means for what comes next, and the way back.
fn meaning(run: &Watched, expected: &Expected, state: Option<&ClusterStep>, columns: usize) -> Vec<TextLine> {
    let meaning = TextLine::new(Tone::Head, "   it means    ");
    let after = |words: &str| hanging(&meaning, Tone::Plain, words, columns);
    match (expected.is_fence(), state) {
        (false, Some(state)) if state.changed() => {
            let back = run.state.head.as_ref().map(|head| format!("muster restore-rows {}", head.run));
            let lead = TextLine::new(Tone::Head, "   way back    ");
            let words = format!("{}; it shows the rows first", Hint::type_(back.unwrap_or_default()));
            hanging(&lead, Tone::Plain, &words, columns)
        }
        (true, Some(state)) if is_held(state) => {
            after("no file was deleted; once what holds it is gone, the next run deletes them: p plans it")
        }
        (true, Some(state)) if state.running() && run.is_on() => after(
            "files go once no row, no directive and no worker of any node has it; nothing is changed while it waits",
        ),
        _ => Vec::new(),
    }
}

/// That steps were added, in a few words.
pub(super) fn put_back_words(run: &Watched) -> &'static str {
    if run.is_on() { "putting back: somebody uses it again" } else { "was put back: somebody used it again" }
}

/// Why steps were added to a cluster.
pub(super) fn added_lines(run: &Watched, cluster: &ClusterName, columns: usize) -> Vec<TextLine> {
    let Some(cause) = run.state.added.get(cluster) else { return Vec::new() };
    let head = TextLine::new(Tone::Bad, "   put back    ");
    let indent = TextLine::new(Tone::Plain, "               ");
    let mut lines = hanging(&head, Tone::Bad, &cause.text, columns);
    lines.extend(cause.details.last().into_iter().flat_map(|line| hanging(&indent, Tone::Plain, line, columns)));
    lines
}
