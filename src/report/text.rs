//! A run as cron mails it: one line for each fact that a person wants to know, with time, subject and words.

use std::io::{self, Write};

use super::nodes::brief;
use super::words::{bytes, clean, count, pad, parts, time, width};
use crate::hint::Hint;
use crate::run::{
    CancelLevel, Cause, Event, EventKind, Outcome, Pause, Reporter, RunHead, RunState, SkipReason, StepEnd,
    SurveyCounts, Verdict, Waiting,
};

/// How many lines of what is left are shown; all are in the JSON.
const LEFT: usize = 20;
/// The widest column of subjects; longer names push their own line only.
const SUBJECT: usize = 24;

/// Writes facts as lines of text, each at once.
pub struct TextReporter<W> {
    out: W,
    colour: bool,
    subject: usize,
    /// What to type to plan again.
    plan: Hint,
    /// The first error. A reader that went away must not stop the run: the journal has everything.
    broken: Option<io::Error>,
}

impl<W: Write + Send> TextReporter<W> {
    /// Writes to this, without colour.
    pub fn new(out: W) -> Self {
        Self { out, colour: false, subject: 8, plan: Hint::type_("muster --plan"), broken: None }
    }

    /// With the command that plans again, as it was chosen by options.
    #[must_use]
    pub fn planning_with(mut self, plan: Hint) -> Self {
        self.plan = plan;
        self
    }

    /// With colour for what is good and bad; no line needs it to be read.
    #[must_use]
    pub const fn coloured(mut self) -> Self {
        self.colour = true;
        self
    }

    fn write(&mut self, event: &Event, said: &Said) -> io::Result<()> {
        let (begin, end) = match (self.colour, said.tone) {
            (false, _) | (true, Tone::Plain) => ("", ""),
            (true, Tone::Good) => ("\u{1b}[32m", "\u{1b}[0m"),
            (true, Tone::Bad) => ("\u{1b}[31m", "\u{1b}[0m"),
        };
        let subject = if said.subject.is_empty() { String::new() } else { pad(&said.subject, self.subject) + "  " };
        writeln!(self.out, "{}  {}{begin}{}{end}", time(event.at), clean(&subject), clean(&said.words))?;
        for more in &said.more {
            writeln!(self.out, "{:10}{}", "", clean(more))?;
        }
        self.out.flush()
    }
}

impl<W: Write + Send> Reporter for TextReporter<W> {
    fn event(&mut self, event: &Event, state: &RunState) {
        if let EventKind::RunStarted { head } = &event.kind {
            self.subject = subjects(head);
        }
        if let (Some(said), None) = (say(&event.kind, state, &self.plan), &self.broken) {
            self.broken = self.write(event, &said).err();
        }
    }
}

fn subjects(head: &RunHead) -> usize {
    let names = head.clusters.iter().flat_map(|(cluster, nodes)| {
        std::iter::once(cluster.as_str()).chain(nodes.iter().map(crate::name::NodeName::as_str))
    });
    names.map(width).max().unwrap_or_default().min(SUBJECT)
}

/// The verdict of an apply that had nothing to carry out.
pub fn verdict(verdict: Verdict, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "verdict: {}, exit {}", verdict.word(), verdict.exit())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tone {
    Plain,
    Good,
    Bad,
}

/// What is said about an event.
struct Said {
    subject: String,
    words: String,
    more: Vec<String>,
    tone: Tone,
}

impl Said {
    fn new(subject: impl AsRef<str>, words: impl Into<String>) -> Self {
        Self { subject: subject.as_ref().to_owned(), words: words.into(), more: Vec::new(), tone: Tone::Plain }
    }

    /// About the run as a whole.
    fn all(words: impl Into<String>) -> Self {
        Self::new("", words)
    }

    const fn good(mut self) -> Self {
        self.tone = Tone::Good;
        self
    }

    /// Something went wrong: the code behind the words, what is known and what to do below them.
    fn bad(mut self, cause: &Cause) -> Self {
        self.words = format!("{}  ({})", self.words, cause.code);
        self.more = cause.details.iter().cloned().chain(cause.hints.iter().map(ToString::to_string)).collect();
        self.tone = Tone::Bad;
        self
    }
}

