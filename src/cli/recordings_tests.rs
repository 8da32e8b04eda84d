//! Reading recorded runs as the screen has it done: over real files.

use std::fs;
use std::path::Path;
use std::time::Instant;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::journal::Writer;
use crate::run::{Recorder as _, Verdict};

fn recorded(name: &str) -> journal::Journal {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/journals").join(format!("FORMAT-1-{name}.jsonl"));
    journal::read(&path).unwrap()
}

fn run_id(random: u128) -> RunId {
    RunId::from_parts(1_772_460_300_000, random)
}

/// Writes the beginning of a recorded journal as another run.
fn write(place: &Path, run: &RunId, name: &str, events: usize) -> Writer {
    let journal = recorded(name);
    let mut writer = Writer::create(place, run, &journal.plan().unwrap()).unwrap();
    for event in journal.events().take(events) {
        writer.record(event).unwrap();
    }
    writer.sync().unwrap();
    writer
}

fn reader(places: &[&Path]) -> (Arc<Recordings>, UnboundedReceiver<Message>) {
    let (sender, messages) = unbounded_channel();
    let places = places.iter().map(|place| place.to_path_buf()).collect();
    (Arc::new(Recordings::new(places, sender)), messages)
}

/// Everything that a list tells: the ids, what is wrong, and the last that is told of each run.
fn listed(
    recordings: &Recordings,
    messages: &mut UnboundedReceiver<Message>,
) -> (Vec<RunId>, Vec<String>, Vec<Recorded>) {
    recordings.list();
    let (mut ids, mut problems, mut last): (_, _, Vec<Recorded>) = (Vec::new(), Vec::new(), Vec::new());
    while let Ok(message) = messages.try_recv() {
        match message {
            Message::Runs(RunsHeard::Listed { runs, wrong }) => (ids, problems) = (runs, wrong),
            Message::Runs(RunsHeard::Told(told)) => {
                last.retain(|known| told.iter().all(|new| new.run != known.run));
                last.extend(told);
            }
            other => panic!("{other:?}"),
        }
    }
    last.sort_by(|a, b| b.run.cmp(&a.run));
    (ids, problems, last)
}

#[test]
fn every_run_is_told_with_what_it_came_to_and_a_damaged_one_hides_no_other() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    drop(write(dir.path(), &run_id(1), "converged", usize::MAX));
    drop(write(dir.path(), &run_id(2), "converged", 9));
    let at_work = write(other.path(), &run_id(3), "converged", 9);
    let damaged = write(dir.path(), &run_id(4), "rolled-back", usize::MAX);
    let text = fs::read_to_string(damaged.path()).unwrap();
    let lines: Vec<&str> = text.lines().enumerate().map(|(at, line)| if at == 20 { "{" } else { line }).collect();
    fs::write(damaged.path(), lines.join("\n") + "\n").unwrap();
    drop(damaged);
    let empty = dir.path().join(run_id(5).as_str());
    fs::create_dir(&empty).unwrap();
    fs::write(empty.join("journal.jsonl"), "").unwrap();

    let file = dir.path().join("a file");
    fs::write(&file, "").unwrap();
    let (recordings, mut messages) = reader(&[dir.path(), other.path(), &file, dir.path()]);
    let (ids, wrong, told) = listed(&recordings, &mut messages);
    assert_eq!(ids, [5, 4, 3, 2, 1].map(run_id), "the newest first, each once");
    assert!(wrong.len() == 1 && wrong[0].contains("a file"), "{wrong:?}");
    let came: Vec<Came> = told.iter().map(|run| run.came).collect();
    let converged = Came::To(Verdict::Converged);
    assert_eq!(came, [Came::NotReadable, Came::Damaged, Came::AtWork, Came::CutShort, converged]);
    assert!(told[0].trouble.as_deref().is_some_and(|why| why.contains("it has no whole line")), "{:?}", told[0]);
    assert!(told[1].trouble.as_deref().is_some_and(|why| why.contains("line 21")), "{:?}", told[1]);
    assert!(told[4].counts.is_some_and(|counts| counts.proven == 4), "{:?}", told[4]);

    let (_, _, again) = listed(&recordings, &mut messages);
    assert_eq!(again.iter().map(|run| &run.run).collect::<Vec<_>>(), [&run_id(3)], "only what may have changed");
    drop(at_work);
    let (_, _, again) = listed(&recordings, &mut messages);
    assert_eq!(again.iter().map(|run| run.came).collect::<Vec<_>>(), [Came::CutShort], "its writer is gone");
}

