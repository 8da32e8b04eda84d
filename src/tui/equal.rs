//! The command that shows or does the same as the screen that is seen: what the terminal UI knows, scripts know too.

use std::fmt;

use super::effect::Part;
use super::keymap::Place;
use super::model::Model;
use super::screen::{About, DiffAbout, Fold, NodeScreen, Screen, Target, Watched};
use crate::hint::quoted;
use crate::inventory::Selector;
use crate::name::NodeName;
use crate::plan::Plan;
use crate::run::Verdict;

/// Adds to a command of muster what was given by options when this muster was started, so that it is about the same fleet.
pub trait Carry: fmt::Debug + Send + Sync {
    /// The command with those options.
    fn carry(&self, command: &str) -> String;
}

/// Adds nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct AsItIs;

impl Carry for AsItIs {
    fn carry(&self, command: &str) -> String {
        command.to_owned()
    }
}

/// A command, and what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Equal {
    /// What it does.
    pub what: String,
    /// As it is typed.
    pub command: String,
}

/// The commands for what is seen, the nearest first.
pub(super) fn commands(model: &Model) -> Vec<Equal> {
    let pairs = match model.screen() {
        Screen::Fleet(_) => fleet(model),
        Screen::Plan(_) if model.place() == Place::PastPlan => run(model.watched()),
        Screen::Plan(_) => plan(model.plan.as_deref(), ""),
        Screen::Run(_) | Screen::Log(_) => run(model.watched()),
        Screen::Runs(_) => vec![("the runs of this machine", "muster runs".to_owned())],
        Screen::Pager(pager) => match &pager.about {
            About::RunNode(_) | About::RunStep(..) => run(model.watched()),
            About::Ticket => ticket(model.watched()),
            About::Help(_) => vec![("these keys, as a file that can be edited", "muster keys".to_owned())],
        },
        Screen::Node(screen) => {
            let mut pairs = of_node(&screen.node);
            pairs.extend(explained(model, screen));
            pairs
        }
        Screen::Diff(screen) => match &screen.about {
            DiffAbout::Change(..) => plan(model.plan.as_deref(), " --diff"),
            DiffAbout::Files(node, ..) | DiffAbout::Conf(node) => of_node(node),
        },
        Screen::Tail(screen) => of_node(&screen.node),
    };
    let equal = |(what, command): (&str, String)| Equal { what: what.to_owned(), command: model.carry.carry(&command) };
    pairs.into_iter().map(equal).collect()
}

