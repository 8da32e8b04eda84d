//! What was heard of each node and cluster in a run, in order, with times. Bounded: a run of 5,000 nodes that talk all the time
//! keeps its latest lines, and says how many it dropped.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jiff::Timestamp;

use super::shown::shown;
use crate::name::{ClusterName, NodeName};
use crate::run::{Cause, Event, EventKind, Outcome, StepEnd, StepPhase};

/// Whose log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A node's.
    Node(NodeName),
    /// A cluster's: its own steps, its waves, and why it was stopped.
    Cluster(ClusterName),
}

/// Who says a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Voice {
    /// The run: what it does and sees.
    Run,
    /// The run, of something that holds.
    Good,
    /// The run, of something that went wrong.
    Bad,
    /// What a step printed on the node.
    Printed,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was heard.
    pub at: Timestamp,
    /// Who says it.
    pub voice: Voice,
    /// What: clean, on one line.
    pub text: Box<str>,
}

/// The lines of one subject. They are numbered from 0 as they come, whatever is dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    dropped: u64,
    lines: VecDeque<LogLine>,
    bytes: usize,
    telling: Option<u64>,
}

/// How many bytes of one line are kept. Nobody reads a line of a megabyte to its end here; the journal has all of it.
const LINE: usize = 64 << 10;
/// How many lines and bytes of one subject are kept.
const LINES: usize = 5_000;
const BYTES: usize = 2 << 20;
/// How many bytes of all subjects are kept.
const ALL: usize = 64 << 20;
/// What a line costs besides its text.
const COST: usize = size_of::<LogLine>();

impl Log {
    /// The number of the first line that is kept: so many were dropped.
    pub const fn first(&self) -> u64 {
        self.dropped
    }

    /// The number behind the last line.
    pub fn end(&self) -> u64 {
        self.dropped + self.lines.len() as u64
    }

    /// A line by its number; `None` for one that was dropped or has not come yet.
    pub fn line(&self, number: u64) -> Option<&LogLine> {
        self.lines.get(usize::try_from(number.checked_sub(self.dropped)?).ok()?)
    }

    /// The last line that tells more than how far it is: what was printed, proven, or found to be wrong.
    pub fn telling(&self) -> Option<&LogLine> {
        self.line(self.telling?)
    }

    fn push(&mut self, line: LogLine) -> isize {
        let before = self.bytes;
        self.bytes += line.text.len() + COST;
        self.lines.push_back(line);
        while self.lines.len() > LINES || self.bytes > BYTES {
            self.drop_first();
        }
        self.bytes.cast_signed() - before.cast_signed()
    }

    fn drop_first(&mut self) {
        if let Some(line) = self.lines.pop_front() {
            self.bytes -= line.text.len() + COST;
            self.dropped += 1;
        }
    }
}

/// The logs of a run.
#[derive(Debug, Clone, Default)]
pub struct Logs {
    nodes: BTreeMap<NodeName, Log>,
    clusters: BTreeMap<ClusterName, Log>,
    /// Nodes whose last step that began is a trial load: what it finds is no proof.
    rehearsing: BTreeSet<NodeName>,
    bytes: usize,
}

impl Logs {
    /// The log of a subject; `None` before anything was heard.
    pub fn of(&self, subject: &Subject) -> Option<&Log> {
        match subject {
            Subject::Node(node) => self.nodes.get(node),
            Subject::Cluster(cluster) => self.clusters.get(cluster),
        }
    }

    /// The log of a node; `None` before anything was heard.
    pub fn of_node(&self, node: &NodeName) -> Option<&Log> {
        self.nodes.get(node)
    }

    /// Takes in what an event says.
    pub fn take(&mut self, event: &Event) {
        let at = event.at;
        match &event.kind {
            EventKind::WaveStarted { cluster, wave, of, nodes } => {
                let text = format!("wave {wave} of {of} begins");
                for node in nodes {
                    self.node(at, node, Voice::Run, &text);
                }
                self.cluster(at, cluster, Voice::Run, &text);
            }
            kind => self.take_node(at, kind),
        }
    }

