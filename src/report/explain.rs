//! `muster explain NODE PLUGIN`: where the node's settings come from, what is known of one plugin there, what a reload and a
//! start would make of it, and what muster would do.

use std::io::{self, Write};

use jiff::Timestamp;
use serde::Serialize;

use super::words::{clean, count, pad, width, wrap};
use crate::action::{Action, Activate, Keeping};
use crate::diff::{self, Agreement, Condition, Item, Lack, Mark, NodeDiff, Reaches, Settings};
use crate::inventory::{Node, State};
use crate::kong::origin::{Chain, Link, Place};
use crate::kong::{Directive, KongVersion, Support};
use crate::name::{NodeName, PluginName};
use crate::plan::{Blocker, Plan, Scope, Target};
use crate::survey::NodeFacts;

/// The version of the JSON.
pub const FORMAT: u32 = 1;
/// The line that is kept to.
const COLUMNS: usize = 96;

/// One of the four truths, with what it rests on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Truth {
    /// `files`, `directive`, `loaded`, `used`.
    #[serde(rename = "truth")]
    pub name: &'static str,
    /// The mark; none for what the inventory does not assign.
    pub mark: Option<Mark>,
    /// What was seen.
    pub evidence: String,
}

/// What a reload or a start would make of the plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It loads it.
    Loads,
    /// It is without it.
    Without,
    /// It cannot be told, or there is none.
    Unknown,
}

/// Everything about one plugin on one node.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    muster: &'static str,
    format: u32,
    /// When the look began.
    pub at: Timestamp,
    /// The node.
    pub node: NodeName,
    /// Its cluster.
    pub cluster: String,
    /// The bundle or plugin, as it was asked for.
    pub plugin: String,
    /// The plugins that it stands for.
    pub plugins: Vec<PluginName>,
    /// How far it is wanted there; none if the inventory does not assign it.
    pub wanted: Option<State>,
    /// The version of Kong.
    pub kong: Option<String>,
    /// The state of the node.
    pub condition: Condition,
    /// Where `plugins` and `lua_package_path` come from.
    pub chains: [Chain; 2],
    /// For each place of `plugins` that has a value, whether that names the plugin.
    pub named: Vec<Option<bool>>,
    /// How the three places of `plugins` stand to each other.
    pub agreement: Agreement,
    /// What is odd about the directive of the next start.
    pub problems: Vec<String>,
    /// Who finds what is under the Lua root.
    pub reaches: Reaches,
    /// What the search paths lack.
    pub lacks: Vec<Lack>,
    /// What of both settings goes off at the next reload or start, and places that do not say the same.
    #[serde(flatten)]
    pub settings: Settings,
    #[serde(skip)]
    state: &'static str,
    /// The four truths.
    pub truths: Vec<Truth>,
    /// What the next reload by anybody would make of it.
    pub reload: Fate,
    /// What the next start of the service would.
    pub start: Fate,
    /// What muster would do about it, one line each; empty where there is nothing to do.
    pub would: Vec<String>,
    /// What stands in the way.
    pub blockers: Vec<Blocker>,
}

/// What an explanation is made from.
pub struct Subject<'a> {
    /// When the look began.
    pub at: Timestamp,
    /// The node as the inventory has it.
    pub node: &'a Node,
    /// The bundle or plugin.
    pub plugin: &'a str,
    /// What was seen of the node.
    pub facts: &'a NodeFacts,
    /// The comparison.
    pub diff: &'a NodeDiff,
    /// The plan for this node and this plugin.
    pub plan: &'a Plan,
}

