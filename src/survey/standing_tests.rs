use std::sync::Arc;

use super::*;
use crate::name::NodePath;
use crate::survey::{AdminFacts, SurveyDecoder, SurveyRequest, Trouble};
use crate::wire::{Decoder, Item, Limits};

const OLD: &str = "01KAF4Q2M0AAAAAAAAAAAAAAAA";
const NEW: &str = "01KAF4Q2M1BBBBBBBBBBBBBBBB";

/// The facts of a node of boot `b` that is up for 100 s, with these files.
fn facts(files: &[(&str, String)]) -> NodeFacts {
    let path = |text: &str| NodePath::parse(text).unwrap();
    let mut decoder = SurveyDecoder::new(SurveyRequest {
        conf: path("/k.conf"),
        prefix: path("/p"),
        lua_root: path("/l"),
        home: path("/h"),
        cli: None,
        roots: [].into(),
    });
    let places = ["conf", "prefix", "lua-root", "home"].map(|name| format!("place {name} absent 1 9 0\n")).concat();
    let blobs: Vec<String> = files.iter().map(|(name, text)| format!("blob {name} {}\n{text}", text.len())).collect();
    let blobs = blobs.concat();
    let text = format!("muster 1 n\nhost m b 1 100 kong 5 0\ntools flock\n{places}{blobs}end n 10\n");
    for item in Decoder::new("n", Limits::default()).feed(text.as_bytes()).unwrap() {
        match item {
            Item::Record(record) => decoder.record(&record).unwrap(),
            Item::Blob { name, bytes } => decoder.blob(&name, bytes).unwrap(),
            Item::End(_) => {}
        }
    }
    decoder.finish().unwrap()
}

fn receipt(run: &str, step: u32, result: &str) -> (String, String) {
    let result = if result.is_empty() { String::new() } else { format!("result {result}\n") };
    let commit = "commit ".to_owned() + &"3f2a91c0".repeat(5);
    (format!("receipt.{run}.{step}"), format!("muster-receipt 1\nrun {run}\nstep {step}\n{commit}\n{result}"))
}

fn lease(run: &str, boot: &str, expires: u64) -> (&'static str, String) {
    let text = format!("muster-lease 1\ngeneration 4\nrun {run}\nholder eva@ops-1\nboot {boot}\nexpires {expires}\n");
    ("lease", text)
}

fn of(facts: NodeFacts) -> Standing {
    let node = NodeName::parse("eu-1").unwrap();
    let mut survey = Survey { at: Timestamp::from_second(1_000).unwrap(), ..Survey::default() };
    survey.nodes.insert(node.clone(), NodeSurvey::Seen(Arc::new(facts)));
    survey.standing(&node)
}

fn last(files: &[(String, String)], lease: Option<(&str, String)>) -> Option<(String, RunEnd, Option<String>)> {
    let files: Vec<(&str, String)> =
        files.iter().map(|(name, text)| (name.as_str(), text.clone())).chain(lease).collect();
    let run = of(facts(&files)).last_run?;
    Some((run.run.to_string(), run.end, run.by.clone()))
}

#[test]
fn a_lease_holds_until_it_expires_or_the_node_boots() {
    let held = |boot, expires| of(facts(&[lease(NEW, boot, expires)])).lock.unwrap();
    let run = RunId::parse(NEW).unwrap();
    assert_eq!(held("b", 340), Lock::Held { who: "eva@ops-1".into(), run, left: 240 });
    assert_eq!([held("b", 100), held("b", 0), held("other", 340)], [Lock::Free, Lock::Free, Lock::Free]);
    assert_eq!(of(facts(&[])).lock, Some(Lock::Free), "no lease was ever taken");
    let odd = of(facts(&[("lease", "muster-lease 9\n".into())])).lock;
    assert!(matches!(odd, Some(Lock::Unclear { .. })), "{odd:?}");
}

