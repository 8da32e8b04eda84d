//! `muster check`: everything that can be known without a node.

use super::{Env, Format, Options};
use crate::exit;
use crate::failure::Failure;
use crate::fleet::{Desired, Doubt, doubts};
use crate::inventory::Look;

/// Reads inventory and bundles of a commit and says what is in them.
pub(super) fn run(options: &Options, env: &mut Env) -> Result<u8, Failure> {
    let desired = super::session::desired(&super::session::source(options, env)?)?;
    let written = match options.format {
        Format::Text => text(&desired, &mut env.out),
        Format::Json => json(&desired, &mut env.out),
    };
    written.map_err(|error| Failure::internal("writing", &error))?;
    Ok(exit::IN_LINE)
}

fn text(desired: &Desired, to: &mut dyn std::io::Write) -> std::io::Result<()> {
    let origin = &desired.origin;
    writeln!(to, "{} @ {}  {:?}", origin.repository, origin.revision.short(), origin.summary)?;
    for ((name, version), bundle) in &desired.bundles {
        let label = version.as_ref().map_or_else(|| name.to_string(), |version| format!("{name} {version}"));
        let plugins: Vec<String> = bundle
            .plugins
            .iter()
            .map(|(plugin, info)| format!("{plugin} {}", info.version.as_deref().unwrap_or("(version computed)")))
            .collect();
        let files = counted(bundle.files.len(), "file");
        writeln!(to, "  bundle {label:<24} {}  {files}  {}", bundle.digest.short(), plugins.join(", "))?;
        for note in &bundle.notes {
            writeln!(to, "    {note}")?;
        }
    }
    for cluster in desired.inventory.clusters.values() {
        let out = cluster.nodes.len() - cluster.active().count();
        let out = if out == 0 { String::new() } else { format!(", {out} out") };
        let nodes = counted(cluster.nodes.len(), "node");
        let plugins: Vec<&str> = cluster.plugins.keys().map(crate::inventory::Subject::as_str).collect();
        writeln!(to, "  cluster {:<23} {nodes}{out}  {}", cluster.name, plugins.join(", "))?;
    }
    write!(to, "{}", desired.inventory.warned().render(Look::Plain))?;
    let doubts = doubts(desired);
    for doubt in &doubts {
        let at = desired.inventory.locate(doubt.place);
        writeln!(to, "{at}: {}\n    {}", doubt.what, doubt.instead)?;
    }
    dirty(desired, to)?;
    let found = if doubts.is_empty() { "nothing wrong was found" } else { "nothing else was found" };
    writeln!(to, "{found}; no node was contacted")
}

/// `1 node`, `27 nodes`.
pub(super) fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Says what was changed in the work tree and is not used.
pub(super) fn dirty(desired: &Desired, to: &mut dyn std::io::Write) -> std::io::Result<()> {
    if desired.dirty.is_empty() {
        return Ok(());
    }
    let files = desired.dirty.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    let more = desired.dirty.len().saturating_sub(5);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    writeln!(to, "not committed, and not used: {files}{more}")
}

fn doubt(doubt: &Doubt) -> serde_json::Value {
    let Doubt { place, what, instead } = doubt;
    serde_json::json!({ "at": place.to_string(), "what": what, "instead": instead })
}

fn json(desired: &Desired, to: &mut dyn std::io::Write) -> std::io::Result<()> {
    let bundles: Vec<_> = desired
        .bundles
        .iter()
        .map(|((name, version), bundle)| {
            let plugins: Vec<_> = bundle
                .plugins
                .iter()
                .map(|(plugin, info)| serde_json::json!({ "plugin": plugin, "version": info.version }))
                .collect();
            serde_json::json!({
                "bundle": name, "version": version, "digest": bundle.digest,
                "files": bundle.files.keys().collect::<Vec<_>>(), "plugins": plugins, "notes": bundle.notes,
            })
        })
        .collect();
    let clusters: Vec<_> = desired
        .inventory
        .clusters
        .values()
        .map(|cluster| {
            serde_json::json!({
                "cluster": cluster.name, "topology": cluster.topology.as_str(),
                "nodes": cluster.nodes.keys().collect::<Vec<_>>(),
                "plugins": cluster.plugins.keys().map(crate::inventory::Subject::as_str).collect::<Vec<_>>(),
            })
        })
        .collect();
    let value = serde_json::json!({
        "muster": "check", "format": 1,
        "repository": desired.origin.repository, "revision": desired.origin.revision,
        "summary": desired.origin.summary, "dirty": desired.dirty,
        "bundles": bundles, "clusters": clusters,
        "doubts": doubts(desired).iter().map(doubt).collect::<Vec<_>>(),
    });
    writeln!(to, "{value}")
}