    fn take_node(&mut self, at: Timestamp, kind: &EventKind) {
        match kind {
            EventKind::LeaseTaken { node } => self.node(at, node, Voice::Run, "lease taken"),
            EventKind::LeaseRefused { node, cause } => self.cause(at, node, "held by another run", cause),
            EventKind::LeaseFailed { node, cause } => self.cause(at, node, "its lease could not be taken", cause),
            EventKind::StepStarted { node, action, about, .. } => {
                if action == "rehearse" {
                    self.rehearsing.insert(node.clone());
                } else {
                    self.rehearsing.remove(node);
                }
                self.node(at, node, Voice::Run, &format!("{action} begins: {about}"));
            }
            EventKind::StepProgressed { node, phase, text, .. } => {
                self.node(at, node, Voice::Run, &format!("{}: {text}", phase_word(*phase)));
            }
            EventKind::StepPrinted { node, line, .. } => self.node(at, node, Voice::Printed, line),
            EventKind::StepProven { node, text, .. } if self.rehearsing.contains(node) => {
                self.node(at, node, Voice::Run, text);
            }
            EventKind::StepProven { node, text, .. } => self.node(at, node, Voice::Good, &format!("{PROVEN}{text}")),
            EventKind::StepEnded { node, action, end, .. } => self.step_ended(at, node, action, end),
            EventKind::NodeUnhealthy { node, cause } => self.cause(at, node, "did not stay healthy", cause),
            EventKind::NodeSkipped { node, by } => self.node(at, node, Voice::Run, &format!("skipped by {by}")),
            EventKind::SkipRefused { node, by, why } => {
                self.node(at, node, Voice::Run, &format!("not skipped, though {by} asked for it: {why}"));
            }
            EventKind::LookedAgain { settled, .. } => {
                for node in settled {
                    self.node(at, node, Voice::Good, "it was unknown, and was seen in line");
                }
            }
            kind => self.take_cluster(at, kind),
        }
    }

    fn take_cluster(&mut self, at: Timestamp, kind: &EventKind) {
        match kind {
            EventKind::ClusterStepStarted { cluster, action, about, .. } => {
                self.cluster(at, cluster, Voice::Run, &format!("{action} begins: {about}"));
            }
            EventKind::ClusterStepProgressed { cluster, text, .. } => self.cluster(at, cluster, Voice::Run, text),
            EventKind::ClusterStepProven { cluster, text, .. } => self.cluster(at, cluster, Voice::Good, text),
            EventKind::ClusterStepEnded { cluster, action, end, .. } => {
                for (voice, text) in ends(action, end) {
                    self.cluster(at, cluster, voice, &text);
                }
            }
            EventKind::ClusterDelivered { cluster, nodes, .. } => {
                self.cluster(at, cluster, Voice::Good, &format!("delivered to {nodes} nodes"));
            }
            EventKind::WaveProven { cluster, wave, soak } => {
                let soaked = if *soak > 0 { format!(", healthy for {soak} s") } else { String::new() };
                self.cluster(at, cluster, Voice::Good, &format!("wave {wave} proven{soaked}"));
            }
            EventKind::StepsAdded { cluster, cause, .. } => {
                self.cluster(at, cluster, Voice::Bad, &format!("putting back: {}", cause.text));
            }
            EventKind::ClusterStopped { cluster, why, .. } => {
                self.cluster(at, cluster, Voice::Bad, &format!("stopped: {why}"));
            }
            EventKind::RunPaused { cluster, wave, by } => {
                let after = if *wave == 0 { "before its first wave".to_owned() } else { format!("after wave {wave}") };
                self.cluster(at, cluster, Voice::Run, &format!("paused {after} by {by}"));
            }
            _ => {}
        }
    }

    fn step_ended(&mut self, at: Timestamp, node: &NodeName, action: &str, end: &StepEnd) {
        for (voice, text) in ends(action, end) {
            self.node(at, node, voice, &text);
        }
    }

    fn cause(&mut self, at: Timestamp, node: &NodeName, what: &str, cause: &Cause) {
        for (voice, text) in told(what, cause) {
            self.node(at, node, voice, &text);
        }
    }

    fn node(&mut self, at: Timestamp, node: &NodeName, voice: Voice, text: &str) {
        if !self.nodes.contains_key(node) {
            self.nodes.insert(node.clone(), Log::default());
        }
        let Some(log) = self.nodes.get_mut(node) else { return };
        self.bytes = self.bytes.saturating_add_signed(say(log, at, voice, text));
        self.bound();
    }

    fn cluster(&mut self, at: Timestamp, cluster: &ClusterName, voice: Voice, text: &str) {
        let log = self.clusters.entry(cluster.clone()).or_default();
        self.bytes = self.bytes.saturating_add_signed(say(log, at, voice, text));
        self.bound();
    }

