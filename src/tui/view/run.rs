//! The run: node by phase, what everything waits for, more about the node under the cursor, and the verdict.

use jiff::Timestamp;
use ratatui::layout::Rect;

use super::canvas::Canvas;
use super::{ending, pager, replay, steps};
use crate::name::{ClusterName, NodeName};
use crate::run::{CancelLevel, Cause, Cell, Counts, Fate, NodeRun};
use crate::tui::layout::Areas;
use crate::tui::logs::{Log, LogLine, Voice};
use crate::tui::look::{Look, Tone, tone_of};
use crate::tui::model::Model;
use crate::tui::screen::{RunRow, RunScreen, UnderWay, Watched, mark, note};
use crate::tui::shown::{clip, count, duration, fit, time_of_day, width};
use crate::tui::text::{TextLine, hanging};

/// How many lines of a node's log its page has; `enter` shows all of it.
const SAID: u64 = 100;
const PHASES: [&str; 6] = ["deliver", "guard", "reload", "prove", "commit", "files"];
/// From so many columns on the phases need not stand close.
const WIDE: usize = 100;
/// From so many on there is room for how long a node takes, and for the last line that it printed.
const WIDER: usize = 120;
/// The columns of the wave, and of how long it takes.
const WAVE: usize = 3;
const TIME: usize = 8;
const NAME: std::ops::RangeInclusive<usize> = 10..=26;

/// Draws the screen.
pub(super) fn draw(model: &Model, screen: &RunScreen, canvas: &mut Canvas<'_>, areas: &Areas) {
    let Some(run) = model.watched() else { return };
    let (counts, clock) = (run.state.counts(), model.now());
    canvas.ends(areas.head, 0, &title(run), &progress(run, counts, clock));
    match replay::no_verdict(model) {
        Some(line) => canvas.line(areas.head, 1, &line),
        None => second_line(run, clock, canvas, areas.head),
    }
    if run.rows.is_empty() {
        canvas.line(areas.body, 0, &TextLine::new(Tone::Plain, "  the run is being prepared"));
        return;
    }
    let columns = Columns::of(run, usize::from(areas.body.width));
    canvas.line(areas.columns, 0, &TextLine::new(Tone::Head, &columns.heads(run)));
    let window = screen.cursor.window(run.rows.len(), usize::from(areas.body.height));
    canvas.hidden(areas.body, &window, run.rows.len());
    for (y, at) in (0..).zip(window) {
        let is_here = at == screen.cursor.at;
        let line = row(run, &run.rows[at], columns, clock, is_here, canvas.look);
        canvas.line(areas.body, y, &line);
        if is_here {
            canvas.highlight(areas.body, y);
        }
    }
    draw_pane(model, run, screen, canvas, areas.pane);
}

/// How wide the columns are; scrolling does not move them.
#[derive(Debug, Clone, Copy)]
struct Columns {
    name: usize,
    wide: bool,
    /// What happens now, where the time and the last line stand beside it.
    now: Option<usize>,
}

impl Columns {
    fn of(run: &Watched, width: usize) -> Self {
        let name = run.name_width.clamp(*NAME.start(), *NAME.end()) + 2;
        let wide = width >= WIDE && !(WIDER..WIDER + 20).contains(&width);
        let columns = Self { name, wide, now: None };
        let taken = lead_of(run) + name + WAVE + PHASES.iter().map(|phase| columns.phase(phase)).sum::<usize>() + TIME;
        Self { now: (width >= WIDER).then(|| width.saturating_sub(taken) / 2), ..columns }
    }

    /// How wide the column of a phase is: on a narrow screen what happens now needs the room.
    const fn phase(self, phase: &str) -> usize {
        if self.wide { 9 } else { phase.len() + 1 }
    }

    fn heads(self, run: &Watched) -> String {
        let phases = PHASES.map(|phase| fit(phase, self.phase(phase), "")).concat();
        let lead = format!("{}{}{}{phases}", " ".repeat(lead_of(run)), fit("NODE", self.name, ""), fit("W", WAVE, ""));
        match self.now {
            Some(now) => format!("{lead}{}{}LAST LINE", fit("TIME", TIME, ""), fit("NOW", now, "")),
            None => format!("{lead}NOW"),
        }
    }
}

/// What stands before a node's name: nodes hang under the heading of their cluster, where there are several.
fn lead_of(run: &Watched) -> usize {
    if matches!(run.rows.first(), Some(RunRow::Cluster(_))) { 4 } else { 2 }
}

