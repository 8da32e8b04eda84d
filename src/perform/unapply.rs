//! First step of a removal: every row of the plugins is deleted, or disabled, through the Admin API of one node.
//!
//! Kong answers 204 to the deletion of anything, and never lists by name (measured.md 5): so rows are listed whole and picked
//! here, deleted by their ids, and listed again. What is deleted was kept before, as an undo bundle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;

use crate::action::{Unapply, Withdrawal};
use crate::hint::{Hint, Sealed};
use crate::kong::printable;
use crate::name::{ClusterName, NodeName, PluginName};
use crate::remote::{HttpAnswer, Remote};
use crate::run::{CancelLevel, Cause, Outcome, SkipReason, StepEnd, StepPhase};

use super::admin::{Face, Row, WholeRow, advice, answered, has_workspaces, row_path};
use super::cause::{advised, cause, of_remote, of_trouble};
use super::node::NodePerformer;
use super::recount::Elsewhere as _;
use super::undo::{UndoBundle, UndoHead, UndoRow};
use super::{LeaseRefusal, Watch, rows};

/// How often all nodes are tried once a change was begun: a connection that broke once may be there again.
const ROUNDS: usize = 2;
/// The most rows that are told one by one.
const TOLD: usize = 20;

/// One un-apply.
pub(super) struct Unapplying<'a> {
    pub(super) performer: &'a NodePerformer,
    pub(super) cluster: &'a ClusterName,
    pub(super) unapply: &'a Unapply,
    pub(super) watch: &'a dyn Watch,
}

/// How far it came.
#[derive(Default)]
struct Work {
    /// A change was asked for: from here on nothing may go without being said.
    begun: bool,
    /// Rows whose change was answered as it should.
    changed: usize,
    /// Rows that there were to change.
    total: usize,
    /// Where the undo bundles are, once they are kept.
    kept: Option<Vec<String>>,
}

/// Why it did not go on through a node.
enum Stop {
    /// It is over.
    End(StepEnd),
    /// This node, or its Admin API, cannot be asked: the next one may.
    Next(Cause),
}

impl From<Cause> for Stop {
    fn from(cause: Cause) -> Self {
        Self::End(StepEnd::Failed { cause })
    }
}

/// The Admin API of one node.
struct Door {
    node: NodeName,
    remote: Arc<dyn Remote>,
    face: Face,
    workspaces: bool,
}

