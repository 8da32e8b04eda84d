//! `muster import`: for each node what was found, assumed and not explained; what was written, and what to type next.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Value, json};

use super::words::{clean, count, pad, width, wrap};
use crate::hint::Hint;
use crate::import::{Said, Weight};

/// How wide a line may be.
const COLUMNS: usize = 100;
/// How wide a name may be in the table.
const NAMES: usize = 24;

/// A node that is in the inventory.
#[derive(Debug, Serialize)]
pub struct NodeLine {
    /// Its name.
    pub node: String,
    /// What was typed.
    pub target: String,
    /// Its cluster.
    pub cluster: String,
    /// The version of Kong, if it is known.
    pub kong: Option<String>,
    /// Kong runs.
    pub running: bool,
    /// What is to be said of it.
    pub said: Vec<Said>,
}

/// A host, or a Kong on it, that is not in the inventory.
#[derive(Debug, Serialize)]
pub struct AbsentLine {
    /// What was typed.
    pub target: String,
    /// A stable word.
    pub code: String,
    /// Why.
    pub text: String,
    /// What to do.
    pub hints: Vec<Hint>,
}

/// What came of an import.
#[derive(Debug, Default)]
pub struct Report {
    /// The nodes that are in the inventory.
    pub nodes: Vec<NodeLine>,
    /// What could not be seen, or is not there.
    pub missing: Vec<AbsentLine>,
    /// What is another one under a second name.
    pub twice: Vec<AbsentLine>,
    /// What is to be said of the whole.
    pub general: Vec<Said>,
    /// The files that were written, the inventory first; none if nothing was.
    pub written: Vec<String>,
    /// What stands in the way of an empty plan.
    pub blockers: Vec<String>,
    /// Nodes of which not enough is known, and why.
    pub unknown: Vec<(String, String)>,
    /// The first plan has nothing to do.
    pub empty: bool,
    /// What to do next.
    pub next: Vec<Hint>,
    /// The exit code.
    pub exit: u8,
}

impl Report {
    fn open(&self) -> usize {
        let said = self.nodes.iter().flat_map(|node| &node.said).chain(&self.general);
        said.filter(|said| said.weight == Weight::Open).count()
    }
}

/// For people.
pub fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    if !report.nodes.is_empty() {
        table(report, out)?;
    }
    for node in &report.nodes {
        details(node, out)?;
    }
    for said in &report.general {
        writeln!(out)?;
        lines(&format!("{} ", mark(said.weight)), &said.text, out)?;
    }
    for (sign, host) in report.missing.iter().map(|host| ('!', host)).chain(report.twice.iter().map(|host| ('=', host)))
    {
        writeln!(out)?;
        lines(&format!("{sign} {}: ", clean(&host.target)), &host.text, out)?;
        for hint in &host.hints {
            writeln!(out, "    > {}", clean(&hint.to_string()))?;
        }
    }
    writeln!(out)?;
    ending(report, out)?;
    out.flush()
}

fn table(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{} {} FOUND ASSUMED OPEN", pad("NODE", NAMES), pad("KONG", 8))?;
    let mut clusters: Vec<&str> = report.nodes.iter().map(|node| node.cluster.as_str()).collect();
    clusters.dedup();
    let mut shown = std::collections::BTreeSet::new();
    for cluster in clusters {
        if !shown.insert(cluster) {
            continue;
        }
        writeln!(out, "{}", clean(cluster))?;
        for node in report.nodes.iter().filter(|node| node.cluster == cluster) {
            let number = |weight| node.said.iter().filter(|said| said.weight == weight).count();
            let kong = match (&node.kong, node.running) {
                (_, false) => "stopped",
                (Some(version), true) => version.as_str(),
                (None, true) => "?",
            };
            let name = pad(&format!("  {}", clean(&node.node)), NAMES);
            let [found, assumed, open] = [Weight::Found, Weight::Assumed, Weight::Open].map(number);
            writeln!(out, "{name} {} {found:>5} {assumed:>7} {open:>4}", pad(&clean(kong), 8))?;
        }
    }
    Ok(())
}

fn details(node: &NodeLine, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out)?;
    let as_typed = if node.target == node.node { String::new() } else { format!("  ({})", clean(&node.target)) };
    writeln!(out, "{}{as_typed}", clean(&node.node))?;
    let mut said: Vec<&Said> = node.said.iter().collect();
    said.sort_by_key(|said| said.weight);
    said.into_iter().try_for_each(|said| lines(&format!("  {} ", mark(said.weight)), &said.text, out))
}

const fn mark(weight: Weight) -> char {
    match weight {
        Weight::Found => '=',
        Weight::Assumed => '~',
        Weight::Open => '?',
    }
}

/// A text behind its head, broken at spaces and kept below where it began.
fn lines(head: &str, text: &str, out: &mut dyn Write) -> io::Result<()> {
    let indent = width(head).min(COLUMNS / 2);
    for (number, line) in wrap(&clean(text), COLUMNS - indent).iter().enumerate() {
        let head = if number == 0 { head } else { "" };
        writeln!(out, "{}{line}", pad(head, indent))?;
    }
    Ok(())
}

