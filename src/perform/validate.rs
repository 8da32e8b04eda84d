//! Whether the rows in use fit the schema that a node has just loaded: each is asked about, whole, through the node's own
//! Admin API, before anything of the upgrade is kept.
//!
//! The rows are those that this node lists with its new schema: so Kong reads them from now on. They hold secrets, and stay
//! in memory; of an answer only what [`crate::kong::violations`] lets through is told.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use crate::hint::Hint;
use crate::kong::{Violation, printable, violations};
use crate::name::PluginName;
use crate::remote::Remote;
use crate::run::{CancelLevel, Cause, StepPhase};

use super::admin::{Face, Row, WholeRow, answered, has_workspaces, validate_path};
use super::cause::cause;
use super::unapply::{brief, counted};
use super::{Watch, rows};

/// How many rows are asked about at once.
const AT_ONCE: usize = 4;
/// After how many rows a person hears how far it is.
const TELL: usize = 100;
/// So many questions in a row without an answer, and no more are asked.
const GIVE_UP: usize = 20;
/// The most rows that are told one by one.
const TOLD: usize = 20;
/// The most fields of one row that are told.
const FIELDS: usize = 5;

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Checked {
    /// It may go on: what was checked, and what could not be, for the proof.
    Fit(String),
    /// At least one row does not fit.
    Unfit(Cause),
    /// The run is being left.
    Left,
}

/// What Kong says of one row.
enum Judged {
    Fits,
    Unfit(Vec<Violation>),
    /// There is no such question here: nothing more is asked.
    NotAsked(String),
    Unanswered(String),
}

/// One check.
pub(super) struct Check<'a> {
    pub(super) remote: &'a dyn Remote,
    pub(super) face: &'a Face,
    pub(super) plugins: &'a BTreeSet<PluginName>,
    pub(super) watch: &'a dyn Watch,
    /// When it has to be over, as the guard's time is.
    pub(super) until: Instant,
}

/// How far it came.
#[derive(Default)]
struct Tally {
    total: usize,
    fit: usize,
    unfit: Vec<(usize, Vec<Violation>)>,
    unanswered: usize,
    /// How many of the last ones were not answered.
    silent: usize,
    /// Why some were not asked about, or not answered.
    why: Option<String>,
}

impl Tally {
    fn asked(&self) -> usize {
        self.fit + self.unfit.len() + self.unanswered
    }

    /// Takes in one judgement; false: no more are to be asked about.
    fn take(&mut self, at: usize, judged: Judged) -> bool {
        self.silent = if matches!(judged, Judged::Unanswered(_)) { self.silent + 1 } else { 0 };
        match judged {
            Judged::Fits => self.fit += 1,
            Judged::Unfit(violations) => self.unfit.push((at, violations)),
            Judged::NotAsked(why) => {
                self.why = Some(why);
                return false;
            }
            Judged::Unanswered(why) => {
                self.unanswered += 1;
                self.why.get_or_insert(why);
            }
        }
        self.silent < GIVE_UP
    }

    fn words(&self) -> String {
        let rows = counted(self.total, "row fits the new schema", "rows fit the new schema");
        match &self.why {
            _ if self.total == 0 => "no row uses it any more".to_owned(),
            None => rows,
            Some(why) if self.fit == 0 => {
                format!("whether its {} fit the new schema was not asked: {why}", counted(self.total, "row", "rows"))
            }
            Some(why) => format!("{} of {rows}, the others were not checked: {why}", self.fit),
        }
    }
}

