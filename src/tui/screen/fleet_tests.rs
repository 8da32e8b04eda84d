use proptest::prelude::*;

use super::super::group::tests::{picture, row};
use super::*;
use crate::name::ClusterName;

const HEIGHT: usize = 6;

fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

fn fleet() -> Picture {
    picture(vec![
        vec![row("eu-1", 0, Some("3.9.1"), Some("a"), Some(5)), row("eu-2", 1, None, None, None)],
        vec![row("us-1", 0, Some("3.4.2"), Some("a"), None), row("us-2", 1, Some("3.9.1"), None, Some(9))],
    ])
}

fn screen(picture: &Picture) -> FleetScreen {
    let mut screen = FleetScreen::default();
    screen.picture_changed(None, picture, HEIGHT);
    screen
}

fn here(screen: &FleetScreen, picture: &Picture) -> Option<NodeName> {
    Some(node_at(picture, screen.row()?)?.name.clone())
}

fn go(screen: &mut FleetScreen, at: usize) {
    screen.cursor.step(Step::First, screen.rows.len(), HEIGHT);
    screen.cursor.step(Step::By(isize::try_from(at).unwrap()), screen.rows.len(), HEIGHT);
}

#[test]
fn what_is_acted_on_is_the_selection_or_else_the_row() {
    let fleet = fleet();
    let mut screen = screen(&fleet);
    assert_eq!(screen.part(&fleet), Some(Part::Cluster(ClusterName::parse("c0").unwrap())));
    go(&mut screen, 2);
    assert_eq!(screen.part(&fleet), Some(Part::Node(name("eu-2"))));
    go(&mut screen, 3);
    screen.select(&fleet);
    go(&mut screen, 1);
    screen.select(&fleet);
    let wanted = ["eu-1", "us-1", "us-2"].map(name);
    assert_eq!(screen.part(&fleet), Some(Part::Nodes(wanted.into())));
    screen.clear(&fleet, HEIGHT);
    screen.regroup(&fleet, HEIGHT);
    go(&mut screen, 0);
    assert_eq!(
        screen.part(&fleet),
        Some(Part::Nodes([name("eu-2"), name("us-2")].into())),
        "a group that is no cluster"
    );
}

#[test]
fn a_heading_selects_all_of_its_nodes_or_none() {
    let fleet = fleet();
    let mut screen = screen(&fleet);
    go(&mut screen, 1);
    screen.select(&fleet);
    assert_eq!((screen.selected.len(), screen.groups[0].selected), (1, 1));
    go(&mut screen, 0);
    screen.select(&fleet);
    assert_eq!(screen.selected.len(), 2, "one of two is not all");
    screen.select(&fleet);
    assert_eq!((screen.selected.len(), screen.groups[0].selected), (0, 0));
}

#[test]
fn a_heading_selects_what_the_filter_shows_of_it_folded_or_not() {
    let fleet = fleet();
    let mut screen = screen(&fleet);
    screen.show("*-2".to_owned(), &fleet, HEIGHT);
    screen.fold(HEIGHT);
    screen.select(&fleet);
    assert_eq!(screen.selected.names(), &[name("eu-2")].into());
    screen.show("us-*".to_owned(), &fleet, HEIGHT);
    assert_eq!((screen.selected.len(), screen.unseen, screen.shown), (1, 1, 2), "it is still selected, and not shown");
}

#[test]
fn escape_ends_the_selection_before_the_filter() {
    let fleet = fleet();
    let mut screen = screen(&fleet);
    screen.show("eu-*".to_owned(), &fleet, HEIGHT);
    screen.select(&fleet);
    assert!(screen.clear(&fleet, HEIGHT) && screen.selected.is_empty() && screen.shown == 2);
    assert!(screen.clear(&fleet, HEIGHT) && screen.shown == 4);
    assert!(!screen.clear(&fleet, HEIGHT), "there is nothing left to end");
}

#[test]
fn a_node_that_left_the_inventory_is_not_selected_any_more() {
    let fleet = fleet();
    let mut screen = screen(&fleet);
    screen.select(&fleet);
    let mut smaller = fleet.clone();
    smaller.clusters[0].nodes.remove(0);
    screen.picture_changed(Some(&fleet), &smaller, HEIGHT);
    assert_eq!(screen.selected.names(), &[name("eu-2")].into());
}

