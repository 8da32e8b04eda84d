//! Counting the rows of plugins that go, right before a node stops listing them: with one left, its reload would not be
//! applied and its next start would fail (measured.md 5).

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use crate::hint::Hint;
use crate::kong::printable;
use crate::name::{NodeName, PluginName};
use crate::remote::Remote;
use crate::run::Cause;

use super::admin::{Face, has_workspaces};
use super::cause::{advised, cause, of_trouble};
use super::rows;
use super::unapply::{brief, counted, in_words};

/// The most rows that are told one by one.
const TOLD: usize = 20;

/// The way to the Admin APIs of other nodes.
#[async_trait]
pub(crate) trait Elsewhere: Send + Sync {
    /// The Admin API of a node, and the way to it.
    async fn admin(&self, node: &NodeName) -> Result<(Arc<dyn Remote>, Face), Cause>;
}

/// That somebody uses plugins again which are being removed. `untouched` is the node where it was found before anything was
/// done there.
pub fn reapplied(rows: &[String], untouched: Option<&NodeName>) -> Cause {
    let uses = counted(rows.len(), "row uses", "rows use");
    let text = format!("{uses} again what is being removed: {}", brief(rows));
    let mut details: Vec<String> = rows.iter().take(TOLD).cloned().collect();
    details.extend(untouched.map(|node| format!("nothing was touched on {node}")));
    Cause {
        code: Cause::REAPPLIED.to_owned(),
        text: printable(&text, 1000),
        details,
        hints: vec![
            Hint::do_("either take these rows out again and apply again: the removal goes on where it stopped"),
            Hint::do_("or put the plugin back into the inventory (`present`), commit, and apply"),
        ],
    }
}

/// Nobody uses these plugins, as this node's own Admin API shows it.
pub(super) async fn through_own(
    remote: &dyn Remote,
    face: &Face,
    master: Option<u32>,
    node: &NodeName,
    gone: &BTreeSet<PluginName>,
) -> Result<(), Cause> {
    let counted = count(remote, face, master, gone).await;
    judge(node, &counted.map_err(|why| uncounted(node, why))?)
}

/// The same for a node whose Kong is stopped, as the first of these nodes that can be asked shows it.
pub(super) async fn through_others(
    elsewhere: &dyn Elsewhere,
    nodes: &[NodeName],
    node: &NodeName,
    gone: &BTreeSet<PluginName>,
) -> Result<(), Cause> {
    let mut last = cause("no-admin", "no node of its cluster can be asked");
    for other in nodes {
        let found = async {
            let (remote, face) = elsewhere.admin(other).await?;
            count(&*remote, &face, None, gone).await
        };
        match found.await {
            Ok(rows) => return judge(node, &rows),
            Err(why) => last = Cause { text: format!("through {other}: {}", why.text), ..why },
        }
    }
    Err(uncounted(node, last))
}

/// The rows in words.
async fn count(
    remote: &dyn Remote,
    face: &Face,
    master: Option<u32>,
    gone: &BTreeSet<PluginName>,
) -> Result<Vec<String>, Cause> {
    let facts = face.node(remote).await.map_err(of_trouble)?;
    if let (Some(ours), Some(answering)) = (master, facts.master)
        && ours != answering
    {
        let text = format!("another Kong answers there, or it was started again (master {answering}, not {ours})");
        return Err(advised("other-kong", text, Hint::type_("muster --plan")));
    }
    let rows = face.rows(remote, has_workspaces(&facts)).await.map_err(of_trouble)?;
    let rows = rows.into_iter().filter(|row| gone.contains(&row.row.name)).collect();
    Ok(in_words(&rows::in_words(face, remote, rows, gone).await))
}

fn judge(node: &NodeName, rows: &[String]) -> Result<(), Cause> {
    if rows.is_empty() { Ok(()) } else { Err(reapplied(rows, Some(node))) }
}

fn uncounted(node: &NodeName, why: Cause) -> Cause {
    let text = format!("nothing was touched on {node}, as the rows of what goes could not be counted: {}", why.text);
    Cause { text: printable(&text, 1000), ..why }
}
