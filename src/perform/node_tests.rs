use std::time::Duration;

use super::*;
use crate::action::{Deliver, ReloadWay};
use crate::name::{BundlePath, ClusterName, Digest, RunId};
use crate::perform::Parcel;
use crate::perform::gateway::{self, Gateway, NEW, Notes, OLD, stage};
use crate::perform::scripted::{self, Scripted};
use crate::plan::{Phase, Target};
use crate::remote::{Connect as _, Ended, NodeAddress, Script};
use crate::run::{Outcome, SkipReason};
use crate::wire::Status;

/// A connection each time it is asked for.
struct Direct(Scripted);

#[async_trait]
impl Reach for Direct {
    async fn reach(&self, address: &NodeAddress) -> Result<Arc<dyn Remote>, RemoteError> {
        self.0.connect(address).await
    }
    async fn forget(&self, _: &NodeName) {
        self.0.die();
    }
}

fn node() -> NodeName {
    NodeName::parse("eu-1").unwrap()
}

fn performer(scripted: &Scripted) -> NodePerformer {
    let place = Place { site: scripted::site("eu-1"), doors: gateway::doors() };
    let files = BTreeMap::from([(BundlePath::parse("kong/plugins/acme-auth/handler.lua").unwrap(), Digest::of(b"h"))]);
    let parcel = Arc::new(Parcel { bytes: b"targz".to_vec(), files });
    let cargo = BTreeMap::from([(gateway::digest(), parcel)]);
    let identity = scripted::identity();
    NodePerformer::new(
        Arc::new(Direct(scripted.clone())),
        BTreeMap::from([(node(), place)]),
        Arc::new(cargo),
        identity,
        Settings::default(),
    )
}

fn step(action: Action) -> Step {
    Step {
        id: serde_json::from_value(4.into()).unwrap(),
        cluster: ClusterName::parse("eu").unwrap(),
        target: Target::Node(node()),
        phase: Phase::Prepare,
        action,
        why: String::new().into(),
        needs: Vec::new(),
    }
}

fn delivery() -> Step {
    step(Action::Deliver(Deliver { bundle: gateway::bundle(), digest: gateway::digest(), repair: false }))
}

#[tokio::test]
async fn the_lease_is_taken_shown_by_each_script_and_given_back() {
    let scripted = Scripted::default();
    scripted.plays(Script::Lease, "lease 8 600 b1", Status::Changed);
    scripted.plays(Script::Deliver, "release /var/lib/muster/releases/x", Status::Changed);
    let performer = performer(&scripted);
    performer.acquire(&node()).await.unwrap();
    let end = performer.perform(&delivery(), &Notes::default()).await;
    assert_eq!(end, StepEnd::Done { outcome: Outcome::Changed });
    performer.release(&node()).await;
    performer.release(&node()).await;
    let calls = scripted.calls();
    assert_eq!(calls.len(), 3, "a lease is given back once");
    assert_eq!((calls[0].args.get("op"), calls[0].args.get("holder")), (Some("take"), Some("ops@here")));
    for (key, value) in [
        ("generation", "8".to_owned()),
        ("step", "4".to_owned()),
        ("bundle", "acme-auth".to_owned()),
        ("file_1", format!("{} kong/plugins/acme-auth/handler.lua", Digest::of(b"h"))),
    ] {
        assert_eq!(calls[1].args.get(key), Some(value.as_str()), "{key}");
    }
    assert_eq!(calls[1].payload.as_deref(), Some(&b"targz"[..]));
    assert_eq!((calls[2].args.get("op"), calls[2].args.get("generation")), (Some("release"), Some("8")));
}

#[tokio::test]
async fn a_node_that_is_seen_later_can_be_changed_from_then_on() {
    let scripted = Scripted::default();
    scripted.plays(Script::Lease, "lease 8 600 b1", Status::Changed);
    let performer = performer(&scripted);
    let late = NodeName::parse("eu-2").unwrap();
    let refusal = performer.acquire(&late).await.unwrap_err();
    assert!(matches!(&refusal, LeaseRefusal::Failed(cause) if cause.code == "unknown-node"), "{refusal:?}");
    performer.at(BTreeMap::from([(late.clone(), Place { site: scripted::site("eu-2"), doors: gateway::doors() })]));
    performer.acquire(&late).await.unwrap();
    assert_eq!(scripted.calls().len(), 1);
}