#[test]
fn the_next_trouble_is_found_in_a_folded_group_too() {
    let fleet = fleet();
    let mut screen = screen(&fleet);
    screen.fold(HEIGHT);
    assert!(screen.next_trouble(&fleet, HEIGHT));
    assert_eq!(here(&screen, &fleet), Some(name("eu-2")));
    assert!(screen.next_trouble(&fleet, HEIGHT));
    assert_eq!(here(&screen, &fleet), Some(name("us-2")));
    assert!(screen.next_trouble(&fleet, HEIGHT));
    assert_eq!(here(&screen, &fleet), Some(name("eu-2")), "round the end");
    let well = picture(vec![vec![row("a", 0, None, None, None)]]);
    assert!(!FleetScreen::default().next_trouble(&well, HEIGHT));
}

#[test]
fn a_stopped_gateway_is_trouble_and_one_that_is_out_is_none() {
    let mut fleet = picture(vec![["a", "b", "c"].map(|name| row(name, 0, None, None, None)).into()]);
    for (at, mark, word) in [(0, '=', "in line"), (1, '.', "out"), (2, '.', "stopped")] {
        let state = &mut fleet.clusters[0].nodes[at].state;
        (state.mark, state.word) = (mark, word);
    }
    let mut screen = screen(&fleet);
    assert!(screen.next_trouble(&fleet, HEIGHT));
    assert_eq!(here(&screen, &fleet), Some(name("c")));
}

#[test]
fn the_cursor_is_on_the_heading_that_its_node_is_folded_under() {
    let fleet = fleet();
    let mut screen = screen(&fleet);
    screen.regroup(&fleet, HEIGHT);
    go(&mut screen, 0);
    screen.fold(HEIGHT);
    for _ in 0..3 {
        screen.regroup(&fleet, HEIGHT);
    }
    go(&mut screen, 2);
    assert_eq!(here(&screen, &fleet), Some(name("eu-2")));
    screen.regroup(&fleet, HEIGHT);
    assert_eq!(screen.row(), Some(FleetRow::Group(0)), "it is in drift, which is folded");
}

#[derive(Debug, Clone)]
enum Act {
    Group,
    Sort,
    Select,
    Fold,
    Move(usize),
    Filter(&'static str),
    Look,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let one = prop_oneof![
        Just(Act::Group),
        Just(Act::Sort),
        Just(Act::Select),
        Just(Act::Fold),
        (0usize..7).prop_map(Act::Move),
        prop::sample::select(vec!["", "eu-*", "zone=a", "us-2"]).prop_map(Act::Filter),
        Just(Act::Look)
    ];
    prop::collection::vec(one, 0..20)
}

proptest! {
    #[test]
    fn nothing_but_selecting_changes_the_selection_and_the_cursor_keeps_its_node(acts in acts()) {
        let fleet = fleet();
        let mut screen = screen(&fleet);
        for act in acts {
            let (selected, node) = (screen.selected.clone(), here(&screen, &fleet));
            match &act {
                Act::Group => screen.regroup(&fleet, HEIGHT),
                Act::Sort => screen.resort(&fleet, HEIGHT),
                Act::Select => screen.select(&fleet),
                Act::Fold => drop(screen.fold(HEIGHT)),
                Act::Move(at) => go(&mut screen, *at),
                Act::Filter(text) => screen.show((*text).to_owned(), &fleet, HEIGHT),
                Act::Look => screen.picture_changed(Some(&fleet), &fleet.clone(), HEIGHT),
            }
            if !matches!(act, Act::Select) {
                prop_assert_eq!(&screen.selected, &selected, "{:?}", act);
            }
            let arranged = matches!(act, Act::Group | Act::Sort | Act::Filter(_) | Act::Look | Act::Select);
            let is_row = |row: &FleetRow| node_at(&fleet, *row).map(|row| row.name.clone()) == node;
            if arranged && node.is_some() && screen.rows.iter().any(is_row) {
                prop_assert_eq!(here(&screen, &fleet), node, "{:?}", act);
            }
            let marked: usize = screen.groups.iter().map(|group| group.selected).sum();
            prop_assert_eq!(marked + screen.unseen, screen.selected.len());
            prop_assert!(screen.cursor.at < screen.rows.len().max(1));
        }
    }
}