fn ending(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    match report.written.split_first() {
        None => {
            writeln!(out, "nothing was written")?;
        }
        Some((inventory, rest)) => {
            writeln!(out, "wrote {} and {} of plugins", clean(inventory), count(rest.len(), "file"))?;
        }
    }
    if report.written.is_empty() {
        return writeln!(out, "exit {}", report.exit);
    }
    if report.empty {
        writeln!(out, "the first plan from it is empty: checked over what was just seen")?;
    } else {
        writeln!(out, "the first plan from it is not empty:")?;
        report.blockers.iter().try_for_each(|blocker| lines("  ! ", blocker, out))?;
    }
    for (node, why) in &report.unknown {
        lines(&format!("? {}: ", clean(node)), &format!("it will be called unknown: {why}"), out)?;
    }
    let open = report.open();
    if open > 0 {
        writeln!(
            out,
            "{} not explained (? above, and in the file)",
            if open == 1 { "1 thing is".to_owned() } else { format!("{open} things are") }
        )?;
    }
    writeln!(out, "\nnext:")?;
    // Whole, however long: what is to be typed is copied from here.
    report.next.iter().try_for_each(|hint| writeln!(out, "  {}", clean(&hint.to_string())))?;
    writeln!(out, "exit {}", report.exit)
}

/// As one line of JSON.
pub fn json(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let unknown: Vec<Value> = report.unknown.iter().map(|(node, why)| json!({ "node": node, "why": why })).collect();
    let value = json!({
        "muster": "import", "format": 1,
        "nodes": report.nodes, "missing": report.missing, "twice": report.twice, "said": report.general,
        "written": report.written, "first_plan": { "empty": report.empty, "blockers": report.blockers, "unknown": unknown },
        "next": report.next, "exit": report.exit,
    });
    super::json::line(&value, out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let node = |name: &str, said| NodeLine {
            node: name.to_owned(),
            target: format!("deploy@{name}"),
            cluster: "eu".to_owned(),
            kong: Some("3.9.1".to_owned()),
            running: name != "gw-2",
            said,
        };
        let refused = AbsentLine {
            target: "gw-9".to_owned(),
            code: "connection-refused".to_owned(),
            text: "connecting to gw-9: connection\u{1b}[2J refused".to_owned(),
            hints: vec![Hint::type_("ssh gw-9")],
        };
        Report {
            nodes: vec![
                node(
                    "gw-1",
                    vec![Said::open("geo is left out here: why"), Said::found("prefix /p"), Said::assumed("home /h")],
                ),
                node("gw-2", Vec::new()),
            ],
            missing: vec![refused],
            written: ["/r/inventory.yaml", "/r/plugins/a"].map(str::to_owned).into(),
            empty: true,
            next: vec![Hint::type_("git -C /r add inventory.yaml plugins")],
            exit: 4,
            ..Report::default()
        }
    }

    fn printed(report: &Report) -> String {
        let mut out = Vec::new();
        text(report, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_node_has_a_row_and_what_is_to_be_said_of_it_by_weight() {
        let said = printed(&report());
        let expected = "NODE                     KONG     FOUND ASSUMED OPEN\neu\n  gw-1                   3.9.1        1       1    1\n  \
            gw-2                   stopped      0       0    0\n\ngw-1  (deploy@gw-1)\n  = prefix /p\n  ~ home /h\n  \
            ? geo is left out here: why\n\ngw-2  (deploy@gw-2)\n\n! gw-9: connecting to gw-9: connection\u{fffd}[2J refused\n    \
            > type: ssh gw-9\n\nwrote /r/inventory.yaml and 1 file of plugins\nthe first plan from it is empty: checked over what was \
            just seen\n1 thing is not explained (? above, and in the file)\n\nnext:\n  type: git -C /r add inventory.yaml plugins\nexit 4\n";
        assert_eq!(said, expected);
    }

    #[test]
    fn where_nothing_was_written_nothing_is_to_be_typed_and_a_plan_that_is_not_empty_says_why() {
        let none = Report { written: Vec::new(), nodes: Vec::new(), exit: 1, ..report() };
        assert!(printed(&none).ends_with("\nnothing was written\nexit 1\n"));
        let blocked = Report {
            empty: false,
            blockers: vec!["shared-node: two are one".to_owned()],
            unknown: vec![("gw-2".to_owned(), "no master".to_owned())],
            ..report()
        };
        let said = printed(&blocked);
        assert!(
            said.contains(
                "is not empty:\n  ! shared-node: two are one\n? gw-2: it will be called unknown: no master\n"
            ),
            "{said}"
        );
    }

    #[test]
    fn the_json_has_all_of_it() {
        let mut out = Vec::new();
        json(&report(), &mut out).unwrap();
        let value: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!((value["muster"].as_str(), value["format"].as_u64()), (Some("import"), Some(1)));
        assert_eq!(value["nodes"][0]["said"][0]["weight"], "open");
        assert_eq!(
            (value["missing"][0]["code"].as_str(), value["exit"].as_u64()),
            (Some("connection-refused"), Some(4))
        );
        assert_eq!(value["first_plan"]["empty"], true);
    }
}