/// What is said about an event; `None` for what only a closer look needs (leases, deliveries of single nodes, chatter).
fn say(kind: &EventKind, state: &RunState, plan: &Hint) -> Option<Said> {
    Some(match kind {
        EventKind::RunStarted { head } => run_started(head),
        EventKind::LeaseRefused { node, cause } => {
            Said::new(node, format!("held by another run: {}", cause.text)).bad(cause)
        }
        EventKind::LeaseFailed { node, cause } => {
            Said::new(node, format!("left alone, its lease could not be taken: {}", cause.text)).bad(cause)
        }
        EventKind::RunRefused { cause } => Said::all(format!("refused: {}", cause.text)).bad(cause),
        EventKind::StepStarted { node, action, about, .. } if !prepares(action) => {
            Said::new(node, format!("{}: {about}", if action == "activate" { "activating" } else { action }))
        }
        EventKind::StepProven { node, text, .. }
            if state.nodes.get(node).is_some_and(|run| run.deletes() || run.prepares()) =>
        {
            Said::new(node, text)
        }
        EventKind::StepProven { node, text, .. } => Said::new(node, format!("proven: {text}")),
        // Why files are held was said of the cluster.
        EventKind::StepEnded { end: StepEnd::Skipped { why: why @ SkipReason::Held { .. } }, .. }
            if is_held(why, state) =>
        {
            return None;
        }
        EventKind::StepEnded { node, action, end, .. } => return step_ended(node.as_str(), action, end, plan),
        EventKind::ClusterStepStarted { cluster, action, about, .. } if action == "fence" => {
            Said::new(cluster, format!("before files go, every node is looked at: {about}"))
        }
        EventKind::ClusterStepStarted { cluster, about, .. } => Said::new(cluster, format!("un-applying {about}")),
        EventKind::ClusterStepProven { cluster, text, .. } => Said::new(cluster, text).good(),
        EventKind::ClusterStepEnded { cluster, action, end, .. } => {
            return cluster_step_ended(cluster.as_str(), action, end);
        }
        EventKind::StepsAdded { cluster, cause, steps_of, .. } => {
            let nodes: Vec<_> = steps_of.keys().cloned().collect();
            let words = format!("putting back on {}, as it is used again", brief(&nodes, 40));
            // What was found, and both ways out, was said where it was found.
            Said {
                more: cause.details.last().cloned().into_iter().collect(),
                tone: Tone::Bad,
                ..Said::new(cluster, words)
            }
        }
        EventKind::ClusterDelivered { cluster, bundles, nodes } => {
            let sized = |(name, size): (_, &Option<u64>)| match size {
                Some(size) => format!("{name} {}", bytes(*size)),
                None => format!("{name}"),
            };
            let list: Vec<String> = bundles.iter().map(sized).collect();
            let what = format!("delivered {} to {}", count(bundles.len(), "bundle"), count(*nodes, "node"));
            Said::new(cluster, format!("{what} ({})", list.join(", ")))
        }
        EventKind::WaveStarted { cluster, wave, of, nodes } => {
            Said::new(cluster, format!("wave {wave} of {of}: {}", brief(nodes, 40)))
        }
        EventKind::WaveProven { cluster, wave, soak: 0 } => Said::new(cluster, format!("wave {wave} proven")),
        EventKind::WaveProven { cluster, wave, soak } => {
            Said::new(cluster, format!("wave {wave} healthy for {soak} s"))
        }
        EventKind::NodeUnhealthy { node, cause } => {
            Said::new(node, format!("did not stay healthy: {}", cause.text)).bad(cause)
        }
        EventKind::ClusterStopped { cluster, why, counts } => {
            Said { tone: Tone::Bad, ..Said::new(cluster, format!("stopped: {why}. {}", counts.words())) }
        }
        EventKind::CancelRequested { level, by } => cancelled(*level, by.as_deref()),
        EventKind::PauseRequested { paused: true, by } => {
            Said::all(format!("a pause was asked for{}; it begins after this wave", by_whom(by.as_deref())))
        }
        EventKind::PauseRequested { paused: false, by } => {
            Said::all(format!("no pause is asked for any more{}", by_whom(by.as_deref())))
        }
        EventKind::RunPaused { .. } => Said::all(state.pause.as_ref().map(Pause::words).unwrap_or_default()),
        EventKind::RunResumed { by } => Said::all(format!("goes on, as {by} asked for")),
        EventKind::NodeSkipped { node, by } => {
            Said::new(node, format!("skipped by {by}: nothing more of this run is done on it"))
        }
        EventKind::SkipRefused { node, by, why } => {
            Said::new(node, format!("not skipped, though {by} asked for it: {why}"))
        }
        EventKind::WaitingFor { waiting: Some(Waiting { node: None, what, limit: None }) } => {
            Said::all(format!("waiting for {what}"))
        }
        EventKind::LookedAgain { counts, left, settled } => {
            let mut said = looked_again(counts, left);
            said.more.extend(settled.iter().map(|node| format!("{node} was unknown, and was seen in line")));
            said
        }
        EventKind::RunEnded { verdict, exit } => run_ended(*verdict, *exit, state),
        EventKind::StepStarted { .. }
        | EventKind::LeaseTaken { .. }
        | EventKind::StepProgressed { .. }
        | EventKind::StepPrinted { .. }
        | EventKind::ClusterStepProgressed { .. }
        | EventKind::WaitingFor { .. } => return None,
    })
}

