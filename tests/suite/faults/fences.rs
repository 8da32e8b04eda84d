//! What keeps the files of a removal: old workers that still have a request, orphans' rows; and what keeps a lease.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use muster::action::Action;
use muster::execute::Control;
use muster::execute::look::LookSettings;
use muster::fleet::{Applied, Apply, Desired, Fleet, Source};
use muster::plan::Selection;
use muster::remote::LocalConnect;
use muster::run::{Fate, Verdict};
use muster::standin::site;
use serde_json::{Value, json};

use super::fleet::Operated;
use super::killed::killed_in_the_proof;

/// Two nodes that have `acme-auth`, which is now to go.
fn to_go() -> Operated {
    let fleet = Operated::started(&["a", "b"]);
    let (code, said) = fleet.run(&["--apply", "--all"]);
    assert_eq!(code, Some(0), "{said}");
    fleet.commit_plugins(&[], &["acme-auth: { state: absent, unapply: delete }"]);
    fleet
}

/// A request of which the half was sent: the worker that took it stays until it has the rest.
fn half_a_request(fleet: &Operated) -> TcpStream {
    let mut stream = TcpStream::connect((fleet.nodes[0].1.address, site::PROXY)).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream
}

fn other_half(mut stream: TcpStream) {
    stream.write_all(b"Host: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.to_lowercase().contains("x-plugin-acme-auth"), "{answer}");
}

fn with_files(fleet: &Operated) -> usize {
    let has = |dir: &std::path::Path| dir.join("lua/kong/plugins/acme-auth/handler.lua").is_file();
    fleet.nodes.iter().filter(|(_, node)| has(&node.dir)).count()
}

#[test]
fn files_wait_for_the_old_worker_that_still_answers_a_request_by_them() {
    let fleet = to_go();
    let stream = half_a_request(&fleet);
    let mut command = fleet.muster(&["--apply", "--all", "--format", "json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let waits = lines.find(|line| line.contains("1 old worker still at work")).expect("nobody waits");
    let waits: Value = serde_json::from_str(&waits).unwrap();
    assert_eq!((waits["event"].as_str(), waits["cluster"].as_str()), (Some("cluster-step-progressed"), Some("eu")));
    assert_eq!(with_files(&fleet), 2);
    other_half(stream);
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest:#?}");
    assert!(rest.iter().any(|line| line.contains("their old workers have ended")), "{rest:#?}");
    assert_eq!(with_files(&fleet), 0);
}

/// Applies in this process, with so many seconds of patience for old workers.
fn applied_with(fleet: &Operated, limit: u64) -> Applied {
    let source = Source { repo: fleet.repo(), rev: "HEAD".to_owned(), inventory: None };
    let desired = Desired::read(&source).unwrap_or_else(|error| panic!("{error}"));
    let path = crate::harness::variable("PATH").unwrap_or_default();
    let connect = Arc::new(LocalConnect::new([("PATH".to_owned(), path.into())]));
    let muster = Fleet::new(desired, connect, LookSettings::for_cores(2), &muster::fleet::Access::default());
    let muster = Arc::new(muster.unwrap_or_else(|error| panic!("{error}")));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let picture = muster.look(now(), &|_, _| {}).await;
        let mut plan = muster.plan(&picture, Selection::default(), Vec::new());
        for step in &mut plan.steps {
            if let Action::Fence(fence) = &mut step.action {
                fence.limit = limit;
            }
        }
        let apply = Apply {
            plan: Arc::new(plan),
            picture,
            selection: Selection::default(),
            allow: Vec::new(),
            operator: "ops@here".to_owned(),
            runs: fleet.dir().join("runs"),
            reporters: Vec::new(),
            control: Control::new(),
            clock: Arc::new(now),
        };
        muster.apply(apply).await.unwrap()
    })
}

#[expect(clippy::disallowed_methods, reason = "a test has no Env whose clock it could take")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

#[test]
fn an_old_worker_that_outlives_the_patience_holds_the_files_of_all_nodes() {
    let fleet = to_go();
    let stream = half_a_request(&fleet);
    let Applied { state, .. } = applied_with(&fleet, 1);
    let counts = state.counts();
    assert_eq!((state.verdict, counts.total, counts.held, counts.not_tried), (Some(Verdict::NotReached), 2, 2, 0));
    for node in state.nodes.values() {
        assert_eq!((node.fate, node.now.as_str()), (Fate::Held, "proven; files held: a: 1 old worker still at work"));
    }
    let word = muster::report::text::last_word(Verdict::NotReached, &state);
    assert_eq!(word, "verdict: not reached, exit 3. 0 of 2 nodes proven, 2 with files held");
    assert_eq!(with_files(&fleet), 2);
    other_half(stream);
    // The next run has only the third step left.
    let (code, said) = fleet.run(&["--apply", "--all"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("files deleted") && !said.contains("activating"), "{said}");
    assert_eq!(with_files(&fleet), 0);
}

#[test]
fn rows_of_an_orphan_are_told_by_the_names_of_what_they_are_applied_to() {
    let fleet = Operated::started(&["a"]);
    assert_eq!(fleet.run(&["--apply", "--all"]).0, Some(0));
    let billing = fleet.service("billing");
    fleet.admin(0, ("POST", &format!("/services/{billing}/plugins")), &json!({ "name": "acme-auth" }), 201);
    fleet.plugin("other", "1.0.0");
    fleet.commit_text(&["other"], &["other: present"], "prune: true\n");
    let (_, said) = fleet.run(&["--plan"]);
    assert!(said.contains("service billing") && !said.contains(&billing), "{said}");
}

#[test]
fn a_lease_is_not_taken_away_while_a_guard_of_its_run_will_put_back() {
    let fleet = Operated::started(&["a"]);
    killed_in_the_proof(&fleet, false);
    let (code, said) = fleet.run(&["unlock", "eu", "--yes"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("unlocked no node") && said.contains("a stays as it is") && said.contains("guard"), "{said}");
    let lease = std::fs::read_to_string(fleet.nodes[0].1.dir.join("muster/state/lease")).unwrap();
    assert!(lease.contains("generation 1\n"), "{lease}");
    // Once it has put back, the next apply gets there.
    std::fs::write(fleet.nodes[0].1.dir.join("muster/state/guard/fire"), "").unwrap();
    let (code, said) = fleet.apply(Duration::from_mins(1));
    assert_eq!(code, Some(0), "{said}");
}