impl Explanation {
    /// Puts it together.
    pub fn of(subject: &Subject<'_>) -> Self {
        let Subject { at, node, plugin, facts, diff, plan } = *subject;
        let item = item(diff, plugin).map(|(_, item)| item);
        let plugins = match item {
            Some(item) => item.plugins.clone(),
            None => PluginName::parse(plugin).into_iter().collect(),
        };
        let chains = diff::chains(&node.kong, facts);
        let loads = |value: Option<&str>| match value.map(|value| Directive::effective(Some(value))) {
            Some(directive) if plugins.iter().all(|plugin| directive.loads(plugin)) => Fate::Loads,
            Some(_) => Fate::Without,
            None => Fate::Unknown,
        };
        let named = |link: &Link| {
            let directive = Directive::parse(link.value.as_deref()?);
            Some(plugins.iter().all(|plugin| directive.names(plugin)))
        };
        let start = Directive::effective(chains[0].start.as_deref());
        Self {
            muster: "explain",
            format: FORMAT,
            at,
            node: node.name.clone(),
            cluster: node.cluster.to_string(),
            plugin: plugin.to_owned(),
            wanted: item.map(|item| item.wanted),
            kong: diff.kong.clone(),
            condition: diff.condition.clone(),
            named: chains[0].links.iter().map(named).collect(),
            agreement: diff.directives.agreement,
            problems: start.problems().iter().map(ToString::to_string).collect(),
            reaches: Reaches::of(&node.kong, &chains[1]),
            lacks: diff::lacks(&node.kong, facts),
            settings: (*diff.settings).clone(),
            state: diff.state().1,
            truths: truths(item, &plugins, facts, &chains[0]),
            reload: loads(chains[0].reload.as_deref()),
            start: loads(chains[0].start.as_deref()),
            would: would(plan, &node.name, facts),
            blockers: plan.blockers.iter().filter(|blocker| about(blocker, node)).cloned().collect(),
            plugins,
            chains,
        }
    }
}

/// What the inventory assigns by this name, or with a plugin of this name in it.
pub fn item<'a>(diff: &'a NodeDiff, plugin: &str) -> Option<(&'a str, &'a Item)> {
    let holds = |item: &Item| item.plugins.iter().any(|name| name.as_str() == plugin);
    let found = diff.items.get_key_value(plugin).or_else(|| diff.items.iter().find(|(_, item)| holds(item)));
    found.map(|(name, item)| (name.as_str(), &**item))
}

fn about(blocker: &Blocker, node: &Node) -> bool {
    match &blocker.scope {
        Scope::Run => true,
        Scope::Cluster { cluster } | Scope::Plugin { cluster, .. } => *cluster == node.cluster,
        Scope::Node { node: of } => *of == node.name,
    }
}

fn truths(item: Option<&Item>, plugins: &[PluginName], facts: &NodeFacts, chain: &Chain) -> Vec<Truth> {
    let mark = |of: fn(&Item) -> Mark| item.map(of);
    let files = match item {
        Some(item) if item.files.files.is_empty() => "on disk as far as the inventory goes".to_owned(),
        Some(item) => item.files.words(),
        None => "the inventory does not assign it, so that its files were not looked at".to_owned(),
    };
    let directive = format!("decided by {}", chain.origin.words());
    vec![
        Truth { name: "files", mark: mark(|item| item.truths.files), evidence: files },
        Truth { name: "directive", mark: mark(|item| item.truths.directive), evidence: directive },
        Truth { name: "loaded", mark: mark(|item| item.truths.loaded), evidence: loaded(plugins, facts) },
        Truth { name: "used", mark: mark(|item| item.truths.used), evidence: used(plugins, facts) },
    ]
}

fn loaded(plugins: &[PluginName], facts: &NodeFacts) -> String {
    let admin = match &facts.admin {
        Ok(admin) => admin,
        Err(trouble) => return trouble.text.clone(),
    };
    let words = plugins.iter().map(|plugin| match admin.loaded.get(plugin) {
        Some(Some(version)) => format!("{plugin} {version}"),
        Some(None) => format!("{plugin}, of whatever version"),
        None => format!("{plugin} is not loaded"),
    });
    format!("the Admin API: {}", words.collect::<Vec<_>>().join(", "))
}

fn used(plugins: &[PluginName], facts: &NodeFacts) -> String {
    let admin = match &facts.admin {
        Ok(admin) => admin,
        Err(trouble) => return trouble.text.clone(),
    };
    if let Some(trouble) = &admin.rows_trouble {
        return trouble.text.clone();
    }
    let rows: Vec<String> = plugins
        .iter()
        .filter_map(|plugin| admin.rows.get(plugin.as_str()))
        .flatten()
        .map(crate::survey::PluginRow::words)
        .collect();
    match rows.as_slice() {
        [] => "no row uses it".to_owned(),
        rows => {
            format!("{}: {}", count(rows.len(), "row"), rows.iter().take(5).cloned().collect::<Vec<_>>().join(", "))
        }
    }
}

