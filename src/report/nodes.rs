//! Many nodes in few words, in the grammar that selectors read: `eu-[1-5,8-28], us-4`.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::words::{count, width};
use crate::name::NodeName;

/// All these nodes, each once, in natural order, runs of numbers as ranges.
pub fn collapse<'a>(nodes: impl IntoIterator<Item = &'a NodeName>) -> String {
    ranges(nodes).join(", ")
}

/// These nodes if that fits, else how many there are.
pub fn brief(nodes: &[NodeName], columns: usize) -> String {
    let all = collapse(nodes);
    if width(&all) <= columns { all } else { count(nodes.len(), "node") }
}

/// Compares names as people number them: `eu-2` comes before `eu-10`.
pub fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (digits_a, digits_b) = (digits(a), digits(b));
        if !digits_a.is_empty() && !digits_b.is_empty() {
            let order = number(digits_a).cmp(&number(digits_b)).then(digits_a.len().cmp(&digits_b.len()));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (&a[digits_a.len()..], &b[digits_b.len()..]);
            continue;
        }
        let (mut rest_a, mut rest_b) = (a.chars(), b.chars());
        match (rest_a.next(), rest_b.next()) {
            (None, None) => return Ordering::Equal,
            (x, y) if x != y => return x.cmp(&y),
            _ => (a, b) = (rest_a.as_str(), rest_b.as_str()),
        }
    }
}

fn digits(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())]
}

/// Longer numbers are greater, whatever they are too long for.
fn number(digits: &str) -> (usize, &str) {
    let digits = digits.trim_start_matches('0');
    (digits.len(), digits)
}

/// What names have in common that differ only in one number. A number with leading zeros is of a width of its own.
#[derive(PartialEq, Eq, Hash, PartialOrd, Ord, Clone)]
struct Family {
    before: String,
    after: String,
    width: usize,
}

fn ranges<'a>(nodes: impl IntoIterator<Item = &'a NodeName>) -> Vec<String> {
    let mut families: BTreeMap<Family, Vec<u32>> = BTreeMap::new();
    let mut texts = Vec::new();
    for node in nodes {
        match split(node.as_str()) {
            Some((family, number)) => families.entry(family).or_default().push(number),
            None => texts.push(node.to_string()),
        }
    }
    join_widths(&mut families);
    texts.extend(families.into_iter().map(|(family, numbers)| written(&family, numbers)));
    texts.sort_by(|a, b| natural(&a.replace('[', ""), &b.replace('[', "")));
    texts.dedup();
    texts
}

/// The number that tells a name from its neighbours: the last one of its first label, or of an address its last.
fn split(name: &str) -> Option<(Family, u32)> {
    let address = name.chars().all(|c| c.is_ascii_digit() || c == '.');
    let label = if address { name } else { &name[..name.find('.').unwrap_or(name.len())] };
    if name.contains(':') {
        return None;
    }
    let end = label.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = label[..end].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |at| at + 1);
    let digits = &name[start..end];
    let padded = digits.len() > 1 && digits.starts_with('0');
    // Nine digits fit; what is longer is no number that anybody counts with.
    let number = if digits.len() <= 9 { digits.parse().ok()? } else { return None };
    let width = if padded { digits.len() } else { 1 };
    Some((Family { before: name[..start].to_owned(), after: name[end..].to_owned(), width }, number))
}

/// `08, 09, 10` are one family: what is as wide as the padded ones belongs to them.
fn join_widths(families: &mut BTreeMap<Family, Vec<u32>>) {
    let padded: Vec<Family> = families.keys().filter(|family| family.width > 1).cloned().collect();
    for family in padded {
        let plain = Family { width: 1, ..family.clone() };
        let Some(numbers) = families.get_mut(&plain) else { continue };
        let (same, other): (Vec<u32>, Vec<u32>) =
            numbers.iter().partition(|number| number.to_string().len() == family.width);
        *numbers = other;
        if numbers.is_empty() {
            families.remove(&plain);
        }
        families.entry(family).or_default().extend(same);
    }
}

fn written(family: &Family, mut numbers: Vec<u32>) -> String {
    numbers.sort_unstable();
    numbers.dedup();
    let width = family.width;
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    let Family { before, after, .. } = family;
    if let [(only, last)] = runs[..]
        && only == last
    {
        return format!("{before}{only:0width$}{after}");
    }
    let run = |(first, last): &(u32, u32)| match last - first {
        0 => format!("{first:0width$}"),
        1 => format!("{first:0width$},{last:0width$}"),
        _ => format!("{first:0width$}-{last:0width$}"),
    };
    let runs: Vec<String> = runs.iter().map(run).collect();
    format!("{before}[{}]{after}", runs.join(","))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::inventory::Selector;

    fn names(names: &[&str]) -> Vec<NodeName> {
        names.iter().map(|name| NodeName::parse(name).unwrap()).collect()
    }

    #[test]
    fn runs_of_numbers_become_ranges() {
        for (given, wanted) in [
            (&["eu-1", "eu-2", "eu-3", "eu-5", "eu-8", "eu-9"][..], "eu-[1-3,5,8,9]"),
            (&["eu-10", "eu-9", "eu-11"], "eu-[9-11]"),
            (&["eu-6"], "eu-6"),
            (&["us-2", "eu-1", "us-1", "gateway"], "eu-1, gateway, us-[1,2]"),
            (&["eu-1", "eu-1"], "eu-1"),
            (&["n08", "n09", "n10", "n11"], "n[08-11]"),
            (&["n1", "n01", "n10"], "n1, n[01,10]"),
            (&["gw1.dc2.example.org", "gw2.dc2.example.org"], "gw[1,2].dc2.example.org"),
            (&["10.0.0.41", "10.0.0.42", "10.0.0.43"], "10.0.0.[41-43]"),
            (&["fe80::1", "fe80::2"], "fe80::1, fe80::2"),
            (&["n12345678901", "n2"], "n2, n12345678901"),
            (&[], ""),
        ] {
            assert_eq!(collapse(&names(given)), wanted);
        }
    }

    #[test]
    fn many_nodes_that_do_not_fit_are_counted() {
        let nodes = names(&["eu-1", "eu-3", "eu-5", "eu-7"]);
        assert_eq!(brief(&nodes, 14), "eu-[1,3,5,7]");
        assert_eq!(brief(&nodes, 11), "4 nodes");
    }

    #[test]
    fn names_sort_as_people_count() {
        let mut names = ["eu-10", "eu-9", "eu-09", "eu", "eu-9a", "us-1", "eu-100"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["eu", "eu-9", "eu-9a", "eu-09", "eu-10", "eu-100", "us-1"]);
    }

    proptest! {
        #[test]
        fn what_is_printed_selects_exactly_these_nodes(
            numbers in prop::collection::btree_set(0..120u32, 1..30),
            padded in any::<bool>(),
            after in prop::sample::select(vec!["", ".example.org"]),
        ) {
            let name = |n: u32| if padded { format!("eu-{n:03}{after}") } else { format!("eu-{n}{after}") };
            let chosen: BTreeSet<String> = numbers.iter().copied().map(name).collect();
            let nodes: Vec<NodeName> = chosen.iter().map(|name| NodeName::parse(name).unwrap()).collect();
            let text = collapse(&nodes);
            let selector = Selector::parse(&text).unwrap();
            for n in 0..120 {
                prop_assert_eq!(selector.matches_name(&name(n)), chosen.contains(&name(n)), "{} of {}", name(n), text);
            }
        }
    }
}