fn run_started(head: &RunHead) -> Said {
    let RunHead { run, repository, revision, operator, clusters, .. } = head;
    let nodes = count(clusters.iter().map(|(_, nodes)| nodes.len()).sum(), "node");
    Said::all(format!("run {run} for {repository} @ {}, {nodes}, by {operator}; times are UTC", revision.short()))
}

/// Steps before any wave: many, and harmless to what runs, so that only what they find is told.
fn prepares(action: &str) -> bool {
    matches!(action, "deliver" | "rehearse")
}

fn step_ended(node: &str, action: &str, end: &StepEnd, plan: &Hint) -> Option<Said> {
    let delivers = prepares(action);
    let said = |words: String| Said::new(node, words);
    Some(match end {
        StepEnd::Done { .. } if delivers => return None,
        StepEnd::Done { outcome: Outcome::Changed } if action == "delete" => said("files deleted".to_owned()).good(),
        StepEnd::Done { outcome: Outcome::Unchanged } if action == "delete" => {
            said("no files were left".to_owned()).good()
        }
        StepEnd::Done { outcome: Outcome::Changed } => said("committed".to_owned()).good(),
        StepEnd::Done { outcome: Outcome::Edited } => said("edited; Kong is stopped, so nothing is proven".to_owned()),
        StepEnd::Done { outcome: Outcome::Unchanged } => said("was so already, nothing changed".to_owned()).good(),
        StepEnd::RolledBack { cause } => {
            said(format!("rolled back, serving as before (proven). Cause: {}", cause.text)).bad(cause)
        }
        StepEnd::Failed { cause } if action == "rehearse" => said(format!("not begun: {}", cause.text)).bad(cause),
        StepEnd::Failed { cause } => said(format!("{action} failed: {}", cause.text)).bad(cause),
        StepEnd::Unknown { cause } => said(format!("{action} unknown: {}", cause.text)).bad(cause),
        StepEnd::Skipped { why } => match why {
            SkipReason::Needs { .. } if !delivers => said(format!("{action} not begun: {}", why.words())),
            SkipReason::Held { why } if action == "delete" => said(format!("its files are held: {why}")),
            SkipReason::Held { .. } => said(format!("{action} {}", why.words())),
            SkipReason::NodeMoved { .. } => Said {
                more: vec![plan.to_string()],
                ..said(format!("{action} not begun: {}; plan again", short_digests(&why.words())))
            },
            // Said once for all nodes, where it happened.
            SkipReason::Needs { .. }
            | SkipReason::ClusterStopped
            | SkipReason::Cancelled
            | SkipReason::Locked
            | SkipReason::NoLease
            | SkipReason::NotRecorded
            | SkipReason::Operator { .. } => return None,
        },
    })
}

