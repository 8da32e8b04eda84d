//! Many nodes in few words, in the grammar that selectors read: `eu-[1-5,8-28], us-4`.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::NodeName;

/// All these nodes, each once, in natural order, runs of numbers as ranges.
pub fn collapse<'a>(nodes: impl IntoIterator<Item = &'a NodeName>) -> String {
    ranges(nodes).join(", ")
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
#[path = "list_tests.rs"]
mod tests;