    /// Over the bound, the longest log loses the older half of its bytes: whoever talks most has most to lose, and a search for it
    /// is rare.
    fn bound(&mut self) {
        while self.bytes > ALL {
            let logs = self.nodes.values_mut().chain(self.clusters.values_mut());
            let Some(longest) = logs.max_by_key(|log| log.bytes).filter(|log| !log.lines.is_empty()) else { return };
            let half = longest.bytes / 2;
            while longest.bytes > half {
                let before = longest.bytes;
                longest.drop_first();
                self.bytes -= before - longest.bytes;
            }
        }
    }
}

/// Adds a line, unless the last one said the same: what a step waits for is said again and again.
fn say(log: &mut Log, at: Timestamp, voice: Voice, text: &str) -> isize {
    let text = kept(text);
    if voice == Voice::Run && log.lines.back().is_some_and(|last| last.voice == voice && *last.text == *text) {
        return 0;
    }
    let tells = match voice {
        Voice::Run => false,
        Voice::Printed | Voice::Bad => true,
        Voice::Good => text.starts_with(PROVEN),
    };
    if tells {
        log.telling = Some(log.end());
    }
    log.push(LogLine { at, voice, text: text.into() })
}

const PROVEN: &str = "proven: ";

/// As much of a line as is kept; it is cut before it is cleaned.
fn kept(text: &str) -> String {
    if text.len() <= LINE {
        return shown(text);
    }
    let cut = text.floor_char_boundary(LINE);
    format!("{} [{} KiB of this line are only in the journal]", shown(&text[..cut]), (text.len() - cut).div_ceil(1024))
}

const fn phase_word(phase: StepPhase) -> &'static str {
    match phase {
        StepPhase::Deliver => "deliver",
        StepPhase::Rehearse => "trial",
        StepPhase::Guard => "guard",
        StepPhase::Reload => "reload",
        StepPhase::Prove => "prove",
        StepPhase::Commit => "commit",
        StepPhase::PutBack => "put back",
        StepPhase::Delete => "files",
    }
}

/// What the end of a step says.
fn ends(action: &str, end: &StepEnd) -> Vec<(Voice, String)> {
    match end {
        StepEnd::Done { outcome: Outcome::Changed } => vec![(Voice::Good, format!("{action} done"))],
        StepEnd::Done { outcome: Outcome::Unchanged } if action == "rehearse" => {
            vec![(Voice::Good, "trial load over, nothing was changed".to_owned())]
        }
        StepEnd::Done { outcome: Outcome::Unchanged } => {
            vec![(Voice::Good, format!("{action}: was so already, nothing changed"))]
        }
        StepEnd::Done { outcome: Outcome::Edited } => {
            vec![(Voice::Run, format!("{action}: edited; Kong is stopped, so nothing is proven"))]
        }
        StepEnd::RolledBack { cause } => told(&format!("{action} rolled back, serving as before"), cause),
        StepEnd::Failed { cause } => told(&format!("{action} failed"), cause),
        StepEnd::Unknown { cause } => told(&format!("{action} unknown"), cause),
        StepEnd::Skipped { why } => vec![(Voice::Run, format!("{action} not begun: {}", why.words()))],
    }
}