/// What the plan does on this node.
fn would(plan: &Plan, node: &NodeName, facts: &NodeFacts) -> Vec<String> {
    let mut lines = Vec::new();
    for change in plan.clusters.iter().flat_map(|cluster| &cluster.changes) {
        if change.nodes.contains(node) {
            let to = change.to.as_ref().map(|to| format!(" {to}")).unwrap_or_default();
            lines.push(format!("{} {}{to}: {}", change.kind.verb(), change.name, change.detail));
        }
    }
    let on = |target: &Target| matches!(target, Target::Node(name) if name == node);
    for step in plan.steps.iter().filter(|step| on(&step.target)) {
        if let Action::Activate(activate) = &step.action {
            lines.extend(activation(activate, facts));
        }
    }
    lines
}

fn activation(activate: &Activate, facts: &NodeFacts) -> Vec<String> {
    let (before, after) = &*activate.directive;
    let mut lines = vec![format!("plugins = {before}  >  {after}")];
    if let Some(edit) = &activate.conf {
        let how = match &edit.keeping {
            Keeping::Conf => String::new(),
            Keeping::EnvironmentFile => " (the environment of the service: kong.conf is not edited)".to_owned(),
            Keeping::DropIn { unit, .. } => {
                format!(" (a drop-in of {unit}, then systemctl daemon-reload; nothing is restarted)")
            }
        };
        lines.push(format!("edit {}{how}", edit.path));
    }
    let reloads = match &activate.way {
        crate::action::ReloadWay::Candidate => {
            "one reload, of what runs and our lines, proven; kong.conf is not applied"
        }
        crate::action::ReloadWay::Hup => "our lines into .kong_env and a HUP, proven",
        crate::action::ReloadWay::Prepare => "kong prepare and kong reload, each with -c, proven",
        crate::action::ReloadWay::Restart => "kong restart with -c, proven; it serves nothing for a moment",
        crate::action::ReloadWay::Unit { unit } => &format!("systemctl reload {unit}, proven"),
        crate::action::ReloadWay::Command { command } => &format!("/bin/sh there is given, proven: {command}"),
        crate::action::ReloadWay::Unneeded => "no reload: what runs is right already",
        crate::action::ReloadWay::Stopped => "no reload: Kong does not run there",
    };
    lines.push(reloads.to_owned());
    if !activate.evidence.is_empty() {
        lines.push(format!("this way, as {}", activate.evidence));
    }
    if facts.undoes {
        lines.push("first what an unfinished run has left is put back".to_owned());
    }
    lines
}

/// The explanation as one line of JSON.
pub fn json(explanation: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    super::json::line(explanation, out)
}

/// The explanation for people.
pub fn text(explanation: &Explanation, out: &mut dyn Write) -> io::Result<()> {
    for line in lines(explanation) {
        writeln!(out, "{}", clean(line.trim_end()))?;
    }
    out.flush()
}

fn lines(of: &Explanation) -> Vec<String> {
    let kong = of.kong.as_ref().map(|kong| format!(", Kong {kong}{}", supported(kong))).unwrap_or_default();
    let state = of.state;
    let wanted = match of.wanted {
        Some(State::Present) => "wanted: present",
        Some(State::Staged) => "wanted: staged, so on disk and not listed",
        Some(State::Absent) => "wanted: absent",
        None => "the inventory does not assign it there",
    };
    let mut lines = vec![format!("{} on {}  ({}{kong}; {state})", of.plugin, of.node, of.cluster), wanted.to_owned()];
    lines.extend([String::new(), "where plugins comes from, the weakest first".to_owned()]);
    for (link, named) in of.chains[0].links.iter().zip(&of.named) {
        let names = match named {
            Some(true) => "names it; ",
            Some(false) => "does not name it; ",
            None => "",
        };
        lines.extend(place(link, names));
    }
    lines.extend(disagreement(of, "plugins"));
    lines.extend(
        of.settings
            .time_bombs
            .iter()
            .filter(|bomb| !bomb.plugins.is_empty())
            .flat_map(|bomb| said(&format!("time bomb: {}", bomb.what), &bomb.fix)),
    );
    lines.extend(of.problems.iter().map(|problem| format!("  ! at the next start: {problem}")));
    lines.extend([String::new(), "where lua_package_path comes from".to_owned()]);
    lines.extend(of.chains[1].links.iter().flat_map(|link| place(link, "")));
    let sign = if of.lacks.is_empty() { '=' } else { '!' };
    lines.extend(
        wrap(&of.reaches.words(), COLUMNS - 4)
            .into_iter()
            .enumerate()
            .map(|(at, line)| format!("  {} {line}", if at == 0 { sign } else { ' ' })),
    );
    for lack in &of.lacks {
        lines.push(format!("  ! {}", lack.what));
        lines.extend(wrap(&lack.fix, COLUMNS - 6).into_iter().map(|line| format!("      {line}")));
    }
    lines.extend(disagreement(of, "lua_package_path"));
    lines.extend([String::new(), "what is known of it there".to_owned()]);
    for truth in &of.truths {
        let sign = truth.mark.map_or(' ', Mark::sign);
        lines.push(format!("  {sign} {} {}", pad(truth.name, 10), truth.evidence));
    }
    lines.push(String::new());
    lines.extend(fates(of));
    lines.push(String::new());
    lines.extend(doing(of));
    lines
}

