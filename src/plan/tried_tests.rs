use super::*;
use crate::action::Candidate;
use crate::plan::{Phase, Target};

fn node(name: &str) -> NodeName {
    NodeName::parse(name).unwrap()
}

/// These bundles, each in a version.
fn rehearse(bundles: &[(&str, &str)]) -> Rehearse {
    let candidate = |(name, version): &(&str, &str)| Candidate {
        bundle: BundleName::parse(name).unwrap(),
        version: Some((*version).to_owned()),
        digest: Digest::of(format!("{name} {version}").as_bytes()),
        plugins: [PluginName::parse(name).unwrap()].into(),
        source: None,
    };
    Rehearse {
        plugins: "bundled".to_owned(),
        added: BTreeSet::new(),
        staged: bundles.iter().map(candidate).collect::<Vec<_>>().into(),
        search_path: None,
        runs: true,
    }
}

fn on(cluster: &str, name: &str, kong: &str, rehearse: Rehearse) -> OnTrial {
    let cluster = ClusterName::parse(cluster).unwrap();
    OnTrial { cluster, node: node(name), kong: Some(kong.to_owned()), rehearse }
}

fn fails(of: &[&str]) -> Found {
    let of = of.iter().map(|name| BundleName::parse(name).unwrap()).collect();
    Found::Fails { of, what: "it does not".to_owned(), details: Vec::new(), hints: Vec::new() }
}

/// A plan that rehearses these, in this order; nodes whose names end in `old` have another Kong.
fn next(planned: &[OnTrial], tried: &[Tried]) -> Vec<String> {
    let mut builder = PlanBuilder::default();
    for on in planned {
        let what = (Action::Rehearse(Box::new(on.rehearse.clone())), String::new().into());
        builder.step(&on.cluster, Target::Node(on.node.clone()), Phase::Prepare, what, Vec::new());
    }
    let kong = |name: &NodeName| planned.iter().find(|on| on.node == *name)?.kong.clone();
    let next = to_try(&builder.steps, kong, tried);
    next.iter().map(|on| format!("{} {}", on.node, on.rehearse.about())).collect()
}

#[test]
fn one_node_of_each_cluster_version_of_kong_and_content_is_tried() {
    let (one, two) = (rehearse(&[("a", "1")]), rehearse(&[("a", "1"), ("b", "1")]));
    let planned = [
        on("eu", "eu-1", "3.9.1", one.clone()),
        on("eu", "eu-2", "3.9.1", one.clone()),
        on("eu", "eu-3", "3.4.2", one.clone()),
        on("eu", "eu-4", "3.9.1", two),
        on("us", "us-1", "3.9.1", one),
    ];
    assert_eq!(next(&planned, &[]), ["eu-1 a 1", "eu-3 a 1", "eu-4 a 1, b 1", "us-1 a 1"]);
    let tried = |at: usize, found| Tried { on: planned[at].clone(), found };
    let loads = [tried(0, Found::Loads), tried(2, Found::Loads), tried(3, Found::Loads), tried(4, Found::Loads)];
    assert!(next(&planned, &loads).is_empty());
    // Where it did not load, or none could be made, the next node that is alike is tried.
    let mixed = [tried(0, fails(&[])), tried(2, Found::NotMade("no perl".to_owned()))];
    assert_eq!(next(&planned[1..4], &mixed), ["eu-2 a 1", "eu-4 a 1, b 1"]);
}

#[test]
fn after_three_nodes_that_come_to_nothing_no_further_one_is_tried() {
    let planned: Vec<OnTrial> =
        (1..=5).map(|n| on("eu", &format!("eu-{n}"), "3.9.1", rehearse(&[("a", "1")]))).collect();
    let mut tried = Vec::new();
    for number in 1..=3 {
        assert_eq!(next(&planned, &tried), [format!("eu-{number} a 1")]);
        // It stays in the plan, as nothing is known of it.
        tried.push(Tried { on: planned[number - 1].clone(), found: Found::NotMade("no perl".to_owned()) });
        if number < 3 {
            assert!(!next(&planned[number..], &tried).is_empty());
        }
    }
    assert!(next(&planned, &tried).is_empty());
}

#[test]
fn what_is_told_names_the_node_and_its_kong() {
    let tried = |found| Tried { on: on("eu", "eu-p1", "3.9.1", rehearse(&[("acme-auth", "2.0.0")])), found };
    assert_eq!(tried(Found::Loads).told().unwrap(), "acme-auth 2.0.0 loads on eu-p1 (Kong 3.9.1)");
    let none = tried(Found::NotMade("it has no perl".to_owned())).told().unwrap();
    assert_eq!(none, "none could be made on eu-p1 (Kong 3.9.1): it has no perl");
    assert_eq!(tried(fails(&["acme-auth"])).told(), None, "a blocker says so");
}
