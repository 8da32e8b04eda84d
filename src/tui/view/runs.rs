//! The recorded runs: a row each, and more about the one under the cursor.

use jiff::Timestamp;
use ratatui::layout::{Position, Rect};

use super::canvas::{Canvas, cells};
use super::{head, pager};
use crate::hint::Hint;
use crate::run::{Came, Recorded, Verdict};
use crate::tui::layout::Areas;
use crate::tui::look::{Look, Tone, tone_of};
use crate::tui::model::Model;
use crate::tui::screen::RunsScreen;
use crate::tui::shown::{clip, count, duration, fit, width};
use crate::tui::text::{TextLine, hanging};

/// A column: its name, and how wide it is with the space behind it.
struct Column {
    name: &'static str,
    columns: usize,
    of: fn(&Recorded, Timestamp) -> (Tone, String),
}

const BEGAN: Column = Column { name: "BEGAN (UTC)", columns: 18, of: began };
const SHORT: Column = Column { name: "BEGAN, UTC", columns: 13, of: began_short };
const AGE: Column = Column { name: "AGE", columns: 8, of: age };
const CAME: Column = Column { name: "CAME TO", columns: 25, of: came };
const TOOK: Column = Column { name: "TOOK", columns: 9, of: took };
const NODES: Column = Column { name: "NODES", columns: 7, of: nodes };
const BY: Column = Column { name: "BY", columns: 18, of: by };
const RUN: Column = Column { name: "RUN", columns: 12, of: run };
const CLUSTERS: Column = Column { name: "CLUSTERS", columns: 22, of: clusters };
const COMMIT: Column = Column { name: "COMMIT", columns: 40, of: commit };

/// What is left out on a narrow screen stands below the list, for the run under the cursor. The last column has what room
/// there is.
const NARROW: &[Column] = &[SHORT, AGE, CAME, TOOK, NODES, BY];
const WIDE: &[Column] = &[BEGAN, AGE, CAME, TOOK, NODES, BY, RUN, CLUSTERS, COMMIT];
/// From so many columns on the screen is wide.
const WIDE_FROM: u16 = 140;

/// Draws the screen.
pub(super) fn draw(model: &Model, screen: &RunsScreen, canvas: &mut Canvas<'_>, areas: &Areas) {
    canvas.ends(areas.head, 0, &head::title(model), &progress(model));
    let columns = if areas.body.width >= WIDE_FROM { WIDE } else { NARROW };
    let heads: String = columns.iter().map(|column| fit(column.name, column.columns, "")).collect();
    canvas.line(areas.columns, 0, &TextLine::new(Tone::Head, &format!("  {}", heads.trim_end())));
    let window = screen.cursor.window(screen.rows.len(), usize::from(areas.body.height));
    canvas.hidden(areas.body, &window, screen.rows.len());
    for (y, at) in (0..).zip(window) {
        let is_here = at == screen.cursor.at;
        let Some(recorded) = model.recordings.rows.get(screen.rows[at]) else { continue };
        canvas.line(areas.body, y, &row(recorded, columns, model.clock, is_here, canvas.look));
        if is_here {
            canvas.highlight(areas.body, y);
        }
    }
    if screen.rows.is_empty() {
        canvas.line(areas.body, 0, &TextLine::new(Tone::Plain, &format!("  {}", none(model))));
    }
    let lines = pane(model, screen, usize::from(areas.pane.width));
    pager::draw_beginning(canvas, areas.pane, &lines, "muster runs --format json shows");
}

fn none(model: &Model) -> &'static str {
    match model.recordings.of {
        None => "the recorded runs are being read",
        Some(0) => "no run was recorded on this machine",
        Some(_) if model.recordings.rows.is_empty() => "the recorded runs are being read",
        Some(_) => "no run has this text",
    }
}

/// How many there are, or how many were read.
fn progress(model: &Model) -> TextLine {
    let (known, of) = (model.recordings.rows.len(), model.recordings.of);
    match of {
        None => TextLine::new(Tone::Plain, "reading "),
        Some(of) if known < of => TextLine::new(Tone::Plain, &format!("{known} of {of} runs read ")),
        Some(of) => TextLine::new(Tone::Plain, &format!("{} recorded ", count(of, "run"))),
    }
}

