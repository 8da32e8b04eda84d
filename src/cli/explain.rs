//! `muster explain NODE PLUGIN`: where that node's settings come from, and what becomes of the plugin there.

use super::Format;
use super::session::Session;
use crate::exit;
use crate::failure::Failure;
use crate::hint::Hint;
use crate::inventory::Selector;
use crate::name::NodeName;
use crate::plan::Selection;
use crate::report::explain::{self, Explanation, Subject, item};
use crate::run::Verdict;
use crate::survey::NodeSurvey;

/// Explains it. The whole fleet is looked at, as what muster would do depends on the other nodes of the cluster.
pub(super) async fn run(node: &str, plugin: &str, session: Session<'_>) -> Result<u8, Failure> {
    let Session { env, options, fleet, allow, control, .. } = session;
    let name = NodeName::parse(node).map_err(|error| Failure::usage(format!("{node}: {error}")))?;
    let found = fleet.inventory().nodes().find(|one| one.name == name);
    let node = found.ok_or_else(|| {
        let mut failure = Failure::usage(format!("the inventory has no node {name}"));
        failure.hints = vec![Hint::type_("muster status")];
        failure
    })?;
    let Some(mut picture) = super::plan::look(env, &fleet, &control).await else { return Ok(exit::INTERRUPTED) };
    let named = picture.diff.node(&name).and_then(|diff| item(diff, plugin)).map(|(subject, _)| subject.to_owned());
    let subject = named.as_deref().unwrap_or(plugin);
    let only = |text: &str| Selector::parse_names(text).map_err(|error| Failure::usage(format!("{text}: {error}")));
    let selection =
        Selection { nodes: Some(only(name.as_str())?), plugins: Some(only(subject)?), ..Selection::default() };
    let planned = super::plan::closely(&fleet, &mut picture, (selection, allow), false, &control).await;
    let Some(plan) = planned else { return Ok(exit::INTERRUPTED) };
    let (Some(NodeSurvey::Seen(facts)), Some(diff)) = (picture.survey.nodes.get(&name), picture.diff.node(&name))
    else {
        return unseen(&name, &picture, env);
    };
    let explanation = Explanation::of(&Subject { at: picture.survey.at, node, plugin, facts, diff, plan: &plan });
    let written = match options.format {
        Format::Json => explain::json(&explanation, &mut env.out),
        Format::Text => explain::text(&explanation, &mut env.out),
    };
    written.map_err(|error| Failure::internal("writing the explanation", &error))?;
    Ok(exit::IN_LINE)
}

/// What was not seen cannot be explained; why is said as `status` says it.
fn unseen(name: &NodeName, picture: &crate::fleet::Picture, env: &mut super::Env) -> Result<u8, Failure> {
    use std::io::Write as _;
    let why = match picture.survey.nodes.get(name) {
        Some(NodeSurvey::Unreachable(trouble) | NodeSurvey::Refused(trouble)) => trouble.clone(),
        _ => crate::survey::Trouble {
            code: "out".to_owned(),
            text: format!("{name} is out, and was not looked at"),
            hints: Vec::new(),
        },
    };
    let lines = std::iter::once(why.text).chain(why.hints.iter().map(ToString::to_string));
    for line in lines {
        writeln!(env.err, "{line}").map_err(|error| Failure::internal("writing the explanation", &error))?;
    }
    Ok(Verdict::Incomplete.exit())
}
