//! kill -9 of muster in the middle of a run: every node keeps serving, and the next apply gets there.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::fleet::{Operated, Prober};

/// Runs an apply that is killed after its Nth event. The kind of that event; `None` if it ended before.
fn killed_after(fleet: &Operated, events: usize) -> Option<String> {
    let mut command = fleet.muster(&["--apply", "--all", "--format", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let last = lines.by_ref().take(events).map(Result::unwrap).enumerate().last();
    let _ = child.kill();
    child.wait().unwrap();
    let (number, line) = last?;
    let event: serde_json::Value = serde_json::from_str(&line).unwrap();
    (number + 1 == events).then(|| event["kind"].as_str().map_or_else(|| line.clone(), str::to_owned))
}

/// One death: how it looked, for the table.
fn die_and_finish(events: usize) -> Option<String> {
    let fleet = Operated::started(&["a", "b"]);
    let probers: Vec<_> = fleet.nodes.iter().map(|(_, node)| Prober::of(node)).collect();
    let kind = killed_after(&fleet, events)?;
    let begun = Instant::now();
    let (code, said) = fleet.apply(Duration::from_secs(100));
    assert_eq!(code, Some(0), "killed after event {events} ({kind}), the next apply:\n{said}");
    let took = begun.elapsed();
    let (code, said) = fleet.run(&["--plan", "--detailed-exitcode"]);
    assert_eq!(code, Some(0), "killed after event {events} ({kind}), and then it is not in line:\n{said}");
    let mut asked = 0;
    for prober in probers {
        let (missed, count) = prober.missed();
        assert!(missed.is_empty(), "killed after event {events} ({kind}): {missed:?} of {count}");
        asked += count;
    }
    assert!(asked > 20, "nobody asked");
    Some(format!("after event {events:2} {kind:20} converged in {:4.1} s, {asked} requests", took.as_secs_f32()))
}

#[test]
fn muster_killed_after_any_event_of_an_install_leaves_nodes_that_serve_and_the_next_apply_converges() {
    let (next, ended) = (AtomicUsize::new(1), AtomicUsize::new(usize::MAX));
    let table = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                loop {
                    let events = next.fetch_add(1, Ordering::SeqCst);
                    if events >= ended.load(Ordering::SeqCst) {
                        break;
                    }
                    match die_and_finish(events) {
                        Some(row) => table.lock().unwrap().push(row),
                        None => drop(ended.fetch_min(events, Ordering::SeqCst)),
                    }
                }
            });
        }
    });
    let mut table = table.into_inner().unwrap();
    table.sort();
    println!("{}", table.join("\n"));
    assert!(table.len() > 12, "only {} deaths", table.len());
}
