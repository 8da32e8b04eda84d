use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::inventory::Labels;
use crate::name::RunId;
use crate::survey::{LastRun, RunEnd, Standing};
use crate::tui::picture::NodeState;

const STATES: [(char, &str); 5] =
    [('=', "in line"), ('~', "drift"), ('?', "unknown"), ('*', "reload owed"), ('.', "out")];

pub(crate) fn row(name: &str, state: usize, kong: Option<&str>, zone: Option<&str>, run: Option<u64>) -> NodeRow {
    let (mark, word) = STATES[state % STATES.len()];
    let run = run.map(|seconds| RunId::from_parts(seconds * 1_000, 1));
    let last_run = run.map(|run| LastRun {
        at: Timestamp::from_millisecond(i64::try_from(run.milliseconds()).unwrap()).unwrap(),
        run,
        by: None,
        commit: None,
        end: RunEnd::Done,
    });
    let zone = zone.map(|zone| (LabelName::parse("zone").unwrap(), LabelValue::parse(zone).unwrap()));
    NodeRow {
        name: NodeName::parse(name).unwrap(),
        labels: zone.into_iter().collect::<Labels>(),
        kong: kong.map(str::to_owned),
        cells: Vec::new(),
        stopped: false,
        state: NodeState { mark, word, why: String::new(), brief: Vec::new() },
        remarks: Vec::new(),
        plugins: Vec::new(),
        standing: Standing { last_run: last_run.map(Into::into), ..Standing::default() },
    }
}

pub(crate) fn picture(clusters: Vec<Vec<NodeRow>>) -> Picture {
    let cluster = |(at, nodes): (usize, Vec<NodeRow>)| ClusterRows {
        name: ClusterName::parse(&format!("c{at}")).unwrap(),
        topology: "traditional".to_owned(),
        nodes,
    };
    Picture { clusters: clusters.into_iter().enumerate().map(cluster).collect(), ..Picture::default() }
}

fn small() -> Picture {
    picture(vec![
        vec![
            row("eu-1", 1, Some("3.10.0"), Some("a"), Some(50)),
            row("eu-2", 0, Some("3.9.1"), Some("b"), None),
            row("eu-10", 2, None, None, Some(70)),
        ],
        vec![row("ap-1", 1, Some("3.9.1"), Some("a"), Some(60))],
        vec![],
    ])
}

fn shown(picture: &Picture, grouping: &Grouping, order: Order) -> Vec<(String, String, String)> {
    groups(picture, grouping, order, &Filter::default())
        .iter()
        .map(|group| {
            let names: Vec<&str> = group.names(picture).map(NodeName::as_str).collect();
            (group.key.title(), names.join(" "), group.summary.clone())
        })
        .collect()
}

fn plain(all: &[(String, String, String)]) -> Vec<(&str, &str, &str)> {
    all.iter().map(|(title, names, summary)| (title.as_str(), names.as_str(), summary.as_str())).collect()
}

#[test]
fn each_grouping_has_its_headings_in_a_sensible_order() {
    let picture = small();
    let by = |grouping| shown(&picture, &grouping, Order::Name);
    assert_eq!(
        plain(&by(Grouping::Cluster)),
        [("c0", "eu-1 eu-2 eu-10", "1 unknown, 1 drift, 1 in line"), ("c1", "ap-1", "1 drift"), ("c2", "", "")],
    );
    assert_eq!(
        plain(&by(Grouping::State)),
        [
            ("? unknown", "eu-10", "1 in c0"),
            ("~ drift", "ap-1 eu-1", "1 in c0, 1 in c1"),
            ("= in line", "eu-2", "1 in c0")
        ],
        "the worst first"
    );
    assert_eq!(
        plain(&by(Grouping::Version)),
        [
            ("Kong 3.9.1", "ap-1 eu-2", "1 drift, 1 in line"),
            ("Kong 3.10.0", "eu-1", "1 drift"),
            ("version unknown", "eu-10", "1 unknown")
        ],
        "9 is before 10, the unknown last"
    );
    let zone = LabelName::parse("zone").unwrap();
    assert_eq!(
        plain(&by(Grouping::Label(zone))),
        [("zone=a", "ap-1 eu-1", "2 drift"), ("zone=b", "eu-2", "1 in line"), ("without zone", "eu-10", "1 unknown")],
    );
}

