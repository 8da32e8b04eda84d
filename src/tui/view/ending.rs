//! What a run came to: the verdict, what to do next, what is held and what releases it, and all of it as a block to paste.

use crate::name::collapse;
use crate::run::{Pause, Verdict};
use crate::tui::look::Tone;
use crate::tui::model::Model;
use crate::tui::screen::Watched;
use crate::tui::shown::{count, wrap};
use crate::tui::steer;
use crate::tui::text::{TextLine, hanging};

use super::run::cause_lines;
use super::{replay, steps};

/// How many lines of what still differs are shown; the ticket and the fleet have more.
const LEFT: usize = 3;

/// The verdict with what a look afterwards found, and a pause that it ended in.
pub(super) fn verdict_line(run: &Watched, verdict: Verdict) -> TextLine {
    let tone = if verdict.exit() == 0 { Tone::Good } else { Tone::Bad };
    let mut line = TextLine::new(tone, &format!(" verdict: {}", verdict.word()))
        .with(Tone::Plain, &format!(", exit {}", verdict.exit()));
    if let Some(pause) = run.state.pause.as_ref().filter(|pause| pause.since.is_some()) {
        line = line.with(Tone::Plain, &format!("; {}", pause.words()));
    }
    let Some((counts, _)) = &run.state.looked else { return line };
    let parts = [
        (counts.unknown, "unknown"),
        (counts.blocked, "blocked"),
        (counts.drift, "drift"),
        (counts.in_line - counts.stopped.min(counts.in_line), "in line"),
        (counts.stopped, "stopped"),
    ];
    let parts: Vec<String> =
        parts.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}")).collect();
    line.with(Tone::Plain, &format!("; looked again: {}", parts.join(", ")))
}

/// What to do next, once the run is over: what is held, and why clusters were stopped.
pub(super) fn end_lines(model: &Model, run: &Watched, columns: usize) -> Vec<TextLine> {
    let Some(verdict) = run.verdict() else { return Vec::new() };
    let (first, others) = (TextLine::new(Tone::Head, " next        "), TextLine::new(Tone::Plain, &" ".repeat(13)));
    let mut lines = Vec::new();
    let past = replay::next_words(model, verdict).map(|words| vec![words]);
    for words in past.unwrap_or_else(|| next_words(run, verdict)) {
        let lead = if lines.is_empty() { &first } else { &others };
        lines.extend(hanging(lead, Tone::Plain, &words, columns));
    }
    for (cluster, why) in &run.state.stopped {
        lines.extend(hanging(&TextLine::new(Tone::Bad, &format!(" {cluster} stopped: ")), Tone::Plain, why, columns));
    }
    for held in run.state.held() {
        let words = format!("{}: {}; {}", held.what, held.why, held.release);
        lines.extend(hanging(&TextLine::new(Tone::Unknown, " held: "), Tone::Plain, &words, columns));
    }
    if let Some(cause) = &run.state.refused {
        lines.extend(cause_lines(cause, columns));
    }
    lines
}

/// What still differs, once the run is over.
pub(super) fn left_lines(run: &Watched, columns: usize) -> Vec<TextLine> {
    let mut lines = Vec::new();
    let left: Vec<&str> = run.state.still_differs().collect();
    for line in left.iter().take(LEFT) {
        lines.extend(hanging(&TextLine::new(Tone::Unknown, " still differs: "), Tone::Plain, line, columns));
    }
    if left.len() > LEFT {
        let more = format!(" and {} more; esc goes to the fleet, which shows them", left.len() - LEFT);
        lines.push(TextLine::new(Tone::Faint, &more));
    }
    lines
}

/// What to do after a verdict, one thing after the other; a command stands alone, so that it is not broken.
fn next_words(run: &Watched, verdict: Verdict) -> Vec<String> {
    let fixed = match verdict {
        Verdict::InLine => "nothing: every node was in line already",
        Verdict::Converged => "nothing: every node was looked at again and is in line",
        Verdict::Pending => "some nodes were not changed: p makes a plan for what is left",
        Verdict::Incomplete => "reach the nodes that are unknown, r in the fleet looks again, p plans for them",
        Verdict::Refused => "a safety rule forbids it: the plan names it, with what to do",
        Verdict::Locked => "another run holds nodes: wait for it to end, then p",
        Verdict::NotStarted(_) => "nothing was changed: mend what is named, then p",
        Verdict::NotReached => return not_reached(run),
        Verdict::Interrupted => return interrupted(run),
    };
    vec![fixed.to_owned()]
}

fn not_reached(run: &Watched) -> Vec<String> {
    let failed = run.failed().len();
    if failed > 0 {
        let those = if failed == 1 { "that node".to_owned() } else { format!("those {}", count(failed, "node")) };
        return vec![format!(
            "mend what failed (n), then R plans {those} again, p all that is left; a new commit is read by a new start of \
             muster"
        )];
    }
    let skipped = run.state.nodes.iter().filter(|(_, node)| node.skipped_by.is_some()).map(|(name, _)| name);
    let skipped = collapse(skipped);
    if !skipped.is_empty() {
        return vec![format!("p plans what is left, with {skipped}, which you had skipped")];
    }
    if run.state.stopped.is_empty() && steps::any_held(run) {
        return vec!["n goes to what is held; once that is gone, p plans what is left".to_owned()];
    }
    vec!["p plans what is left".to_owned()]
}

/// The journal knows the commit and the selection: whoever goes on elsewhere, or later, goes on with the same.
fn interrupted(run: &Watched) -> Vec<String> {
    let resume = run.state.head.as_ref().map(|head| format!("from a shell: muster resume {}", head.run));
    std::iter::once("it was stopped: p plans what is left".to_owned()).chain(resume).collect()
}

/// What became of the run, to paste: nothing stands before a line, and what is too long for the screen goes on below.
pub(super) fn ticket_lines(model: &Model, columns: usize) -> Vec<TextLine> {
    let lines = steer::ticket_lines(model);
    lines.iter().flat_map(|line| wrap(line, columns)).map(|line| TextLine::new(Tone::Plain, &line)).collect()
}

/// What a pause says in the second line of the run.
pub(super) fn pause_words(pause: &Pause, seconds: i64) -> String {
    match pause.since {
        Some(_) => format!("{}, for {seconds} s: space goes on", pause.words()),
        // Who asked is who looks at this; the text and the journal say it.
        None => "pause after this wave  ".to_owned(),
    }
}
