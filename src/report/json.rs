//! One JSON object on each line: the events of a run as they are journalled (docs/events.md).

use std::io::{self, Write};

use jiff::Timestamp;
use serde::Serialize;

use crate::plan::Plan;
use crate::run::{Event, EventKind, Reporter, RunState, Verdict};

/// Writes each event as a line, at once.
pub struct JsonReporter<W> {
    out: W,
    /// The first error. A reader that went away must not stop the run: the journal has everything.
    broken: Option<io::Error>,
}

impl<W: Write + Send> JsonReporter<W> {
    /// Writes to this.
    pub const fn new(out: W) -> Self {
        Self { out, broken: None }
    }

    /// Why nothing more is written, if so.
    pub const fn broken(&self) -> Option<&io::Error> {
        self.broken.as_ref()
    }
}

impl<W: Write + Send> Reporter for JsonReporter<W> {
    fn event(&mut self, event: &Event, _: &RunState) {
        if self.broken.is_none() {
            self.broken = line(event, &mut self.out).err();
        }
    }
}

/// What an apply with nothing to carry out says: the plan, which tells what stands in the way if something does, then a
/// `run-ended` as every run has.
pub fn nothing_to_do(plan: &Plan, verdict: Verdict, at: Timestamp, out: &mut dyn Write) -> io::Result<()> {
    super::plan::json(plan, out)?;
    line(&Event { seq: 1, at, kind: EventKind::RunEnded { verdict, exit: verdict.exit() } }, out)
}

/// One value on one line, flushed.
pub(super) fn line(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::super::text::tests::recorded;
    use super::*;

    #[test]
    fn a_line_is_the_event_as_it_is_journalled() {
        let path =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/journals/FORMAT-1-rolled-back.jsonl");
        let journal = std::fs::read_to_string(path).unwrap();
        let mut out = Vec::new();
        let mut reporter = JsonReporter::new(&mut out);
        for event in recorded("rolled-back").events() {
            reporter.event(event, &RunState::default());
        }
        let (_head, lines) = journal.split_once('\n').unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), lines);
    }

    #[test]
    fn an_empty_apply_ends_like_every_run() {
        let plan = recorded("refused").plan().unwrap();
        let mut out = Vec::new();
        nothing_to_do(&plan, Verdict::Refused, "2026-03-02T14:05:00Z".parse().unwrap(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with(r#"{"muster":"plan","format":1,"#) && lines[0].contains("too-many-unreachable"));
        assert_eq!(
            lines[1],
            r#"{"seq":1,"at":"2026-03-02T14:05:00Z","event":"run-ended","verdict":"refused","exit":6}"#
        );
    }

    #[test]
    fn a_reader_that_went_away_stops_the_output_only() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut reporter = JsonReporter::new(Gone);
        for event in recorded("converged").events() {
            reporter.event(event, &RunState::default());
        }
        assert_eq!(reporter.broken().unwrap().kind(), io::ErrorKind::BrokenPipe);
    }
}