fn title(run: &Watched) -> TextLine {
    match &run.state.head {
        None => TextLine::new(Tone::Head, " run"),
        Some(head) => {
            let clusters = match run.busy().as_slice() {
                [only] => only.to_string(),
                all => count(all.len(), "cluster"),
            };
            TextLine::new(Tone::Head, &format!(" run {}", head.run.short()))
                .with(Tone::Plain, &format!("  {clusters}"))
                .with(Tone::Faint, &format!("  @ {}", head.revision.short()))
        }
    }
}

fn progress(run: &Watched, counts: Counts, clock: Timestamp) -> TextLine {
    let mut line = TextLine::default();
    if let Some(wave) = wave_words(run) {
        line = line.with(Tone::Plain, &format!("{wave}   "));
    }
    let proven = run.proven();
    let tone = if proven + counts.edited == counts.total { Tone::Good } else { Tone::Plain };
    if counts.total > 0 {
        line = line.with(tone, &format!("{proven}/{} proven   ", counts.total));
    }
    if counts.edited > 0 {
        line = line.with(Tone::Plain, &format!("{} edited while stopped   ", counts.edited));
    }
    let worse =
        [(counts.rolled_back, "rolled back", '<'), (counts.failed, "failed", 'x'), (counts.unknown, "unknown", '?')];
    for (number, what, mark) in worse.into_iter().filter(|(number, ..)| *number > 0) {
        line = line.with(tone_of(mark), &format!("{number} {what}   "));
    }
    line.with(Tone::Plain, &format!("{} ", duration(run.elapsed(clock))))
}

/// The wave that is on: of the last cluster in order that has begun one.
fn wave_words(run: &Watched) -> Option<String> {
    let (state, head) = (&run.state, run.state.head.as_ref()?);
    let mut begun = head.clusters.iter().filter_map(|(cluster, _)| Some((cluster, *state.waves.get(cluster)?)));
    let (cluster, wave) = begun.rfind(|(_, wave)| *wave > 0)?;
    let of = head.waves.get(cluster).copied().unwrap_or(wave);
    let place = if run.busy().len() > 1 { format!("{cluster} ") } else { String::new() };
    Some(format!("{place}wave {wave} of {of}"))
}

fn second_line(run: &Watched, clock: Timestamp, canvas: &mut Canvas<'_>, head: Rect) {
    if let Some(verdict) = run.verdict() {
        return canvas.line(head, 1, &ending::verdict_line(run, verdict));
    }
    let length = usize::from(head.width / 5);
    let (done, all) = run.steps_done();
    let done = (done * length).checked_div(all).unwrap_or(0).min(length);
    let (full, empty) = canvas.look.bar();
    let bar = format!(" {}{}  ", full.repeat(done), empty.repeat(length - done));
    let mut line = TextLine::new(Tone::Plain, &bar);
    if let Some(level) = run.cancelling() {
        line = line.with(Tone::Bad, &format!("stopping: {}  ", note(level).0));
    }
    if let Some(pause) = run.state.pause.as_ref().filter(|_| run.cancelling().is_none()) {
        let since = pause.since.map_or(0, |since| (clock.as_second() - since.as_second()).max(0));
        line = line.with(Tone::Unknown, &ending::pause_words(pause, since));
        if pause.since.is_some() {
            return canvas.line(head, 1, &line);
        }
    }
    canvas.line(head, 1, &line.with(Tone::Plain, &waiting_words(run, clock)));
}

fn waiting_words(run: &Watched, clock: Timestamp) -> String {
    let Some((since, waiting)) = run.state.waiting() else { return String::new() };
    let node = waiting.node.as_ref().map(|node| format!("{node} ")).unwrap_or_default();
    let since = (clock.as_second() - since.as_second()).max(0);
    // The time first: what stands at the end may be cut.
    let time = waiting.limit.map_or(format!("{since} s"), |limit| format!("{since} s of {limit} s"));
    format!("waiting {time}: {node}{}", waiting.what)
}

fn row(run: &Watched, row: &RunRow, columns: Columns, clock: Timestamp, is_here: bool, look: Look) -> TextLine {
    let cursor = if is_here { look.cursor() } else { " " };
    match row {
        RunRow::Cluster(cluster) => cluster_row(run, cluster, cursor),
        RunRow::Step(cluster, step) => {
            let lead = format!("{cursor}{}", " ".repeat(lead_of(run) - 1));
            steps::row(run, cluster, *step, &lead, clock, look)
        }
        RunRow::Node(node) => node_row(run, node, columns, clock, cursor, look),
    }
}

