//! What a plan would change on one node, for whoever looks at that node.

use super::{Blocker, Change, Plan, Scope, Target};
use crate::action::{Action, ConfEdit, Keeping};
use crate::diff::{Comparison, Planned};
use crate::kong::Conf;
use crate::name::{ClusterName, NodeName};

impl Plan {
    /// What this plan would change on a node of this cluster; `conf` is its kong.conf as the survey read it, for showing the
    /// lines that are edited.
    pub fn on_node(&self, node: &NodeName, cluster: &ClusterName, conf: Option<&Conf>) -> Planned {
        let changes = self.changes_on(node, cluster);
        let blocked = self.blockers.iter().filter(|blocker| is_of(blocker, node, cluster)).map(words).collect();
        let mut planned = Planned { changes, blocked, ..Planned::default() };
        for step in self.steps.iter().filter(|step| step.target == Target::Node(node.clone())) {
            let Action::Activate(activate) = &step.action else { continue };
            let (before, after) = &*activate.directive;
            if before != after {
                planned.directive = Some((before.clone(), after.clone()));
            }
            planned.conf = activate.conf.as_ref().zip(conf).and_then(|(edit, conf)| conf_change(edit, conf));
        }
        planned
    }

    fn changes_on(&self, node: &NodeName, cluster: &ClusterName) -> Vec<String> {
        let of = self.clusters.iter().filter(|of| of.cluster == *cluster).flat_map(|of| &of.changes);
        of.filter(|change| change.nodes.contains(node)).map(change_words).collect()
    }
}

fn change_words(change: &Change) -> String {
    let versions = match (&change.from, &change.to) {
        (Some(from), Some(to)) => format!(" {from} > {to}"),
        (None, Some(version)) | (Some(version), None) => format!(" {version}"),
        (None, None) => String::new(),
    };
    let detail = if change.detail.is_empty() { String::new() } else { format!(": {}", change.detail) };
    format!("{} {} {}{versions}{detail}", change.kind.mark(), change.kind.verb(), change.name)
}

fn is_of(blocker: &Blocker, node: &NodeName, cluster: &ClusterName) -> bool {
    match &blocker.scope {
        Scope::Run => true,
        Scope::Cluster { cluster: of } | Scope::Plugin { cluster: of, .. } => of == cluster,
        Scope::Node { node: of } => of == node,
    }
}

fn words(blocker: &Blocker) -> String {
    let hints = blocker.hints.iter().map(|hint| format!("; {hint}")).collect::<Vec<_>>().concat();
    format!("{}: {}{hints}", blocker.code.word(), blocker.what)
}

/// The edit of kong.conf as it will read; none if another file is edited, or this is another one than the plan saw.
fn conf_change(edit: &ConfEdit, conf: &Conf) -> Option<Comparison> {
    if edit.keeping != Keeping::Conf || edit.before.as_ref() != Some(conf.digest()) {
        return None;
    }
    let (offset, remove) = (usize::try_from(edit.offset).ok()?, usize::try_from(edit.remove).ok()?);
    let (head, rest) = conf.bytes().split_at_checked(offset)?;
    let after = Conf::parse([head, edit.insert.as_bytes(), rest.get(remove..)?].concat());
    let made = Comparison::of_conf(edit.path.as_str(), conf, &after);
    Some(made.between("as it is", "as the plan writes it"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{Digest, NodePath};

    fn edit(before: &str, offset: u64, remove: u64, insert: &str) -> Option<Comparison> {
        let conf = Conf::parse(before);
        let edit = ConfEdit {
            keeping: Keeping::Conf,
            path: NodePath::parse("/etc/kong/kong.conf").unwrap(),
            before: Some(conf.digest().clone()),
            offset,
            remove,
            insert: insert.to_owned(),
            after: Digest::of(b""),
        };
        conf_change(&edit, &conf)
    }

    #[test]
    fn the_edit_is_shown_as_the_lines_that_it_changes() {
        let shown = edit("pg_password = s3cret\nplugins = bundled\n", 38, 0, ",acme").unwrap();
        let texts: Vec<&str> = shown.lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["(not shown)", "plugins = bundled", "plugins = bundled,acme"]);
        assert_eq!((shown.removed, shown.added), (1, 1));
    }

    #[test]
    fn an_edit_of_another_file_than_this_is_not_shown() {
        let conf = Conf::parse("plugins = bundled\n");
        let edit_of = |keeping, before: &Conf| ConfEdit {
            keeping,
            path: NodePath::parse("/etc/default/kong").unwrap(),
            before: Some(before.digest().clone()),
            offset: 0,
            remove: 0,
            insert: "x".to_owned(),
            after: Digest::of(b""),
        };
        assert!(conf_change(&edit_of(Keeping::Conf, &conf), &conf).is_some());
        assert!(conf_change(&edit_of(Keeping::EnvironmentFile, &conf), &conf).is_none());
        assert!(conf_change(&edit_of(Keeping::Conf, &Conf::parse("other\n")), &conf).is_none());
        assert!(edit("short\n", 100, 0, "x").is_none());
        assert!(edit("short\n", 2, 100, "x").is_none());
    }
}