fn row(recorded: &Recorded, columns: &[Column], clock: Timestamp, is_here: bool, look: Look) -> TextLine {
    let mut line = TextLine::new(Tone::Plain, &format!("{} ", if is_here { look.cursor() } else { " " }));
    for (at, column) in (1..).zip(columns) {
        let (tone, text) = (column.of)(recorded, clock);
        let padded = format!("{}  ", fit(&text, column.columns.saturating_sub(2), look.more()));
        line = line.with(tone, if at == columns.len() { &text } else { &padded });
    }
    line
}

fn began(recorded: &Recorded, _: Timestamp) -> (Tone, String) {
    (Tone::Plain, recorded.began.strftime("%Y-%m-%d %H:%M").to_string())
}

/// Of another year than this one, the date alone.
fn began_short(recorded: &Recorded, clock: Timestamp) -> (Tone, String) {
    let year = |at: Timestamp| at.strftime("%Y").to_string();
    let form = if year(recorded.began) == year(clock) { "%m-%d %H:%M" } else { "%Y-%m-%d" };
    (Tone::Plain, recorded.began.strftime(form).to_string())
}

fn age(recorded: &Recorded, clock: Timestamp) -> (Tone, String) {
    let seconds = (clock.as_second() - recorded.began.as_second()).max(0);
    let text = match seconds {
        ..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    };
    (Tone::Faint, text)
}

/// `=` as wanted, `x` not reached, `?` not known, `!` not begun because of a rule or a lock, `~` at work.
const fn mark(came: Came) -> char {
    match came {
        Came::To(Verdict::InLine | Verdict::Converged) => '=',
        Came::To(Verdict::NotReached | Verdict::Interrupted | Verdict::NotStarted(_)) => 'x',
        Came::To(Verdict::Locked | Verdict::Refused) => '!',
        Came::To(Verdict::Pending) | Came::AtWork => '~',
        Came::To(Verdict::Incomplete) | Came::CutShort | Came::Damaged | Came::NotReadable => '?',
    }
}

/// The word, and the exit code where there is one.
fn came_words(came: Came) -> String {
    match came.verdict() {
        Some(verdict) => format!("{}, exit {}", came.word(), verdict.exit()),
        None => came.word().to_owned(),
    }
}

fn came(recorded: &Recorded, _: Timestamp) -> (Tone, String) {
    let mark = mark(recorded.came);
    (tone_of(mark), format!("{mark} {}", came_words(recorded.came)))
}

/// Of a run that is on, until now.
fn took(recorded: &Recorded, clock: Timestamp) -> (Tone, String) {
    let seconds = match recorded.came {
        Came::AtWork => Some(clock.as_second() - recorded.began.as_second()),
        _ => recorded.seconds(),
    };
    (Tone::Plain, seconds.map(duration).unwrap_or_default())
}

fn nodes(recorded: &Recorded, _: Timestamp) -> (Tone, String) {
    (Tone::Plain, recorded.about.as_ref().map(|about| about.nodes.to_string()).unwrap_or_default())
}

fn by(recorded: &Recorded, _: Timestamp) -> (Tone, String) {
    (Tone::Plain, recorded.about.as_ref().map(|about| about.operator.clone()).unwrap_or_default())
}

fn clusters(recorded: &Recorded, _: Timestamp) -> (Tone, String) {
    let words = recorded.about.as_ref().map(|about| match about.clusters.as_slice() {
        [] => "none".to_owned(),
        [only] => only.to_string(),
        [first, more @ ..] => format!("{first} and {} more", more.len()),
    });
    (Tone::Plain, words.unwrap_or_default())
}

fn run(recorded: &Recorded, _: Timestamp) -> (Tone, String) {
    (Tone::Faint, recorded.run.short().to_owned())
}

fn commit(recorded: &Recorded, _: Timestamp) -> (Tone, String) {
    let words = match (&recorded.about, &recorded.trouble) {
        (Some(about), _) => format!("{}  {}", about.revision.short(), about.summary),
        (None, Some(trouble)) => trouble.clone(),
        (None, None) => String::new(),
    };
    (Tone::Plain, words)
}