/// Whether a step of a cluster is held by this.
fn is_held(why: &SkipReason, state: &RunState) -> bool {
    let steps = state.cluster_steps.values().flatten();
    steps.into_iter().any(|step| matches!(&step.end, Some(StepEnd::Skipped { why: other }) if other == why))
}

/// A step of a whole cluster; what it came to when it ended well was said as it was proven.
fn cluster_step_ended(cluster: &str, action: &str, end: &StepEnd) -> Option<Said> {
    let said = |words: String| Said::new(cluster, words);
    match end {
        StepEnd::RolledBack { cause } | StepEnd::Failed { cause } => {
            Some(said(format!("{action} failed: {}", cause.text)).bad(cause))
        }
        StepEnd::Unknown { cause } => Some(said(format!("{action} unknown: {}", cause.text)).bad(cause)),
        StepEnd::Skipped { why: SkipReason::Held { why } } => Some(said(format!("files are held: {why}"))),
        StepEnd::Skipped { why: SkipReason::Needs { .. } } => {
            Some(said("files stay, as not every node is without the plugin".to_owned()))
        }
        StepEnd::Done { .. } | StepEnd::Skipped { .. } => None,
    }
}

/// A text with as much of each digest as tells it from another.
fn short_digests(text: &str) -> String {
    let is_digest = |word: &str| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let not_hex = |c: char| !c.is_ascii_hexdigit();
    let parts = text.split_inclusive(not_hex).map(|part| {
        let hex = part.trim_end_matches(not_hex);
        if is_digest(hex) { format!("{}{}", &hex[..12], &part[64..]) } else { part.to_owned() }
    });
    parts.collect()
}

fn by_whom(by: Option<&str>) -> String {
    by.map(|by| format!(" by {by}")).unwrap_or_default()
}

fn cancelled(level: CancelLevel, by: Option<&str>) -> Said {
    let next = match level {
        CancelLevel::Close => Vec::new(),
        below => vec![format!("once more (Ctrl-C, SIGTERM): {}", below.next().words())],
    };
    Said {
        tone: Tone::Bad,
        more: next,
        ..Said::all(format!(
            "cancelling: {}{}",
            level.words(),
            by.map(|by| format!(", asked for by {by}")).unwrap_or_default()
        ))
    }
}

fn looked_again(counts: &SurveyCounts, left: &[String]) -> Said {
    let SurveyCounts { in_line, drift, blocked, unknown, stopped } = counts;
    let mut seen = parts(&[(*in_line, "in line"), (*drift, "drift"), (*blocked, "blocked"), (*unknown, "unknown")]);
    if *stopped > 0 {
        seen = format!("{seen}; {stopped} of {in_line} in line stopped, serving nothing");
    }
    let mut said = Said::all(format!("looked again: {}", if seen.is_empty() { "no nodes" } else { &seen }));
    said.more = left.iter().take(LEFT).cloned().collect();
    if left.len() > LEFT {
        said.more.push(format!("and {} more", left.len() - LEFT));
    }
    said
}

/// The last line of a run.
pub fn last_word(verdict: Verdict, state: &RunState) -> String {
    let counts = state.counts();
    let totals = if counts.total == 0 { String::new() } else { format!(". {}", counts.words()) };
    // Only a run that was cancelled in a pause ends with one.
    let paused = state.pause.as_ref().filter(|pause| pause.since.is_some());
    let paused = paused.map(|pause| format!("; it was {}", pause.words())).unwrap_or_default();
    format!("verdict: {}, exit {}{totals}{paused}", verdict.word(), verdict.exit())
}

fn run_ended(verdict: Verdict, exit: u8, state: &RunState) -> Said {
    let said = Said::all(last_word(verdict, state));
    if exit == 0 { said.good() } else { Said { tone: Tone::Bad, ..said } }
}

#[cfg(test)]
#[path = "text_tests.rs"]
pub(super) mod tests;
