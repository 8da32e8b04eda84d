//! kill -9 of muster in the middle of a run: every node keeps serving, and the next apply gets there.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::fleet::{Operated, Prober};
use crate::harness;

/// The moments of an install: an event, and the phase or action with it.
const MOMENTS: [&str; 19] = [
    "run-started",
    "lease-taken",
    "step-started deliver",
    "step-progressed deliver",
    "step-ended deliver",
    "cluster-delivered",
    "wave-started",
    "step-started activate",
    "step-progressed guard",
    "step-progressed reload",
    "step-progressed prove",
    "step-proven",
    "step-progressed commit",
    "step-ended activate",
    "wave-proven",
    "waiting-for",
    "looked-again",
    "run-ended",
    // The end of the output.
    "",
];

pub(super) fn moment(line: &str) -> String {
    let event: serde_json::Value = serde_json::from_str(line).unwrap();
    let words = ["event", "phase", "action"].iter().filter_map(|key| event[*key].as_str());
    words.collect::<Vec<_>>().join(" ")
}

/// Runs an apply that is killed at this moment; every other time at the second node to come there.
fn killed_at(fleet: &Operated, wanted: &str, second: bool) {
    let mut command = fleet.muster(&["--apply", "--all", "--format", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen = lines.map(|line| moment(&line.unwrap())).filter(|seen| seen == wanted).take(1 + usize::from(second));
    let came = seen.by_ref().count();
    let _ = child.kill();
    child.wait().unwrap();
    assert!(came > 0 || wanted.is_empty(), "there was no {wanted}");
}

/// One death: how it looked, for the table.
fn die_and_finish(number: usize, fleet: &Operated) -> String {
    let wanted = MOMENTS[number];
    let of_a_node = wanted.starts_with("step") || wanted.starts_with("lease");
    let second = of_a_node && number % 2 == 1;
    let probers: Vec<_> = fleet.nodes.iter().map(|(_, node)| Prober::of(node)).collect();
    killed_at(fleet, wanted, second);
    let begun = Instant::now();
    let (code, said) = fleet.apply(Duration::from_secs(100));
    assert_eq!(code, Some(0), "killed at {wanted:?}, the next apply:\n{said}");
    let took = begun.elapsed();
    let (code, said) = fleet.run(&["--plan", "--detailed-exitcode"]);
    assert_eq!(code, Some(0), "killed at {wanted:?}, and then it is not in line:\n{said}");
    let mut asked = 0;
    for prober in probers {
        let (missed, count) = prober.missed();
        assert!(missed.is_empty(), "killed at {wanted:?}: {missed:?} of {count}");
        asked += count;
    }
    assert!(asked > 20, "nobody asked");
    format!("{number:2} {wanted:24} converged in {:4.1} s, {asked} requests answered", took.as_secs_f32())
}

#[test]
fn muster_killed_at_any_boundary_of_an_install_leaves_nodes_that_serve_and_the_next_apply_converges() {
    let (next, table) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(number) = Some(next.fetch_add(1, Ordering::SeqCst)).filter(|n| *n < MOMENTS.len()) {
                    let row = die_and_finish(number, &Operated::started(&["a", "b"]));
                    table.lock().unwrap().push(row);
                }
            });
        }
    });
    let mut table = table.into_inner().unwrap();
    table.sort();
    super::show(&table.join("\n"));
    assert_eq!(table.len(), MOMENTS.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_it_is_over_ssh_where_the_connection_dies_with_muster_or_outlives_it() {
    let Some(ssh) = harness::Fleet::of(&["a", "b"]).await else { return };
    let number = MOMENTS.iter().position(|moment| *moment == "step-progressed prove").unwrap();
    let config = ssh.ssh_config();
    let row = tokio::task::spawn_blocking(move || die_and_finish(number, &Operated::over_ssh(&["a", "b"], config)));
    super::show(&row.await.unwrap());
}

/// The children of a process, whichever of its threads started them.
fn children_of_threads(pid: i32) -> Vec<i32> {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let texts = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    texts.flat_map(|text| text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()).collect()
}

/// An apply of which everything dies in the middle of the proof: muster, its script, and the guard.
fn all_killed(fleet: &Operated) {
    killed_in_the_proof(fleet, true);
}

/// The same, with a say in whether the guard dies, too.
pub(super) fn killed_in_the_proof(fleet: &Operated, guard_too: bool) {
    let node = &fleet.nodes[0].1;
    node.change(|settings| settings.faults.slow_load = 1.0).unwrap();
    let mut command = fleet.muster(&["--apply", "--all", "--format", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let came = lines.map(|line| moment(&line.unwrap())).any(|seen| seen == "step-progressed prove");
    assert!(came, "there was no proof");
    let ready = std::fs::read_to_string(node.dir.join("muster/state/guard/ready")).unwrap();
    let guard: i32 = ready.split(' ').next().unwrap().parse().unwrap();
    let mut doomed: Vec<i32> = if guard_too { vec![guard] } else { vec![] };
    let mut parents = vec![i32::try_from(child.id()).unwrap()];
    while let Some(parent) = parents.pop() {
        parents.extend(children_of_threads(parent).into_iter().filter(|pid| guard_too || *pid != guard));
        doomed.push(parent);
    }
    for pid in doomed {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    }
    child.wait().unwrap();
    node.change(|settings| settings.faults.slow_load = 0.0).unwrap();
    assert!(node.dir.join("muster/state/guard/armed").exists(), "the guard did its work before it was killed");
}

#[test]
fn what_a_killed_guard_left_is_put_back_by_the_one_next_apply_which_converges() {
    // What was being installed is still wanted; or it is not any more, and nothing but putting back is left to do.
    for wanted in ["2.0.0", "1.0.0"] {
        let fleet = Operated::started(&["a"]);
        assert_eq!(fleet.run(&["--apply", "--all"]).0, Some(0));
        let prober = Prober::of(&fleet.nodes[0].1);
        fleet.commit("2.0.0", "present");
        all_killed(&fleet);
        fleet.commit(wanted, "present");
        let (code, said) = fleet.run(&["--plan", "--detailed-exitcode"]);
        assert_eq!(code, Some(2), "{wanted}: {said}");
        let one_line = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let words = "was left unfinished, and its guard died: it is put back first";
        assert!(one_line.contains(words), "{wanted}: {said}");
        let (code, said) = fleet.run(&["--apply", "--all"]);
        assert_eq!(code, Some(0), "{wanted}: {said}");
        assert!(said.contains("verdict: converged"), "{wanted}: {said}");
        let (code, said) = fleet.run(&["--plan", "--detailed-exitcode"]);
        assert_eq!(code, Some(0), "{wanted}: {said}");
        let receipts = std::fs::read_dir(fleet.nodes[0].1.dir.join("muster/state/receipts")).unwrap().flatten();
        let undone = receipts
            .filter(|receipt| std::fs::read_to_string(receipt.path()).unwrap().contains("result undone proved"));
        assert_eq!(undone.count(), 1, "{wanted}");
        let answer = super::fleet::ask((fleet.nodes[0].1.address, muster::standin::site::PROXY).into()).unwrap();
        assert!(answer.to_lowercase().contains(&format!("x-plugin-acme-auth: {wanted}")), "{answer}");
        let (missed, asked) = prober.missed();
        assert!(missed.is_empty() && asked > 20, "{wanted}: {missed:?} of {asked}");
    }
}