/// More about the run under the cursor, what is wrong first.
fn pane(model: &Model, screen: &RunsScreen, columns: usize) -> Vec<TextLine> {
    let mut lines = match screen.row(&model.recordings.rows) {
        Some(recorded) => about(recorded, columns),
        None => Vec::new(),
    };
    for wrong in &model.recordings.wrong {
        lines.extend(hanging(&TextLine::new(Tone::Bad, " not seen: "), Tone::Plain, wrong, columns));
    }
    lines
}

fn about(recorded: &Recorded, columns: usize) -> Vec<TextLine> {
    let mark = mark(recorded.came);
    let mut head = TextLine::new(Tone::Head, &format!(" run {}  ", recorded.run))
        .with(tone_of(mark), &format!("{mark} {}", came_words(recorded.came)));
    let began = recorded.began.strftime("%Y-%m-%d %H:%M:%S").to_string();
    head = head.with(Tone::Faint, &format!("  {began} UTC"));
    let mut lines = vec![head];
    let indent = TextLine::new(Tone::Plain, "   ");
    let mut say = |tone: Tone, text: &str| lines.extend(hanging(&indent, tone, text, columns));
    if let Some(trouble) = &recorded.trouble {
        say(Tone::Bad, trouble);
    }
    if let Some(about) = &recorded.about {
        let of = format!("{} @ {}  \"{}\"", about.repository, about.revision.short(), about.summary);
        say(Tone::Plain, &format!("by {}: {of}", about.operator));
        let names = about.clusters.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let names = if names.is_empty() { String::new() } else { format!(" of {names}") };
        say(Tone::Plain, &format!("{}{names}{}", count(about.nodes, "node"), counts(recorded)));
    }
    if !recorded.undo.is_empty() {
        let kept = count(recorded.undo.len(), "undo bundle");
        say(Tone::Plain, &format!("{kept} kept; {}", Hint::type_(format!("muster restore-rows {}", recorded.run))));
    }
    if recorded.came.is_open() {
        say(Tone::Plain, &format!("to finish it, {}", Hint::type_(format!("muster resume {}", recorded.run))));
    }
    let dir = recorded.journal.parent().unwrap_or(&recorded.journal);
    say(Tone::Faint, &format!("in {}", dir.display()));
    lines
}

/// What became of its nodes, worst first.
fn counts(recorded: &Recorded) -> String {
    let Some(counts) = recorded.counts else { return String::new() };
    let parts = [
        (counts.unknown, "unknown"),
        (counts.failed, "failed"),
        (counts.rolled_back, "rolled back"),
        (counts.under_way, "under way"),
        (counts.not_tried, "not tried"),
        (counts.held, "with files held"),
        (counts.edited, "edited while stopped"),
        (counts.proven, "proven"),
    ];
    let parts = parts.iter().filter(|(number, _)| *number > 0).map(|(number, what)| format!("{number} {what}"));
    let parts = parts.collect::<Vec<_>>().join(", ");
    if parts.is_empty() { parts } else { format!(": {parts}") }
}

/// That not all runs are shown.
pub(super) fn filtered(model: &Model, screen: &RunsScreen) -> Option<String> {
    let text = clip(&screen.filter, model.width() / 3, model.look.more());
    let (shown, of) = (screen.rows.len(), model.recordings.rows.len());
    (!screen.filter.trim().is_empty()).then(|| format!(" filter {text}: {shown} of {of} runs shown (/) "))
}

/// The filter while it is typed, in the last line; the place of the cursor comes back.
pub(super) fn draw_filter(screen: &RunsScreen, canvas: &mut Canvas<'_>, area: Rect) -> Position {
    let row = Rect::new(0, area.height.saturating_sub(1), area.width, 1);
    let columns = usize::from(area.width);
    let text = clip(&screen.filter, columns / 2, canvas.look.more());
    let lead = TextLine::new(Tone::Head, " filter: ").with(Tone::Plain, &text);
    let help = if text.is_empty() {
        "   cron, not reached, eu-prod, a commit, a date   esc: all runs"
    } else {
        "   enter: keep it   esc: all runs"
    };
    let at = cells(width(" filter: ") + width(&text));
    canvas.line(row, 0, &TextLine::new(Tone::Plain, &" ".repeat(columns)));
    canvas.line(row, 0, &lead.with(Tone::Faint, help));
    Position::new(at.min(area.width.saturating_sub(1)), row.y)
}