#[tokio::test]
async fn a_held_lease_names_its_holder_and_a_broken_one_is_a_failure() {
    let scripted = Scripted::default();
    scripted.plays(Script::Lease, "locked cron@ops 01RUN 42", Status::Locked);
    let held = performer(&scripted).acquire(&node()).await.unwrap_err();
    let LeaseRefusal::Held(cause) = held else { panic!("{held:?}") };
    assert_eq!(cause.text, "eu-1 is held by cron@ops, run 01RUN, for 42 s more");
    scripted.plays(Script::Lease, "locked guard 01RUN.3 17", Status::Locked);
    let LeaseRefusal::Held(cause) = performer(&scripted).acquire(&node()).await.unwrap_err() else { panic!() };
    assert!(cause.text.contains("step 01RUN.3") && cause.text.contains("17 s"), "{}", cause.text);
    for (lines, status, code) in [
        ("problem home-unusable /var/lib/muster", Status::Refused, "home-unusable"),
        ("", Status::Changed, "garbled"),
        ("", Status::Failed, "script-failed"),
    ] {
        scripted.plays(Script::Lease, lines, status);
        let refusal = performer(&scripted).acquire(&node()).await.unwrap_err();
        assert!(matches!(&refusal, LeaseRefusal::Failed(cause) if cause.code == code), "{refusal:?}");
    }
    scripted.refuses(Fault::TimedOut);
    let refusal = performer(&scripted).acquire(&node()).await.unwrap_err();
    assert!(matches!(&refusal, LeaseRefusal::Failed(cause) if cause.code == "timed-out"), "{refusal:?}");
}

#[tokio::test]
async fn a_delivery_ends_as_its_script_says() {
    let scripted = Scripted::default();
    scripted.plays(Script::Lease, "lease 8 600 b1", Status::Changed);
    let performer = performer(&scripted);
    let notes = Notes::default();
    for (lines, status, code) in [
        ("problem unpack 12", Status::Failed, "no-space"),
        ("problem unreadable /srv/muster", Status::Refused, "unreadable"),
        ("problem content handler.lua", Status::Failed, "content"),
        ("locked other@host 01RUN 9", Status::Locked, "locked"),
    ] {
        scripted.plays(Script::Deliver, lines, status);
        let end = performer.perform(&delivery(), &notes).await;
        let StepEnd::Failed { cause } = &end else { panic!("{end:?}") };
        assert_eq!(cause.code, code);
        assert!(cause.text.contains("eu-1") && !cause.hints.is_empty(), "{cause:?}");
    }
    scripted.plays(Script::Deliver, "", Status::Unchanged);
    assert_eq!(performer.perform(&delivery(), &notes).await, StepEnd::Done { outcome: Outcome::Unchanged });
    scripted.plays(Script::Deliver, "replaced /attic/x exchange", Status::Changed);
    performer.perform(&delivery(), &notes).await;
    assert!(notes.printed.lock().unwrap()[0].contains("/attic/x"));
}

#[tokio::test]
async fn a_delivery_whose_end_is_not_seen_is_unknown_and_its_connection_is_given_up() {
    let scripted = Scripted::default();
    scripted.plays(Script::Lease, "lease 8 600 b1", Status::Changed);
    scripted.loses(Script::Deliver, "");
    let held = scripted.connect(&scripted::address("eu-1")).await.unwrap();
    let end = performer(&scripted).perform(&delivery(), &Notes::default()).await;
    assert!(matches!(&end, StepEnd::Unknown { cause } if cause.code == "lost"), "{end:?}");
    assert!(!held.alive().await, "`forget` of this test ends what was held");
}

#[tokio::test]
async fn content_that_is_not_at_hand_is_not_sent() {
    let scripted = Scripted::default();
    scripted.plays(Script::Lease, "lease 8 600 b1", Status::Changed);
    let other = Deliver { bundle: gateway::bundle(), digest: Digest::of(b"other"), repair: false };
    let end = performer(&scripted).perform(&step(Action::Deliver(other)), &Notes::default()).await;
    assert!(matches!(&end, StepEnd::Failed { cause } if cause.code == "no-content"));
    assert!(scripted.calls().iter().all(|call| call.script == Script::Lease));
}

#[tokio::test(start_paused = true)]
async fn what_was_proven_is_what_the_soak_looks_for() {
    let old = [11];
    let gateway = Gateway::new(&old, &[stage(0, false, &old, OLD), stage(300, true, &[21], NEW)]);
    gateway.node.plays(Script::Lease, "lease 8 600 b1", Status::Changed);
    let performer = performer(&gateway.node);
    assert_eq!(performer.healthy(&node()).await, Ok(()), "nothing was proven, nothing can stop standing");
    let activate = step(Action::Activate(Box::new(gateway::activate(ReloadWay::Candidate))));
    let end = performer.perform(&activate, &Notes::default()).await;
    assert_eq!(end, StepEnd::Done { outcome: Outcome::Changed });
    let host = "host m b 1 1 u 1 1\ntools perl\nplace conf file 1 1 0\nplace prefix directory 1 1 0\n\
        place lua-root directory 1 1 0\nplace home directory 1 1 0";
    gateway.node.plays(
        Script::Survey,
        &format!("{host}\nmaster 100 5 0 0 1 1 /\nworker 21 210 live"),
        Status::Unchanged,
    );
    assert_eq!(performer.healthy(&node()).await, Ok(()));
    gateway.node.plays(
        Script::Survey,
        &format!("{host}\nmaster 200 9 0 0 1 1 /\nworker 31 310 live"),
        Status::Unchanged,
    );
    assert_eq!(performer.healthy(&node()).await.unwrap_err().code, "master-changed");
}