impl Check<'_> {
    /// Asks about every row.
    pub(super) async fn run(&self) -> Checked {
        self.watch.phase(StepPhase::Prove, "listing the rows in use".to_owned());
        let rows = match timeout_at(self.until, self.list()).await {
            Ok(Ok(rows)) => rows,
            Ok(Err(why)) => return Checked::Fit(format!("its rows were not checked: {why}")),
            Err(_) => {
                return Checked::Fit("its rows were not checked: the time was over before they were listed".to_owned());
            }
        };
        let mut tally = Tally { total: rows.len(), ..Tally::default() };
        if !self.ask(&rows, &mut tally).await {
            return Checked::Left;
        }
        if tally.unfit.is_empty() { Checked::Fit(tally.words()) } else { Checked::Unfit(self.unfit(rows, tally).await) }
    }

    async fn list(&self) -> Result<Vec<WholeRow>, String> {
        let facts = self.face.node(self.remote).await.map_err(|trouble| trouble.text)?;
        let rows = self.face.whole_rows(self.remote, has_workspaces(&facts), self.plugins).await;
        rows.map_err(|trouble| trouble.text)
    }

    /// False: the run is being left.
    async fn ask(&self, rows: &[WholeRow], tally: &mut Tally) -> bool {
        let mut left = rows.iter().enumerate().map(|(at, row)| self.about(at, row));
        let mut answers: FuturesUnordered<_> = left.by_ref().take(AT_ONCE).collect();
        loop {
            if self.watch.cancelled() >= Some(CancelLevel::LeaveSteps) {
                return false;
            }
            if tally.asked().is_multiple_of(TELL) {
                let far = format!("{} of {} asked about", tally.asked(), counted(tally.total, "row", "rows"));
                self.watch.phase(StepPhase::Prove, far);
            }
            match timeout_at(self.until, answers.next()).await {
                Ok(Some((at, judged))) => {
                    if !tally.take(at, judged) {
                        return true;
                    }
                    answers.extend(left.next());
                }
                Ok(None) => return true,
                Err(_) => {
                    tally.why = Some("the time was over".to_owned());
                    return true;
                }
            }
        }
    }

    fn about<'b>(&'b self, at: usize, row: &'b WholeRow) -> BoxFuture<'b, (usize, Judged)> {
        async move { (at, self.judge(row).await) }.boxed()
    }

    /// A field that the endpoint does not take at all is not of the plugin's schema: it is asked again without it.
    async fn judge(&self, row: &WholeRow) -> Judged {
        let judged = self.judge_body(row, row.whole.open()).await;
        let Judged::Unfit(found) = &judged else { return judged };
        let foreign: BTreeSet<&str> =
            found.iter().filter(|one| one.is_foreign()).map(|one| one.field.as_str()).collect();
        let Some(body) = row.whole.open().as_object().filter(|_| !foreign.is_empty()) else { return judged };
        let kept = body.iter().filter(|(key, _)| !foreign.contains(key.as_str()));
        let body = Value::Object(kept.map(|(key, value)| (key.clone(), value.clone())).collect());
        self.judge_body(row, &body).await
    }

    async fn judge_body(&self, row: &WholeRow, body: &Value) -> Judged {
        let path = validate_path(row.workspace.as_deref());
        let answer = match self.face.send(self.remote, "POST", &path, Some(body)).await {
            Ok(answer) => answer,
            Err(error) => return Judged::Unanswered(printable(&error.found, 200)),
        };
        match answer.status {
            200 => Judged::Fits,
            400 => match violations(&answer.body, body) {
                Some(found) => Judged::Unfit(found),
                None => Judged::Unanswered(format!("POST {path}: {}", answered(&answer))),
            },
            404 | 405 => Judged::NotAsked(format!("this Kong has no {path} ({})", answer.status)),
            _ => Judged::Unanswered(format!("POST {path}: {}", answered(&answer))),
        }
    }

    /// The rows by name, those first whose plugin and scope come first.
    async fn unfit(&self, rows: Vec<WholeRow>, mut tally: Tally) -> Cause {
        tally.unfit.sort_by_key(|(at, _)| *at);
        let of = |at: usize| rows.get(at);
        let told: Vec<Row> = tally.unfit.iter().take(TOLD).filter_map(|(at, _)| of(*at)).map(known).collect();
        let words = in_words(self, told).await;
        let lines = tally.unfit.iter().take(TOLD).filter_map(|(at, found)| {
            let row = of(*at)?;
            let scope = words.get(&row.row.id).map_or("a row", String::as_str);
            Some((format!("{} on {scope}", row.row.name), printable(&row.row.id, 80), fields(found)))
        });
        let lines: Vec<(String, String, String)> = lines.collect();
        let short: Vec<String> = lines.iter().map(|(row, _, fields)| format!("{row}: {fields}")).collect();
        let unfit = counted(tally.unfit.len(), "row", "rows");
        let not = if tally.unfit.len() == 1 { "does not" } else { "do not" };
        let text = format!("{unfit} of {} in use {not} fit the new schema: {}", tally.total, brief(&short));
        let mut details: Vec<String> =
            lines.into_iter().map(|(row, id, fields)| format!("{row} (id {id}): {fields}")).collect();
        let more = tally.unfit.len().saturating_sub(TOLD);
        details.extend((more > 0).then(|| format!("and {more} more rows")));
        details.extend(
            tally.why.map(|why| {
                format!("{} of {} rows were asked about: {why}", tally.fit + tally.unfit.len(), tally.total)
            }),
        );
        details.push("no further node of the cluster is tried, as it would be the same there".to_owned());
        Cause { details, hints: hints(), ..cause(Cause::ROWS_INVALID, printable(&text, 1000)) }
    }
}

fn hints() -> Vec<Hint> {
    let page = crate::kong::Cause::RowInvalid;
    vec![
        Hint::do_("either correct these rows so that they fit the old schema and the new one, then apply again"),
        Hint::do_("or let the new schema take them (a default for what it requires), commit, and apply"),
        Hint::look(page.place()),
    ]
}

fn known(row: &WholeRow) -> Row {
    Row { row: row.row.clone(), workspace: row.workspace.as_ref().map(|space| printable(space, 200)) }
}

/// What each row is applied to, by its id.
async fn in_words(check: &Check<'_>, told: Vec<Row>) -> BTreeMap<String, String> {
    let named = rows::in_words(check.face, check.remote, told, check.plugins);
    // Names are no more than a help: the ids tell the rows, too.
    let named = timeout_at(check.until, named).await.unwrap_or_default();
    named.into_values().flatten().map(|row| (row.id.clone(), row.words())).collect()
}

fn fields(found: &[Violation]) -> String {
    let shown: Vec<String> = found.iter().take(FIELDS).map(ToString::to_string).collect();
    let more = found.len().saturating_sub(FIELDS);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

#[cfg(test)]
#[path = "validate_tests.rs"]
mod tests;