fn cluster_row(run: &Watched, cluster: &ClusterName, cursor: &str) -> TextLine {
    let wave = run.state.waves.get(cluster).copied().unwrap_or(0);
    let of = run.state.head.as_ref().and_then(|head| head.waves.get(cluster).copied()).unwrap_or(wave);
    let line = TextLine::new(Tone::Head, &format!("{cursor} {cluster}  "));
    match (run.state.stopped.get(cluster), wave) {
        (Some(why), _) => line.with(Tone::Bad, &format!("stopped: {why}")),
        (None, _) if run.state.added.contains_key(cluster) => line.with(Tone::Bad, steps::put_back_words(run)),
        (None, 0) if of == 0 => line.with(Tone::Faint, "no node is reloaded"),
        (None, 0) => line.with(Tone::Faint, "no wave has begun"),
        (None, _) if of > 1 && run.state.waves_proven.get(cluster) == Some(&of) => {
            line.with(Tone::Good, &format!("all {of} waves proven"))
        }
        (None, 1) if of == 1 && run.state.waves_proven.contains_key(cluster) => {
            line.with(Tone::Good, "its wave is proven")
        }
        (None, wave) => line.with(Tone::Faint, &format!("wave {wave} of {of}")),
    }
}

fn node_row(run: &Watched, node: &NodeName, columns: Columns, clock: Timestamp, cursor: &str, look: Look) -> TextLine {
    let indent = " ".repeat(lead_of(run) - 1);
    let lead = format!("{cursor}{indent}{}  ", fit(node.as_str(), columns.name - 2, look.more()));
    let mut line = TextLine::new(Tone::Plain, &lead);
    let Some(state) = run.state.nodes.get(node) else { return line };
    let wave = run.wave_of(node).map(|wave| wave.to_string()).unwrap_or_default();
    line = line.with(Tone::Faint, &fit(&wave, WAVE, ""));
    for (cell, phase) in state.cells.iter().zip(PHASES) {
        let (tone, text) = cell_text(cell, clock, run.is_on());
        // A mark stands in the middle of its column's name, a time has need of all of it.
        let indent = if width(&text) == 1 { phase.len().div_ceil(2) - 1 } else { 0 };
        line = line.with(tone, &fit(&format!("{}{text}", " ".repeat(indent)), columns.phase(phase), ""));
    }
    let tone = tone_of(mark(state));
    let Some(now) = columns.now else { return line.with(tone, &state.now) };
    let time = run.seconds_of(state, clock).map(steps::length).unwrap_or_default();
    line.with(Tone::Faint, &fit(&time, TIME, ""))
        .with(tone, &fit(&state.now, now.saturating_sub(2), look.more()))
        .with(Tone::Faint, &format!("  {}", clip(last_line(run, node), now, look.more())))
}

/// The last line of its log that tells something.
fn last_line<'a>(run: &'a Watched, node: &NodeName) -> &'a str {
    let line = run.logs.of_node(node).and_then(Log::telling);
    line.map_or("", |line| line.text.trim_start())
}

fn cell_text(cell: &Cell, clock: Timestamp, is_on: bool) -> (Tone, String) {
    let mark = match cell {
        Cell::Waiting => return (Tone::Plain, String::new()),
        Cell::Running(since) if is_on => {
            return (Tone::Change, steps::elapsed(*since, clock));
        }
        // The run is over and nothing was heard of the end of it.
        Cell::Running(_) | Cell::Unknown => '?',
        Cell::Done => '=',
        Cell::Failed => 'x',
        Cell::PutBack => '<',
        Cell::Skipped => '.',
    };
    (tone_of(mark), mark.to_string())
}

fn draw_pane(model: &Model, run: &Watched, screen: &RunScreen, canvas: &mut Canvas<'_>, area: Rect) {
    let columns = usize::from(area.width);
    let (here, rest) = match run.rows.get(screen.cursor.at) {
        Some(RunRow::Node(node)) => node_parts(model, node, columns),
        Some(RunRow::Step(cluster, step)) => (steps::lines(run, cluster, *step, columns), Vec::new()),
        Some(RunRow::Cluster(cluster)) => (cluster_lines(run, cluster, columns), Vec::new()),
        None => Default::default(),
    };
    // A failure under the cursor, and what to do about it, comes before what the whole run came to.
    let is_bad = screen.node(run).and_then(|node| run.state.nodes.get(node)).is_some_and(|node| node.fate.is_bad());
    let mut lines = if is_bad { here.clone() } else { Vec::new() };
    lines.extend(ending::end_lines(model, run, columns));
    lines.extend(if is_bad { Vec::new() } else { here });
    lines.extend(rest);
    lines.extend(ending::left_lines(run, columns));
    let room = usize::from(area.height).saturating_sub(lines.len());
    if let Some(node) = screen.node(run).filter(|_| run.is_on() || run.state.verdict.is_some_and(|v| v.exit() == 0)) {
        lines.extend(tail(run, node, room, columns));
    }
    pager::draw_beginning(canvas, area, &lines, "d shows");
}