#[tokio::test]
async fn a_node_that_moved_is_skipped_and_an_unknown_one_fails() {
    let gateway = Gateway::new(&[11], &[stage(0, true, &[11], OLD)]);
    gateway.set(|setup| setup.opens(gateway::Reaction::Ends("moved env", Status::Moved)));
    gateway.node.plays(Script::Lease, "lease 8 600 b1", Status::Changed);
    let activate = step(Action::Activate(Box::new(gateway::activate(ReloadWay::Candidate))));
    let end = performer(&gateway.node).perform(&activate, &Notes::default()).await;
    assert_eq!(
        end,
        StepEnd::Skipped { why: SkipReason::NodeMoved { what: "its .kong_env was written since".to_owned() } }
    );
    let stranger = Step { target: Target::Node(NodeName::parse("eu-9").unwrap()), ..delivery() };
    let end = performer(&gateway.node).perform(&stranger, &Notes::default()).await;
    assert!(matches!(&end, StepEnd::Failed { cause } if cause.code == "unknown-node"));
}

/// Knows that one run of one operator has died.
struct Died(&'static str);

impl Peers for Died {
    fn has_ended(&self, run: &RunId, holder: &str) -> bool {
        run.as_str() == "00000000000000000000000001" && holder == self.0
    }
}

#[tokio::test]
async fn a_lease_is_taken_from_a_run_that_is_known_to_have_died_and_from_no_other() {
    for (who, over) in [("ops@here", true), ("ops@there", false)] {
        let scripted = Scripted::default();
        scripted.stages(Script::Lease, |call| {
            let (line, status) = match call.args.get("dead") {
                Some("00000000000000000000000001") => ("lease 9 60 b1", Status::Changed),
                _ => ("locked ops@here 00000000000000000000000001 42", Status::Locked),
            };
            Ok(Box::new(move |_| (vec![scripted::record(line)], Some(Ended::Done(status)))))
        });
        let performer = performer(&scripted).beside(Arc::new(Died(who)));
        assert_eq!(performer.acquire(&node()).await.is_ok(), over);
        let dead: Vec<_> = scripted.calls().iter().map(|call| call.args.get("dead").unwrap().to_owned()).collect();
        assert_eq!(dead, if over { vec!["", "00000000000000000000000001"] } else { vec![""] });
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_began_later_is_given_a_moment_to_give_a_node_back() {
    for (asked, gives) in [(3, true), (usize::MAX, false)] {
        let scripted = Scripted::default();
        let count = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        scripted.stages(Script::Lease, move |_| {
            let (line, status) = match count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
                before if before < asked => ("locked ops@there 01ARZ3NDEKTSV4RRFFQ69G5FAV 42", Status::Locked),
                _ => ("lease 9 60 b1", Status::Changed),
            };
            Ok(Box::new(move |_| (vec![scripted::record(line)], Some(Ended::Done(status)))))
        });
        let begun = tokio::time::Instant::now();
        assert_eq!(performer(&scripted).acquire(&node()).await.is_ok(), gives);
        assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_renewed_while_it_is_held_and_not_in_the_middle_of_a_step() {
    let scripted = Scripted::default();
    scripted.plays(Script::Lease, "lease 8 60 b1", Status::Changed);
    let performer = performer(&scripted);
    let keep =
        |times: u64| tokio::time::timeout(Duration::from_secs(20 * times + 1), performer.keep(Duration::from_secs(20)));
    assert!(keep(3).await.is_err());
    assert_eq!(scripted.calls().len(), 0, "nothing is held");
    performer.acquire(&node()).await.unwrap();
    assert!(keep(2).await.is_err());
    let calls = scripted.calls();
    assert_eq!(calls.len(), 3);
    assert!(
        calls[1..].iter().all(|call| (call.args.get("op"), call.args.get("generation")) == (Some("renew"), Some("8")))
    );
    let turn = performer.turn(&node()).await;
    assert!(keep(2).await.is_err());
    assert_eq!(scripted.calls().len(), 3, "somebody speaks to the node");
    drop(turn);
    performer.release(&node()).await;
    assert!(keep(2).await.is_err());
    assert_eq!(scripted.calls().len(), 4, "it was given back");
}