#[test]
fn the_order_is_within_the_group_and_ties_go_by_name() {
    let picture = small();
    let sorted = |order| shown(&picture, &Grouping::Cluster, order)[0].1.clone();
    assert_eq!(sorted(Order::Name), "eu-1 eu-2 eu-10");
    assert_eq!(sorted(Order::State), "eu-10 eu-1 eu-2");
    assert_eq!(sorted(Order::Version), "eu-2 eu-1 eu-10");
    assert_eq!(sorted(Order::LastRun), "eu-10 eu-1 eu-2", "the youngest first, none last");
    let round = std::iter::successors(Some(Order::default()), |order| Some(order.next()));
    let words: Vec<&str> = round.map(Order::words).take(5).collect();
    assert_eq!(words, ["name", "state", "version", "last run", "name"]);
}

#[test]
fn grouping_goes_round_by_way_of_every_label_that_is_there() {
    let round = |picture: &Picture| {
        let round = std::iter::successors(Some(Grouping::default()), |grouping| Some(grouping.next(picture)));
        round.map(|grouping| grouping.words()).take(5).collect::<Vec<String>>()
    };
    assert_eq!(round(&small()), ["cluster", "state", "version", "label zone", "cluster"]);
    assert_eq!(round(&picture(vec![vec![row("a", 0, None, None, None)]]))[3], "cluster", "no labels, no such group");
}

#[test]
fn in_many_clusters_they_are_counted() {
    let nodes = (0..5).map(|at| vec![row(&format!("n{at}"), 1, None, None, None)]).collect();
    assert_eq!(shown(&picture(nodes), &Grouping::State, Order::Name)[0].2, "in 5 clusters");
}

/// State, version, zone, seconds of the last run.
type Made = (usize, Option<&'static str>, Option<&'static str>, Option<u64>);

fn nodes() -> impl Strategy<Value = Vec<Vec<NodeRow>>> {
    let version = prop::option::of(prop::sample::select(vec!["3.9.1", "3.10.0", "odd"]));
    let zone = prop::option::of(prop::sample::select(vec!["a", "b"]));
    let one = (0usize..5, version, zone, prop::option::of(0u64..5));
    prop::collection::vec(prop::collection::vec(one, 0..8), 0..4).prop_map(|clusters| {
        let name = |cluster, node| format!("n{}-{node}", cluster % 2 * 100 + cluster);
        let rows = |(cluster, nodes): (usize, Vec<Made>)| {
            let one = |(at, (state, kong, zone, run))| row(&name(cluster, at), state, kong, zone, run);
            nodes.into_iter().enumerate().map(one).collect()
        };
        clusters.into_iter().enumerate().map(rows).collect()
    })
}

fn all_groupings() -> impl Strategy<Value = Grouping> {
    let label = LabelName::parse("zone").unwrap();
    prop::sample::select(vec![Grouping::Cluster, Grouping::State, Grouping::Version, Grouping::Label(label)])
}

proptest! {
    #[test]
    fn every_node_that_the_filter_shows_is_in_exactly_one_group(
        clusters in nodes(),
        grouping in all_groupings(),
        order in prop::sample::select(vec![Order::Name, Order::State, Order::Version, Order::LastRun]),
        text in prop::sample::select(vec!["", "zone=a", "n0-[0-3]", "cluster=c1", "nothing=else"]),
    ) {
        let picture = picture(clusters);
        let mut filter = Filter::default();
        filter.set(text.to_owned(), &picture);
        let groups = groups(&picture, &grouping, order, &filter);
        let mut found: Vec<(usize, usize)> = groups.iter().flat_map(|group| group.nodes.clone()).collect();
        found.sort_unstable();
        let wanted: Vec<(usize, usize)> = (0..picture.clusters.len())
            .flat_map(|cluster| (0..picture.clusters[cluster].nodes.len()).map(move |node| (cluster, node)))
            .filter(|(c, n)| filter.shows(&picture.clusters[*c].nodes[*n], &picture.clusters[*c].name))
            .collect();
        prop_assert_eq!(found, wanted);
        prop_assert!(groups.is_sorted_by(|a, b| a.key < b.key), "no heading twice");
        if !filter.is_on() {
            prop_assert_eq!(groups.iter().map(|group| group.of).sum::<usize>(), groups.iter().map(|g| g.nodes.len()).sum::<usize>());
        }
    }
}
