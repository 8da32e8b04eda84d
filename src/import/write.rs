//! The text of an inventory, with comments that say where each fact was found.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::assign::{Assigned, Entry, Sources};
use super::cluster::Group;
use super::{Draft, Options, Said, Subject, Weight};
use crate::inventory::{Become, KongPaths};
use crate::kong::printable;
use crate::name::{NodeName, NodePath, collapse};

/// The longest line of a comment, in characters.
const COLUMNS: usize = 120;

/// Writes the file.
pub(super) fn inventory(groups: &[Group<'_>], assigned: &Assigned<'_>, options: &Options<'_>, draft: &Draft) -> String {
    let mut text = String::new();
    for line in options.head {
        comment(&mut text, 0, line);
    }
    for said in &draft.general {
        comment(&mut text, 0, &said.text);
    }
    let (owner, from) = &options.owner;
    let _ = writeln!(text, "version: 1\nowner: {:<24} # {}", scalar(owner.as_str()), printable(from, COLUMNS));
    let becomes = match options.becomes {
        Become::None => "none",
        Become::Sudo => "sudo",
    };
    let _ = writeln!(text, "defaults:\n  become: {becomes}");
    bundles(&mut text, assigned, options.below);
    text.push_str(if groups.is_empty() { "clusters: {}\n" } else { "clusters:\n" });
    for group in groups {
        cluster(&mut text, group, assigned, draft);
    }
    text
}

/// A text as YAML has it: bare where it can be taken for nothing else, else in double quotes.
fn scalar(text: &str) -> String {
    let bare = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
        && !matches!(text.to_lowercase().as_str(), "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n");
    if bare { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// A comment in lines of a bearable length.
fn comment(text: &mut String, indent: usize, said: &str) {
    let said = printable(said, 2_000);
    let mut line = String::new();
    for word in said.split(' ') {
        if !line.is_empty() && indent + 2 + line.chars().count() + 1 + word.chars().count() > COLUMNS {
            let _ = writeln!(text, "{:indent$}# {line}", "");
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let _ = writeln!(text, "{:indent$}# {line}", "");
}

fn bundles(text: &mut String, assigned: &Assigned<'_>, below: &str) {
    if assigned.bundles.is_empty() {
        return;
    }
    text.push_str("bundles:\n");
    for (name, sources) in &assigned.bundles {
        bundle(text, name.as_str(), sources, below);
    }
}

fn bundle(text: &mut String, name: &str, sources: &Sources, below: &str) {
    let source = |directory: &str, nodes: &BTreeSet<NodeName>| {
        let nodes = printable(&collapse(nodes), 60);
        format!("{{ dir: {} }}   # as on {nodes}", scalar(&format!("{below}{directory}")))
    };
    if let Some((directory, nodes)) = sources.get(&None) {
        let _ = writeln!(text, "  {}: {}", scalar(name), source(directory, nodes));
        return;
    }
    let _ = writeln!(text, "  {}:", scalar(name));
    for (version, (directory, nodes)) in sources {
        let version = version.as_ref().map(ToString::to_string).unwrap_or_default();
        // Always in quotes: to YAML `1.10` is a number.
        let _ = writeln!(text, "    {}: {}", serde_json::Value::from(version), source(directory, nodes));
    }
}

fn cluster(text: &mut String, group: &Group<'_>, assigned: &Assigned<'_>, draft: &Draft) {
    let _ = writeln!(text, "  {}:", scalar(group.name.as_str()));
    comment(text, 4, &group.why);
    let _ = writeln!(text, "    topology: {}", group.topology.as_str());
    let shared = shared(group);
    kong(text, 4, &shared);
    text.push_str("    nodes:\n");
    for subject in &group.nodes {
        node(text, subject, &shared, draft);
    }
    let entries = assigned.plugins.get(&group.name);
    let Some(entries) = entries.filter(|entries| !entries.is_empty()) else { return };
    text.push_str("    plugins:\n");
    for (key, entry) in entries {
        plugin(text, key, entry);
    }
}

fn node(text: &mut String, subject: &Subject<'_>, shared: &[Path<'_>], draft: &Draft) {
    let name = &subject.name;
    let _ = writeln!(text, "      {}:", scalar(name.as_str()));
    let own = draft.said.get(name).into_iter().flatten();
    let said: Vec<&Said> = subject.place.said.iter().chain(own).filter(|said| said.weight != Weight::Found).collect();
    for said in said {
        let word = if said.weight == Weight::Open { "not explained" } else { "assumed" };
        comment(text, 8, &format!("{word}: {}", said.text));
    }
    let target = subject.target;
    if target.host.as_str() != name.as_str() {
        let _ = writeln!(text, "        host: {}", scalar(target.host.as_str()));
    }
    let user = target.user.as_ref().map(|user| format!("user: {}", scalar(user.as_str())));
    let port = target.port.map(|port| format!("port: {port}"));
    let ssh: Vec<String> = user.into_iter().chain(port).collect();
    if !ssh.is_empty() {
        let _ = writeln!(text, "        ssh: {{ {} }}", ssh.join(", "));
    }
    let own: Vec<Path<'_>> = paths(&subject.place.paths).into_iter().filter(|path| !shared.contains(path)).collect();
    kong(text, 8, &own);
}

/// A path under `kong:`.
type Path<'a> = (&'static str, &'a NodePath);

fn paths(paths: &KongPaths) -> [Path<'_>; 5] {
    let KongPaths { conf, prefix, lua_root, home, cli } = paths;
    [("conf", conf), ("prefix", prefix), ("lua_root", lua_root), ("home", home), ("cli", cli)]
}

/// The paths that all nodes of a cluster have alike.
fn shared<'a>(group: &Group<'a>) -> Vec<Path<'a>> {
    let [first, rest @ ..] = group.nodes.as_slice() else { return Vec::new() };
    let of_all = |path: &Path<'a>| rest.iter().all(|node| paths(&node.place.paths).contains(path));
    if rest.is_empty() { Vec::new() } else { paths(&first.place.paths).into_iter().filter(of_all).collect() }
}

/// All of them, also those that are the default: this is where a reader looks for what is assumed.
fn kong(text: &mut String, indent: usize, paths: &[Path<'_>]) {
    if paths.is_empty() {
        return;
    }
    let _ = writeln!(text, "{:indent$}kong:", "");
    for (key, path) in paths {
        let _ = writeln!(text, "{:indent$}  {key}: {}", "", scalar(path.as_str()));
    }
}

fn plugin(text: &mut String, key: &str, entry: &Entry) {
    for why in &entry.why {
        comment(text, 6, why);
    }
    let state = if entry.present { "present" } else { "staged" };
    let mut keys = Vec::new();
    if let Some(version) = &entry.version {
        keys.push(format!("version: {}", serde_json::Value::from(version.as_str())));
    }
    if !entry.present || entry.version.is_none() {
        keys.insert(0, format!("state: {state}"));
    }
    if entry.files_external {
        keys.push("files: external".to_owned());
    }
    if entry.directive_external {
        keys.push("directive: external".to_owned());
    }
    if let Some(on) = &entry.on {
        keys.push(format!("on: {}", serde_json::Value::from(on.as_str())));
    }
    let value = match (keys.as_slice(), &entry.version) {
        ([_], Some(version)) => serde_json::Value::from(version.as_str()).to_string(),
        ([_], None) => state.to_owned(),
        _ => format!("{{ {} }}", keys.join(", ")),
    };
    let _ = writeln!(text, "      {}: {value}", scalar(key));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_bare_only_where_it_can_be_nothing_else() {
        for (text, written) in [
            ("acme-auth", "acme-auth"),
            ("/usr/local/kong", "/usr/local/kong"),
            ("on", "\"on\""),
            ("NULL", "\"NULL\""),
            ("1.0", "\"1.0\""),
            ("10.0.0.4", "\"10.0.0.4\""),
            ("a: b # c", "\"a: b # c\""),
            ("/a/k'o\"n $(id)/x", "\"/a/k'o\\\"n $(id)/x\""),
            ("::1", "\"::1\""),
        ] {
            assert_eq!(scalar(text), written);
        }
    }

    #[test]
    fn a_comment_is_broken_at_blanks_and_each_line_of_it_is_one() {
        let mut text = String::new();
        comment(&mut text, 2, &"word\n ".repeat(60));
        assert!(
            text.lines().count() > 2
                && text.lines().all(|line| line.starts_with("  # ") && line.chars().count() <= COLUMNS + 2)
        );
        assert!(!text.contains("\nword"));
    }
}