#[test]
fn a_glance_tells_the_same_as_all_of_a_journal() {
    for name in ["converged", "rolled-back", "locked", "refused", "interrupted", "removal", "cut-short"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/journals");
        let entry = Entry { run: run_id(1), path: path.join(format!("FORMAT-1-{name}.jsonl")) };
        let (glance, told) = (journal::glance(&entry), journal::told(&entry));
        assert_eq!(Recorded { counts: None, ..told }, glance, "{name}");
    }
}

#[test]
fn a_thousand_journals_are_listed_without_being_read_whole() {
    let dir = tempfile::tempdir().unwrap();
    let first = write(dir.path(), &run_id(0), "converged", 2);
    let text = fs::read(first.path()).unwrap();
    for number in 1..1_000 {
        // Written without the writer, which waits for the disk.
        let run = dir.path().join(run_id(number).as_str());
        fs::create_dir(&run).unwrap();
        fs::write(run.join("journal.jsonl"), &text).unwrap();
    }
    let (recordings, mut messages) = reader(&[dir.path()]);
    let (ids, _, told) = listed(&recordings, &mut messages);
    assert_eq!((ids.len(), told.len()), (1_000, 1_000));
}

async fn next(messages: &mut UnboundedReceiver<Message>) -> Reel {
    let message = tokio::time::timeout(Duration::from_mins(1), messages.recv()).await.expect("it comes in time");
    match message.expect("the reader holds the other end") {
        Message::Replay(_, reel) => reel,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_run_that_is_at_work_is_followed_until_its_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = write(dir.path(), &run_id(1), "converged", 5);
    let (recordings, mut messages) = reader(&[dir.path()]);
    let open = tokio::task::spawn(recordings.clone().open(run_id(1), writer.path().to_owned()));
    assert!(matches!(next(&mut messages).await, Reel::Plan(Ok(_))));
    assert!(matches!(next(&mut messages).await, Reel::Events { events, .. } if events.len() == 5));
    assert_eq!(next(&mut messages).await, Reel::Rest(Rest::On));
    for event in recorded("converged").events().skip(5) {
        writer.record(event).unwrap();
    }
    writer.sync().unwrap();
    let Reel::Events { events, .. } = next(&mut messages).await else { panic!("more events") };
    assert!(matches!(events.last().unwrap().kind, EventKind::RunEnded { verdict: Verdict::Converged, .. }));
    assert_eq!(next(&mut messages).await, Reel::Rest(Rest::Over { torn: false }), "though its file is still held");
    open.await.unwrap();
}

#[tokio::test]
async fn a_run_whose_writer_dies_is_over_and_a_torn_line_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let writer = write(dir.path(), &run_id(1), "converged", 5);
    let path = writer.path().to_owned();
    drop(writer);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, &text[..text.len() - 3]).unwrap();
    let (recordings, mut messages) = reader(&[dir.path()]);
    recordings.clone().open(run_id(1), path).await;
    next(&mut messages).await;
    assert!(matches!(next(&mut messages).await, Reel::Events { events, .. } if events.len() == 4));
    assert_eq!(next(&mut messages).await, Reel::Rest(Rest::Over { torn: true }));
}

#[tokio::test]
async fn a_recording_that_was_closed_is_not_read_on() {
    let dir = tempfile::tempdir().unwrap();
    let writer = write(dir.path(), &run_id(1), "converged", 5);
    let (recordings, _messages) = reader(&[dir.path()]);
    let open = tokio::task::spawn(recordings.clone().open(run_id(1), writer.path().to_owned()));
    let began = Instant::now();
    while !open.is_finished() {
        assert!(began.elapsed() < Duration::from_mins(1), "it goes on for ever");
        recordings.close();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_cannot_be_opened_is_said_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let (recordings, mut messages) = reader(&[dir.path()]);
    recordings.clone().open(run_id(1), dir.path().join("none")).await;
    let Some(Message::Failed { doing: Doing::Replay, notice }) = messages.recv().await else { panic!("a failure") };
    assert!(notice.text.contains("none") && !notice.hints.is_empty(), "{notice:?}");
}
