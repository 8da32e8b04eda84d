//! The question before a blocker is lifted: what will then happen.

use super::dialog::{Lift, Typed};
use super::look::Tone;
use super::screen::Liftable;
use crate::name::collapse;
use crate::plan::{Blocker, BlockerCode, Plan, Scope};

impl Lift {
    /// The question for what is in the way here.
    pub fn new(plan: &Plan, what: Liftable) -> Self {
        let blocker = plan.blockers.iter().find(|blocker| {
            let is_node = matches!(&blocker.scope, Scope::Node { node } if what.nodes.first() == Some(node));
            blocker.code == what.code && (is_node || blocker.scope == what.scope)
        });
        let mut then: Vec<(Tone, String)> =
            blocker.into_iter().flat_map(|blocker| consequences(blocker, &what)).collect();
        then.extend(elsewhere(plan, &what));
        Self { then, typed: Typed::new(word(plan, &what)), what }
    }
}

/// What has to be typed: the node's name, or that of the cluster.
fn word(plan: &Plan, what: &Liftable) -> String {
    match (what.nodes.as_slice(), &what.scope) {
        ([node], _) => node.to_string(),
        ([], Scope::Cluster { cluster } | Scope::Plugin { cluster, .. }) => cluster.to_string(),
        ([], _) => "all".to_owned(),
        ([first, ..], _) => {
            let home = plan.clusters.iter().find(|cluster| {
                let lists = &cluster.nodes;
                [&lists.blocked, &lists.changing, &lists.in_line].into_iter().any(|list| list.contains(first))
            });
            home.map_or_else(|| "all".to_owned(), |cluster| cluster.cluster.to_string())
        }
    }
}

/// What will happen that is prevented now, the worst first.
fn consequences(blocker: &Blocker, what: &Liftable) -> Vec<(Tone, String)> {
    let on = collapse(&what.nodes);
    let found = (Tone::Plain, format!("now in the way: {}", blocker.what));
    let details = blocker.details.iter().map(|line| (Tone::Bad, format!("  {line}")));
    let then = match blocker.code {
        BlockerCode::PendingSettings => {
            let head = format!("the reload of {on} also applies what others prepared and nobody has loaded:");
            return std::iter::once((Tone::Bad, head)).chain(details).chain([found]).collect();
        }
        BlockerCode::ManagedConf => {
            let head = format!("kong.conf on {on} is edited, though something else writes it:");
            let after = "if that takes the edit out again, the next start of Kong is without the plugin".to_owned();
            return std::iter::once((Tone::Bad, head)).chain(details).chain([(Tone::Bad, after)]).collect();
        }
        BlockerCode::RowsManaged => {
            "its rows are un-applied all the same; if what writes them puts them back, the removal stops or is put back"
        }
        BlockerCode::TooManyUnreachable => {
            "the nodes that answer are changed; what the others run stays as it is, and is not known"
        }
        BlockerCode::AfterCluster => {
            "it is changed now, before the cluster that it waits for has shown that this is harmless"
        }
        _ => "the plan goes on as if it were not there",
    };
    std::iter::once((Tone::Bad, then.to_owned())).chain([found]).chain(details).collect()
}

/// What is not about nodes is lifted wherever it stands: `--allow` knows no clusters.
fn elsewhere(plan: &Plan, what: &Liftable) -> Option<(Tone, String)> {
    let others = plan.blockers.iter().filter(|blocker| blocker.code == what.code && blocker.scope != what.scope);
    let others: Vec<&str> = others
        .filter_map(|blocker| match &blocker.scope {
            Scope::Cluster { cluster } | Scope::Plugin { cluster, .. } => Some(cluster.as_str()),
            Scope::Run | Scope::Node { .. } => None,
        })
        .collect();
    let is_bare = what.nodes.is_empty() && !others.is_empty();
    is_bare.then(|| (Tone::Bad, format!("it is lifted wherever it stands, so on {} too", others.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::{ClusterName, NodeName};

    fn plan(blockers: Vec<Blocker>) -> Plan {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/journals/FORMAT-1-refused.jsonl");
        let journal = std::fs::read_to_string(path).unwrap();
        let head: serde_json::Value = serde_json::from_str(journal.lines().next().unwrap()).unwrap();
        Plan { blockers, ..serde_json::from_value(head["plan"].clone()).unwrap() }
    }

    fn blocker(code: BlockerCode, scope: Scope) -> Blocker {
        Blocker {
            code,
            scope,
            what: "this was found".into(),
            details: vec!["log_level  a > b".into()],
            hints: Vec::new(),
        }
    }

    #[test]
    fn settings_that_a_reload_would_also_apply_stand_first() {
        let node = NodeName::parse("eu-7").unwrap();
        let scope = Scope::Node { node: node.clone() };
        let code = BlockerCode::PendingSettings;
        let lift = Lift::new(&plan(vec![blocker(code, scope.clone())]), Liftable { code, nodes: vec![node], scope });
        assert_eq!(lift.typed.word, "eu-7");
        assert!(lift.then[0].1.starts_with("the reload of eu-7 also applies"), "{:?}", lift.then);
        assert_eq!(lift.then[1].1.trim(), "log_level  a > b");
    }

    #[test]
    fn what_is_lifted_wherever_it_stands_says_where_else() {
        let scope = |name: &str| Scope::Cluster { cluster: ClusterName::parse(name).unwrap() };
        let code = BlockerCode::AfterCluster;
        let both = plan(vec![blocker(code, scope("eu")), blocker(code, scope("us"))]);
        let lift = Lift::new(&both, Liftable { code, nodes: Vec::new(), scope: scope("eu") });
        assert_eq!(lift.typed.word, "eu");
        assert!(lift.then.iter().any(|(_, line)| line.ends_with("so on us too")), "{:?}", lift.then);
    }
}