/// What the places of a setting say, where that is not the same.
fn disagreement(of: &Explanation, key: &str) -> Vec<String> {
    let found = of.settings.disagreements.iter().filter(|one| one.key == key);
    found.flat_map(|one| said(&one.what, &one.fix)).collect()
}

fn said(what: &str, fix: &str) -> Vec<String> {
    let what = wrap(what, COLUMNS - 4).into_iter().enumerate();
    let what = what.map(|(at, line)| format!("  {} {line}", if at == 0 { '!' } else { ' ' }));
    what.chain(wrap(fix, COLUMNS - 6).into_iter().map(|line| format!("      {line}"))).collect()
}

fn supported(kong: &str) -> &'static str {
    match KongVersion::parse(kong).map(|version| version.support()) {
        Some(Support::Full) => "",
        _ => ", which is looked at and not changed",
    }
}

/// A place with its value, and what that is for.
fn place(link: &Link, names: &str) -> Vec<String> {
    let mark = if link.counts { '>' } else { ' ' };
    let number = link.line.map(|number| format!(":{number}")).unwrap_or_default();
    let at = format!("{}{number}", link.at);
    let value = link.value.as_ref().map(|value| format!("= {value}")).unwrap_or_default();
    let why = format!("      {names}{}", link.why);
    if width(&at) + width(&value) + 6 <= COLUMNS {
        return vec![format!("  {mark} {at}  {value}"), why];
    }
    vec![format!("  {mark} {at}"), format!("      {value}"), why]
}

fn fates(of: &Explanation) -> Vec<String> {
    let words = |fate| match fate {
        Fate::Loads => "lists it",
        Fate::Without => "is without it",
        Fate::Unknown => "cannot be told, or there is none",
    };
    let mut lines = vec![
        format!("the next reload   {}", words(of.reload)),
        format!("the next start    {}  ({})", words(of.start), of.chains[0].origin.words()),
    ];
    if let Some(hand) = &of.chains[0].by_hand {
        lines.push(format!(
            "a `kong prepare` typed into a shell has not the environment of the service: plugins = {hand}"
        ));
    }
    let unit = of.chains[0].links.iter().any(|link| link.place == Place::Environment && link.counts);
    if unit {
        lines.push("an edit of plugins in kong.conf does nothing while the environment sets it".to_owned());
    }
    lines
}

fn doing(of: &Explanation) -> Vec<String> {
    let mut lines = Vec::new();
    if of.would.is_empty() && of.blockers.is_empty() {
        lines.push("muster would do nothing about it".to_owned());
    } else if !of.would.is_empty() {
        lines.push("muster would".to_owned());
        lines.extend(of.would.iter().map(|line| format!("  {line}")));
    }
    for blocker in &of.blockers {
        lines.push(format!("! {} ({})", blocker.what, blocker.code.word()));
        lines.extend(blocker.details.iter().map(|detail| format!("    {detail}")));
        lines.extend(blocker.hints.iter().map(|hint| format!("    {hint}")));
    }
    lines
}