type Pair = (&'static str, String);

fn fleet(model: &Model) -> Vec<Pair> {
    let nodes = filter(model).map(|text| format!(" --node {}", quoted(&text))).unwrap_or_default();
    let here = model.here();
    let mut pairs = vec![
        ("what this screen shows, looked at anew", format!("muster status{nodes}")),
        ("a plan for it; nothing is changed", "muster --plan".to_owned()),
    ];
    match here {
        Some(Part::Node(node)) => {
            pairs.extend(of_node(&node));
            pairs.push(("a plan for this node", format!("muster --plan --node {}", quoted(node.as_str()))));
        }
        Some(Part::Cluster(cluster)) => {
            pairs.push(("a plan for this cluster", format!("muster --plan --cluster {}", quoted(cluster.as_str()))));
        }
        _ => {}
    }
    pairs
}

fn of_node(node: &NodeName) -> Vec<Pair> {
    let node = quoted(node.as_str());
    vec![
        ("this node closely: facts, files, receipts, log", format!("muster inspect {node} --diff")),
        ("its truths alone", format!("muster status --node {node}")),
    ]
}

/// Where its settings come from, with the plugin under the cursor, else the first that the inventory assigns to it.
fn explained(model: &Model, screen: &NodeScreen) -> Option<Pair> {
    let here = match screen.target() {
        Some(Target::Plugin(plugin) | Target::File(plugin, _) | Target::Fold(Fold::Files(plugin))) => {
            Some(plugin.clone())
        }
        _ => None,
    };
    let first = || {
        let picture = model.picture.as_deref()?;
        let at = picture.node(&screen.node)?.cells.iter().position(Option::is_some)?;
        picture.columns.get(at).cloned()
    };
    let plugin = here.or_else(first)?;
    let command = format!("muster explain {} {}", quoted(screen.node.as_str()), quoted(&plugin));
    Some(("where its settings come from, and what becomes of a plugin there", command))
}

/// The selector of the fleet's filter; what is no node's name is looked for inside names there.
fn filter(model: &Model) -> Option<String> {
    let (Screen::Fleet(screen), Some(picture)) = (model.screen(), model.picture.as_deref()) else { return None };
    let text = screen.filter.text.trim();
    let selector = Selector::parse(text).ok().filter(|_| screen.filter.is_on())?;
    let mut nodes = picture.clusters.iter().flat_map(|cluster| cluster.nodes.iter().map(move |node| (cluster, node)));
    let known = nodes.any(|(cluster, node)| selector.matches(&node.name, &node.labels, &cluster.name));
    Some(if known { text.to_owned() } else { format!("*{text}*") })
}

fn plan(plan: Option<&Plan>, more: &str) -> Vec<Pair> {
    let Some(plan) = plan else { return vec![("a plan for the whole fleet", "muster --plan".to_owned())] };
    let selected = &plan.basis.selected;
    let option = |name: &str, value: &Option<String>| {
        value.as_ref().map(|value| format!(" {name} {}", quoted(value))).unwrap_or_default()
    };
    let nodes_and_plugins = option("--node", &selected.nodes) + &option("--plugin", &selected.plugins);
    let clusters = option("--cluster", &selected.clusters);
    let all = if clusters.is_empty() { " --all" } else { "" };
    let show = format!("muster --plan{clusters}{nodes_and_plugins}{more}");
    let mut pairs = vec![("this plan, from a new look; nothing is changed", show)];
    if !plan.is_empty() {
        let apply = format!("muster --apply{all}{clusters}{nodes_and_plugins}");
        pairs.push(("looks again, plans the same, and carries it out without a question", apply));
    }
    pairs
}

fn ticket(run: Option<&Watched>) -> Vec<Pair> {
    let head = run.and_then(|run| run.state.head.as_ref());
    head.map(|head| ("this block", format!("muster runs {} --ticket", head.run))).into_iter().collect()
}

fn run(run: Option<&Watched>) -> Vec<Pair> {
    let Some((run, head)) = run.and_then(|run| Some((run, run.state.head.as_ref()?))) else {
        return vec![("the runs of this machine", "muster runs".to_owned())];
    };
    let id = &head.run;
    let mut pairs = vec![("what this run has done, as it was recorded", format!("muster runs {id}"))];
    let open = run.verdict().is_some_and(|verdict| !matches!(verdict, Verdict::Converged | Verdict::InLine));
    if open && !run.is_on() {
        pairs.push(("what is left of it to do; nothing is changed", format!("muster resume {id}")));
        pairs.push(("finishes it, without a question", format!("muster resume {id} --yes")));
    }
    pairs
}

/// A command in lines of at most so many columns; each but the last ends as the shell wants it, so that what is copied is
/// still one command. Only blanks outside of quotes are places to break at.
pub(super) fn broken(command: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    for word in shell_words(command) {
        let line = lines.last().map_or(0, |line| super::shown::width(line));
        let wide = super::shown::width(&word);
        if line > 0 && line + 1 + wide + 2 > columns {
            if let Some(line) = lines.last_mut() {
                line.push_str(" \\");
            }
            lines.push(format!("  {word}"));
        } else if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(&word);
        }
    }
    lines
}

/// The words of a command, each with its quotes.
fn shell_words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in command.chars() {
        quoted ^= c == '\'';
        match words.last_mut() {
            Some(word) if c != ' ' || quoted => word.push(c),
            _ => words.push(String::new()),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_command_is_broken_as_the_shell_reads_it() {
        let command = "muster --plan --cluster eu-prod --node 'eu-1 or 2' --repo '/srv/it'\\''s here/a'";
        let lines = broken(command, 30);
        assert!(lines.iter().all(|line| line.chars().count() <= 30), "{lines:?}");
        assert!(lines[..lines.len() - 1].iter().all(|line| line.ends_with(" \\")), "{lines:?}");
        let joined: String = lines.iter().map(|line| line.trim_end_matches('\\').trim()).collect::<Vec<_>>().join(" ");
        assert_eq!(joined, command);
        assert!(lines.iter().any(|line| line.contains("'eu-1 or 2'")), "quotes are not torn: {lines:?}");
    }

    #[test]
    fn a_short_command_stays_on_one_line() {
        assert_eq!(broken("muster status", 80), ["muster status"]);
    }
}