impl Unapplying<'_> {
    /// Carries it out to its end.
    pub(super) async fn perform(&self) -> StepEnd {
        let mut work = Work::default();
        let mut troubles = Vec::new();
        for _ in 0..ROUNDS {
            for node in &self.unapply.through {
                match self.through(node, &mut work).await {
                    Ok(end) | Err(Stop::End(end)) => return end,
                    Err(Stop::Next(trouble)) => {
                        self.watch.printed(format!("not through {node}: {}", trouble.text));
                        self.performer.forget(node).await;
                        troubles.push((node.clone(), trouble));
                    }
                }
            }
            if !work.begun {
                break;
            }
        }
        self.given_up(&work, troubles)
    }

    async fn through(&self, node: &NodeName, work: &mut Work) -> Result<StepEnd, Stop> {
        let door = self.open(node).await?;
        let rows = self.list(&door).await?;
        self.check_planned(&door, &rows, work).await?;
        let left: Vec<&WholeRow> = rows.iter().filter(|row| self.is_to_change(row)).collect();
        if left.is_empty() {
            return Ok(self.holds(work));
        }
        if work.kept.is_none() {
            work.total = left.len();
            work.kept = Some(self.keep(&door, &rows)?);
        }
        for row in left {
            self.change(&door, row, work).await?;
        }
        let rows = self.list(&door).await?;
        self.check_planned(&door, &rows, work).await?;
        match rows.iter().filter(|row| self.is_to_change(row)).count() {
            0 => Ok(self.holds(work)),
            left => {
                let text = format!("Kong answered that all rows are {}, and lists {left} of them still", self.done());
                Err(self.stopped(work, cause("not-un-applied", text)).into())
            }
        }
    }

    async fn open(&self, node: &NodeName) -> Result<Door, Stop> {
        let (remote, face) = self.performer.admin(node).await.map_err(Stop::Next)?;
        // The lease of the node stands for that of the cluster: who was replaced while it slept changes nothing.
        match self.performer.secure(node).await {
            Ok(()) => {}
            Err(LeaseRefusal::Held(cause)) => return Err(cause.into()),
            Err(LeaseRefusal::Failed(cause)) => return Err(Stop::Next(cause)),
        }
        let facts = face.node(&*remote).await.map_err(|trouble| Stop::Next(of_trouble(trouble)))?;
        Ok(Door { node: node.clone(), remote, face, workspaces: has_workspaces(&facts) })
    }

    async fn list(&self, door: &Door) -> Result<Vec<WholeRow>, Stop> {
        self.watch.phase(StepPhase::Prove, format!("listing rows through {}", door.node));
        let plugins: BTreeSet<PluginName> = self.unapply.rows.keys().cloned().collect();
        let listed = door.face.whole_rows(&*door.remote, door.workspaces, &plugins).await;
        listed.map_err(|trouble| Stop::Next(of_trouble(trouble)))
    }

    /// A row that the plan did not show is not touched, and nothing beside it: whoever made it has to be heard first.
    async fn check_planned(&self, door: &Door, rows: &[WholeRow], work: &Work) -> Result<(), Stop> {
        let planned: BTreeSet<&str> = self.unapply.rows.values().flatten().map(|row| row.id.as_str()).collect();
        let new: Vec<Row> = rows
            .iter()
            .filter(|row| !planned.contains(row.row.id.as_str()))
            .map(|row| Row { row: row.row.clone(), workspace: row.workspace.as_ref().map(|s| printable(s, 200)) })
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        let words = told(door, new).await;
        let text = format!("{} not in the plan: {}", counted(words.len(), "row is", "rows are"), brief(&words));
        let moved = Cause { details: words.into_iter().take(TOLD).collect(), ..cause("moved", text) };
        let mut moved = if work.begun { self.stopped(work, moved) } else { untouched(moved) };
        moved.hints.insert(0, Hint::type_("muster --plan"));
        Err(moved.into())
    }

    fn is_to_change(&self, row: &WholeRow) -> bool {
        self.unapply.how == Withdrawal::Delete || row.row.enabled
    }

    /// Keeps the rows, a file for each workspace, before the first of them is touched.
    fn keep(&self, door: &Door, rows: &[WholeRow]) -> Result<Vec<String>, Cause> {
        let Some(keeper) = self.performer.undo() else {
            return Err(untouched(cause("undo-not-kept", "there is nowhere to keep an undo bundle")));
        };
        let spaces: BTreeSet<&Option<String>> = rows.iter().map(|row| &row.workspace).collect();
        let identity = self.performer.identity();
        let head = UndoHead {
            owner: identity.owner.clone(),
            cluster: self.cluster.clone(),
            commit: identity.commit.clone(),
            run: identity.run.clone(),
            name: self.unapply.name.clone(),
            operator: identity.holder.clone(),
            when: keeper.now(),
            node: door.node.clone(),
        };
        let mut paths = Vec::new();
        for space in spaces {
            let of_space = rows.iter().filter(|row| row.workspace == *space);
            let rows = of_space
                .map(|row| UndoRow { row: row.row.clone(), whole: Sealed::new(row.whole.open().clone()) })
                .collect();
            let bundle = UndoBundle { head: head.clone(), workspace: space.clone(), rows };
            let kept = keeper.keep(&bundle.file_name(), &bundle.render(|id| self.words_of(id)));
            paths.push(kept.map_err(|error| {
                let text = format!("the undo bundle could not be kept: {error}");
                untouched(advised("undo-not-kept", text, Hint::do_("make space and rights there, then apply again")))
            })?);
        }
        Ok(paths)
    }

    /// What the plan says of a row.
    fn words_of(&self, id: &str) -> Option<String> {
        self.unapply.rows.values().flatten().find(|row| row.id == id).map(crate::survey::PluginRow::words)
    }

    async fn change(&self, door: &Door, row: &WholeRow, work: &mut Work) -> Result<(), Stop> {
        if self.watch.cancelled() >= Some(CancelLevel::LeaveSteps) {
            return Err(self.left(work).into());
        }
        let path = row_path(row.workspace.as_deref(), &row.row.id);
        let (method, body) = match self.unapply.how {
            Withdrawal::Delete => ("DELETE", None),
            Withdrawal::Disable => ("PATCH", Some(json!({ "enabled": false }))),
        };
        work.begun = true;
        let answer = door.face.send(&*door.remote, method, &path, body.as_ref()).await;
        let answer = answer.map_err(|error| Stop::Next(of_remote(&error)))?;
        if !self.is_good(&answer) {
            let what = self.words_of(&row.row.id).unwrap_or_else(|| row.row.id.clone());
            let text = format!("{method} {path} ({what}) through {}: {}", door.node, answered(&answer));
            let cause = Cause { hints: advice(&answer), ..cause("admin-error", printable(&text, 1000)) };
            return Err(self.stopped(work, cause).into());
        }
        work.changed += 1;
        self.watch.phase(StepPhase::Delete, self.progress(work));
        Ok(())
    }

    /// A row that somebody else deleted meanwhile is no matter: the listing decides.
    fn is_good(&self, answer: &HttpAnswer) -> bool {
        match self.unapply.how {
            Withdrawal::Delete => answer.status == 204,
            Withdrawal::Disable => matches!(answer.status, 200 | 404),
        }
    }

    const fn done(&self) -> &'static str {
        match self.unapply.how {
            Withdrawal::Delete => "deleted",
            Withdrawal::Disable => "disabled",
        }
    }

    fn progress(&self, work: &Work) -> String {
        format!("{} of {} {}", work.changed, counted(work.total, "row", "rows"), self.done())
    }

    /// The listing has none left.
    fn holds(&self, work: &Work) -> StepEnd {
        let name = &self.unapply.name;
        let left = match self.unapply.how {
            Withdrawal::Delete => "none left",
            Withdrawal::Disable => "all disabled",
        };
        let Some(kept) = &work.kept else {
            self.watch.proven(format!("un-applied {name}: {left}, nothing to do"));
            return StepEnd::Done { outcome: Outcome::Unchanged };
        };
        let rows = counted(work.total, "row", "rows");
        self.watch.proven(format!("un-applied {name}: {rows}, {left}; undo bundle {}", kept.join(", ")));
        StepEnd::Done { outcome: Outcome::Changed }
    }

    /// It ends in the middle: how far it came, where the rows are, and how they come back.
    fn stopped(&self, work: &Work, mut why: Cause) -> Cause {
        why.text = printable(&format!("{}, then: {}", self.progress(work), why.text), 1000);
        self.say_ways_back(work, &mut why);
        why
    }

    fn say_ways_back(&self, work: &Work, why: &mut Cause) {
        if let Some(kept) = &work.kept {
            why.details.push(format!("all {} as they were: {}", counted(work.total, "row", "rows"), kept.join(", ")));
            why.hints.push(Hint::type_(format!("muster restore-rows {}", self.performer.identity().run)));
        }
    }

    fn left(&self, work: &Work) -> StepEnd {
        if !work.begun {
            return StepEnd::Skipped { why: SkipReason::Cancelled };
        }
        let rest = counted(work.total.saturating_sub(work.changed), "row is", "rows are");
        let text = format!("it was cancelled; {rest} as before");
        StepEnd::Failed { cause: self.stopped(work, advised("cancelled", text, Hint::type_("muster --plan"))) }
    }

    /// No node is left to try.
    fn given_up(&self, work: &Work, troubles: Vec<(NodeName, Cause)>) -> StepEnd {
        let lines = troubles.iter().map(|(node, cause)| format!("{node}: {}", cause.text)).collect::<Vec<_>>();
        let last = troubles.into_iter().next_back().map(|(_, cause)| cause);
        let last = last.unwrap_or_else(|| cause("no-admin", "the plan names no node to do it through"));
        let details: Vec<String> = lines.into_iter().take(TOLD).collect();
        if !work.begun {
            let text = format!("through no node of {} could it be done; last: {}", self.cluster, last.text);
            return StepEnd::Failed { cause: untouched(Cause { details, text: printable(&text, 1000), ..last }) };
        }
        let text =
            format!("{} as far as was answered, and what is left cannot be listed: {}", self.progress(work), last.text);
        let mut why = Cause { details, text: printable(&text, 1000), ..last };
        self.say_ways_back(work, &mut why);
        why.hints.insert(0, Hint::type_("muster --plan"));
        StepEnd::Unknown { cause: why }
    }
}

impl From<StepEnd> for Stop {
    fn from(end: StepEnd) -> Self {
        Self::End(end)
    }
}

fn untouched(mut why: Cause) -> Cause {
    why.text = printable(&format!("{}; nothing was changed", why.text), 1000);
    why
}

/// `PLUGIN: service billing` for each row.
async fn told(door: &Door, new: Vec<Row>) -> Vec<String> {
    let plugins: BTreeSet<PluginName> = new.iter().map(|row| row.row.name.clone()).collect();
    in_words(&rows::in_words(&door.face, &*door.remote, new, &plugins).await)
}

/// `PLUGIN: service billing` for each row.
pub(super) fn in_words(rows: &BTreeMap<String, Vec<crate::survey::PluginRow>>) -> Vec<String> {
    rows.iter().flat_map(|(plugin, rows)| rows.iter().map(move |row| format!("{plugin}: {}", row.words()))).collect()
}

/// The first of a list in one line.
pub(super) fn brief(words: &[String]) -> String {
    let shown = words.iter().take(3).cloned().collect::<Vec<_>>().join("; ");
    if words.len() > 3 { format!("{shown} and {} more", words.len() - 3) } else { shown }
}

pub(super) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
#[path = "unapply_tests.rs"]
mod tests;