/// The end of a node's log, in what room is left; `enter` shows all of it.
fn tail(run: &Watched, node: &NodeName, room: usize, columns: usize) -> Vec<TextLine> {
    let Some(log) = run.logs.of_node(node) else { return Vec::new() };
    let first = log.end().saturating_sub(room as u64).max(log.first());
    let lines = (first..log.end()).filter_map(|number| log.line(number));
    let line = |line: &LogLine| {
        let text = format!("   {}  {}", time_of_day(line.at), clip(&line.text, columns.saturating_sub(14), ""));
        TextLine::new(Tone::Faint, &text)
    };
    lines.map(line).collect()
}

/// How many nodes of a cluster are how far, worst first.
fn cluster_lines(run: &Watched, cluster: &ClusterName, columns: usize) -> Vec<TextLine> {
    let counts = run.state.counts_of(cluster);
    let waits = |node: &NodeRun| node.proven() && node.fate == Fate::Waiting;
    let files = run.state.nodes_of(cluster).filter(|(_, node)| waits(node)).count();
    let parts = [
        (counts.unknown, "unknown"),
        (counts.failed, "failed"),
        (counts.rolled_back, "rolled back"),
        (counts.under_way, "under way"),
        (counts.not_tried - files, if run.is_on() { "waiting" } else { "not tried" }),
        (files, "proven, files to come"),
        (counts.held, "with files held"),
        (counts.edited, "edited while stopped"),
        (counts.proven, "proven"),
    ];
    let parts = parts.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}"));
    let words = format!("{}: {}", count(counts.total, "node"), parts.collect::<Vec<_>>().join(", "));
    let mut lines = hanging(&TextLine::new(Tone::Head, &format!(" {cluster}  ")), Tone::Plain, &words, columns);
    lines.extend(steps::added_lines(run, cluster, columns));
    lines
}

/// A node in the run: its cause, what to do, and what it printed.
pub(super) fn node_lines(model: &Model, node: &NodeName, columns: usize) -> Vec<TextLine> {
    let (first, rest) = node_parts(model, node, columns);
    let state = model.watched().and_then(|run| run.state.nodes.get(node));
    let printed = state.map(|state| printed_lines(state, columns)).unwrap_or_default();
    let run = model.watched().filter(|_| state.is_some_and(|state| state.cause.is_none()));
    let said = run.map(|run| said_lines(run, node, columns)).unwrap_or_default();
    first.into_iter().chain(rest).chain(said).chain(printed).collect()
}

/// The last lines that the run said of a node, without what was printed there.
fn said_lines(run: &Watched, node: &NodeName, columns: usize) -> Vec<TextLine> {
    let Some(log) = run.logs.of_node(node) else { return Vec::new() };
    let first = log.end().saturating_sub(SAID).max(log.first());
    let lines = (first..log.end()).filter_map(|number| log.line(number)).filter(|line| line.voice != Voice::Printed);
    let line = |line: &LogLine| {
        let lead = TextLine::new(Tone::Faint, &format!("   {}    ", time_of_day(line.at)));
        hanging(&lead, Tone::Faint, &line.text, columns)
    };
    lines.flat_map(line).collect()
}

/// The same in two: what happened and what to do, then what else is known.
fn node_parts(model: &Model, node: &NodeName, columns: usize) -> (Vec<TextLine>, Vec<TextLine>) {
    let Some((run, state)) = model.watched().and_then(|run| Some((run, run.state.nodes.get(node)?))) else {
        return (vec![TextLine::new(Tone::Plain, &format!(" {node} is not in the run"))], Vec::new());
    };
    let mark = mark(state);
    let mut head = TextLine::new(Tone::Head, &format!(" {node}  "));
    if let Some(wave) = run.wave_of(node) {
        head = head.with(Tone::Faint, &format!("wave {wave}  "));
    }
    let mut lines = hanging(&head, tone_of(mark), now_words(run, state), columns);
    let mut rest = Vec::new();
    if let Some(cause) = &state.cause {
        let (first, more) = cause_parts(cause, columns);
        lines.extend(first);
        rest = more;
    }
    (lines, rest)
}