#[test]
fn the_last_run_is_that_of_the_newest_receipt_and_the_worst_of_its_ends() {
    let two = |a: &str, b: &str| {
        let files = [receipt(OLD, 1, ""), receipt(NEW, 2, a), receipt(NEW, 10, b)];
        last(&files, None).unwrap().1
    };
    assert_eq!(two("changed", "changed"), RunEnd::Done);
    assert_eq!(two("changed", "undone proved"), RunEnd::PutBack);
    assert_eq!(two("undone unproved", "undone restored"), RunEnd::Unproven);
    assert_eq!(two("conf-unwritten", "changed"), RunEnd::ConfLeft);
    assert_eq!(two("interrupted", "changed"), RunEnd::Interrupted);
    assert_eq!(two("", "undone proved"), RunEnd::Open, "that of the older run does not count");
    let run = of(facts(&[("receipt.x", receipt(NEW, 2, "changed").1)])).last_run.unwrap();
    assert_eq!(run.at.as_millisecond(), i64::try_from(run.run.milliseconds()).unwrap());
    assert_eq!(run.commit.as_ref().map(|commit| commit.short().to_owned()), Some("3f2a91c".to_owned()));
}

#[test]
fn a_lease_that_ended_tells_whose_the_last_run_was() {
    let done = [receipt(OLD, 1, "changed")];
    let by = Some("eva@ops-1".to_owned());
    assert_eq!(last(&done, Some(lease(OLD, "b", 0))), Some((OLD.into(), RunEnd::Done, by.clone())));
    assert_eq!(last(&done, Some(lease(NEW, "b", 0))), Some((NEW.into(), RunEnd::NoReceipt, by)));
    assert_eq!(last(&done, Some(lease(NEW, "b", 340))), Some((OLD.into(), RunEnd::Done, None)), "that one is at work");
    assert_eq!((last(&done, None), last(&[], None)), (Some((OLD.into(), RunEnd::Done, None)), None));
}

#[test]
fn the_role_is_what_runs_else_what_will_run_at_the_next_start() {
    let mut with_admin = facts(&[("env", "role = data_plane\n".into())]);
    assert_eq!(role(&with_admin), Some(Topology::DataPlane));
    let asked =
        AdminFacts { role: Some("control_plane".into()), database: Some("postgres".into()), ..Default::default() };
    with_admin.admin = Ok(asked);
    assert_eq!(role(&with_admin), Some(Topology::ControlPlane));
    assert_eq!(role(&facts(&[("conf", "database = off\n".into())])), Some(Topology::Dbless));
    assert_eq!(role(&facts(&[("conf", String::new())])), Some(Topology::Traditional), "Kong's defaults");
    assert_eq!(role(&facts(&[])), None, "nothing could be read");
}

#[test]
fn a_node_that_was_not_looked_at_again_keeps_what_was_seen_and_when() {
    let time = |second| Timestamp::from_second(second).unwrap();
    let [a, b, c] = ["a", "b", "c"].map(|name| NodeName::parse(name).unwrap());
    let gone = || NodeSurvey::Unreachable(Trouble { code: "timed-out".into(), text: "no".into(), hints: vec![] });
    let seen = || NodeSurvey::Seen(Arc::new(facts(&[])));
    let look = |at, nodes: &[(&NodeName, NodeSurvey)]| Survey {
        at: time(at),
        nodes: nodes.iter().map(|(name, found)| ((*name).clone(), found.clone())).collect(),
        ..Survey::default()
    };
    let mut first = look(10, &[(&a, seen()), (&b, gone()), (&c, seen())]);
    first.last_seen.insert(b.clone(), time(5));
    let mut second = look(20, &[(&a, gone())]);
    second.last_seen.insert(a.clone(), time(10));
    second.keep(first);
    let mut third = look(30, &[(&c, seen())]);
    third.keep(second);
    let times = |node| {
        let standing = third.standing(node);
        (standing.looked.unwrap().as_second(), standing.last_seen.map(Timestamp::as_second), standing.sight.unwrap())
    };
    assert_eq!(times(&a), (20, Some(10), Sight::Unreachable));
    assert_eq!(times(&b), (10, Some(5), Sight::Unreachable));
    assert_eq!(times(&c), (30, Some(30), Sight::Seen));
    assert_eq!(third.standing(&NodeName::parse("d").unwrap()), Standing::default());
}