fn told(what: &str, cause: &Cause) -> Vec<(Voice, String)> {
    let first = (Voice::Bad, format!("{what}: {}  ({})", cause.text, cause.code));
    let details = cause.details.iter().map(|line| (Voice::Bad, format!("  {line}")));
    let hints = cause.hints.iter().map(|hint| (Voice::Run, format!("  to do: {hint}")));
    std::iter::once(first).chain(details).chain(hints).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::StepId;

    fn node(name: &str) -> NodeName {
        NodeName::parse(name).unwrap()
    }

    fn step() -> StepId {
        serde_json::from_value(serde_json::json!(1)).unwrap()
    }

    fn event(kind: EventKind) -> Event {
        Event { seq: 1, at: Timestamp::UNIX_EPOCH, kind }
    }

    fn printed(name: &str, line: String) -> Event {
        event(EventKind::StepPrinted { step: step(), node: node(name), line })
    }

    fn texts(logs: &Logs, subject: &Subject) -> Vec<String> {
        let Some(log) = logs.of(subject) else { return Vec::new() };
        (log.first()..log.end()).filter_map(|number| Some(log.line(number)?.text.to_string())).collect()
    }

    #[test]
    fn each_node_has_its_own_lines_in_order() {
        let mut logs = Logs::default();
        let (about, action) = ("acme-auth".to_owned(), "activate".to_owned());
        logs.take(&event(EventKind::StepStarted { step: step(), node: node("a"), action, about }));
        logs.take(&printed("b", "other".to_owned()));
        logs.take(&printed("a", "one".to_owned()));
        assert_eq!(texts(&logs, &Subject::Node(node("a"))), ["activate begins: acme-auth", "one"]);
        assert_eq!(texts(&logs, &Subject::Node(node("b"))), ["other"]);
        assert_eq!(texts(&logs, &Subject::Node(node("c"))), [""; 0]);
    }

    #[test]
    fn what_is_waited_for_is_said_once_and_what_is_printed_each_time() {
        let mut logs = Logs::default();
        let (phase, text) = (StepPhase::Prove, "still loading".to_owned());
        let waits = event(EventKind::StepProgressed { step: step(), node: node("a"), phase, text });
        logs.take(&waits);
        logs.take(&waits);
        logs.take(&printed("a", "x".to_owned()));
        logs.take(&printed("a", "x".to_owned()));
        assert_eq!(texts(&logs, &Subject::Node(node("a"))), ["prove: still loading", "x", "x"]);
    }

    #[test]
    fn a_line_of_a_megabyte_is_cut_and_says_so() {
        let mut logs = Logs::default();
        logs.take(&printed("a", "é".repeat(1 << 19)));
        let text = texts(&logs, &Subject::Node(node("a"))).remove(0);
        assert!(text.len() < LINE + 100, "{}", text.len());
        assert!(text.ends_with(" [960 KiB of this line are only in the journal]"), "{}", &text[LINE - 10..]);
    }

    #[test]
    fn a_log_keeps_its_latest_lines_and_their_numbers() {
        let mut logs = Logs::default();
        for number in 0..LINES + 10 {
            logs.take(&printed("a", format!("line {number}")));
        }
        let log = logs.of(&Subject::Node(node("a"))).unwrap();
        assert_eq!((log.first(), log.end()), (10, LINES as u64 + 10));
        assert_eq!(log.line(9), None);
        assert_eq!(&*log.line(10).unwrap().text, "line 10");
        assert_eq!(log.line(log.end()), None);
    }

    #[test]
    fn all_logs_together_are_bounded_and_the_longest_loses_first() {
        let mut logs = Logs::default();
        logs.take(&printed("quiet", "the only line".to_owned()));
        let long = "x".repeat(LINE);
        for number in 0..64 {
            for _ in 0..40 {
                logs.take(&printed(&format!("node-{number}"), long.clone()));
            }
        }
        assert!(logs.bytes <= ALL, "{}", logs.bytes);
        let sum: usize = logs.nodes.values().map(|log| log.bytes).sum();
        assert_eq!(sum, logs.bytes, "what is counted is what is there");
        assert_eq!(texts(&logs, &Subject::Node(node("quiet"))), ["the only line"]);
    }

    #[test]
    fn the_last_line_that_tells_something_is_known() {
        let mut logs = Logs::default();
        let telling = |logs: &Logs| logs.of(&Subject::Node(node("a")))?.telling().map(|line| line.text.to_string());
        logs.take(&event(EventKind::LeaseTaken { node: node("a") }));
        assert_eq!(telling(&logs), None);
        logs.take(&printed("a", "one".to_owned()));
        assert_eq!(telling(&logs).as_deref(), Some("one"));
        let text = "2 new workers".to_owned();
        logs.take(&event(EventKind::StepProven { step: step(), node: node("a"), text }));
        let end = StepEnd::Done { outcome: Outcome::Changed };
        logs.take(&event(EventKind::StepEnded { step: step(), node: node("a"), action: "activate".to_owned(), end }));
        assert_eq!(telling(&logs).as_deref(), Some("proven: 2 new workers"));
    }

    #[test]
    fn nothing_that_a_terminal_would_obey_is_kept() {
        let mut logs = Logs::default();
        logs.take(&printed("a", "a\u{1b}[2Jb\u{202e}".to_owned()));
        assert_eq!(texts(&logs, &Subject::Node(node("a"))), ["a\u{fffd}[2Jb\u{fffd}"]);
    }

    #[test]
    fn a_failure_is_told_with_what_to_do() {
        let mut logs = Logs::default();
        let cause = Cause {
            code: "reload-failed".to_owned(),
            text: "no module".to_owned(),
            details: vec!["more".to_owned()],
            hints: vec![crate::hint::Hint::do_("add it")],
        };
        let end = StepEnd::RolledBack { cause };
        logs.take(&event(EventKind::StepEnded { step: step(), node: node("a"), action: "activate".to_owned(), end }));
        let said = ["activate rolled back, serving as before: no module  (reload-failed)", "  more", "  to do: add it"];
        assert_eq!(texts(&logs, &Subject::Node(node("a"))), said);
    }
}