/// Where a node of a run is now, without what its cause says.
fn now_words<'a>(run: &Watched, state: &'a NodeRun) -> &'a str {
    match (state.fate, &state.cause) {
        (Fate::RolledBack, Some(_)) => "rolled back: it serves as before, which was proven",
        (Fate::Failed, Some(_)) => "failed",
        (Fate::Unknown, Some(_)) => "unknown until it is looked at again",
        _ if state.now.is_empty() => waits_for(run, state),
        _ => state.now.as_str(),
    }
}

/// The mark of a node and where it is, while a run that has it is on.
pub(super) fn node_now<'a>(model: &'a Model, node: &NodeName) -> Option<(char, &'a str)> {
    let run = model.run.as_ref().filter(|run| run.is_on())?;
    let state = run.state.nodes.get(node)?;
    Some((mark(state), now_words(run, state)))
}

fn waits_for(run: &Watched, state: &NodeRun) -> &'static str {
    if run.is_on() && run.state.pause.as_ref().is_some_and(|pause| pause.since.is_some()) {
        return "waits for the run to go on";
    }
    match (run.is_on(), state.wave) {
        (false, _) => "was not begun",
        (true, 0) => "waits for its wave",
        (true, _) => "waits for its turn in the wave",
    }
}

pub(super) fn cause_lines(cause: &Cause, columns: usize) -> Vec<TextLine> {
    let (first, rest) = cause_parts(cause, columns);
    first.into_iter().chain(rest).collect()
}

/// What was found, what it means, and what to do; then the other details.
fn cause_parts(cause: &Cause, columns: usize) -> (Vec<TextLine>, Vec<TextLine>) {
    let mut lines = hanging(&TextLine::new(Tone::Head, "   cause       "), Tone::Bad, &cause.text, columns);
    let (meaning, rest) = meaning(&cause.details);
    let lead = TextLine::new(Tone::Head, "   it means    ");
    lines.extend(meaning.into_iter().flat_map(|line| hanging(&lead, Tone::Plain, line, columns)));
    let lead = TextLine::new(Tone::Head, "   what to do  ");
    lines.extend(cause.hints.iter().flat_map(|hint| hanging(&lead, Tone::Plain, &hint.to_string(), columns)));
    let indent = TextLine::new(Tone::Plain, "               ");
    (lines, rest.into_iter().flat_map(|line| hanging(&indent, Tone::Plain, line, columns)).collect())
}

/// What the details say that it means, and the others. What a line of a log means stands before that line (`perform` writes
/// them so).
fn meaning(details: &[String]) -> (Vec<&str>, Vec<&str>) {
    let is_meaning = |at: usize| details.get(at + 1).is_some_and(|next| next.starts_with("in the log: "));
    let (meaning, rest): (Vec<_>, Vec<_>) = details.iter().enumerate().partition(|(at, _)| is_meaning(*at));
    (texts(meaning), texts(rest))
}

fn texts(lines: Vec<(usize, &String)>) -> Vec<&str> {
    lines.into_iter().map(|(_, line)| line.as_str()).collect()
}

fn printed_lines(state: &NodeRun, columns: usize) -> Vec<TextLine> {
    let lead = TextLine::new(Tone::Faint, "   printed     ");
    state.printed.iter().flat_map(|line| hanging(&lead, Tone::Faint, line, columns)).collect()
}

/// What a level of stopping says of itself when it was asked for.
pub(super) fn asked_words(run: &Watched) -> Option<(CancelLevel, String)> {
    let level = run.cancelling()?;
    let at = run.asked.map(|(_, at)| format!(" at {} UTC", time_of_day(at))).unwrap_or_default();
    Some((level, format!("asked for{at}: {}", note(level).0)))
}

/// What is in the middle of a change, and what becomes of it when the connections are closed.
pub(super) fn under_way(run: &Watched) -> (String, &'static str) {
    let nodes = count(run.state.running().count(), "node");
    match run.under_way() {
        UnderWay::Nodes => (
            format!("{nodes} in the middle of a change"),
            "leaving closes the connections: the guards of those nodes put them back",
        ),
        UnderWay::Unapply => (
            "rows are being un-applied".to_owned(),
            "leaving closes the connections: some rows may be gone, all of them are in the undo bundle",
        ),
        UnderWay::Fence => {
            ("old workers are waited for".to_owned(), "leaving closes the connections: no file goes, nothing is lost")
        }
        UnderWay::Paused => (
            "paused: nothing is under way".to_owned(),
            "leaving ends the run here: what is done stays done, leases end by their time",
        ),
        UnderWay::Files => (
            format!("files are being deleted on {nodes}"),
            "leaving closes the connections: nothing loads these files any more, the next run finishes it",
        ),
    }
}
