//! Everything that changes on one node at once: one reload, its proof, and then either the commit or the way back.
//!
//! Only the guard on the node puts back (protocols.md A): what is done here is to watch, to prove, and to say one of two
//! words. Whoever dies, dies before one of them was said, and then the guard decides by its deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::action::{Activate, ReloadWay};
use crate::hint::Hint;
use crate::name::PluginName;
use crate::remote::{Call, Fault, Remote, RemoteError, Script, Word};
use crate::run::{CancelLevel, Cause, Outcome, SkipReason, StepEnd, StepPhase};
use crate::wire::Status;

use super::call::Told;
use super::cause::{advised, cause, of_remote};
use super::evidence::{self, Evidence};
use super::explain::explain;
use super::proof::{Next, Proof, Sample, Terms};
use super::recount::{self, Elsewhere};
use super::session::{Heard, Seen, Session, Undone, untouched};
use super::validate::{Check, Checked};
use super::{Doors, Lease, Settings, Site, Standing, Watch, order};

/// How long the script may be silent until it reloads: it waits for a busy master, then for the guard.
const BEFORE: Duration = Duration::from_secs(150);
/// How long the script waits for old workers, beyond the least gap between reloads.
const PACE: Duration = Duration::from_mins(6);
/// How long the CLI may take.
const CLI: Duration = Duration::from_secs(150);
/// How long one look may take.
const LOOK: Duration = Duration::from_secs(30);
/// How long a commit may take.
const COMMIT: Duration = Duration::from_mins(3);
/// How long putting back may take: the guard lets a busy master end first, and tries again.
const PUT_BACK: Duration = Duration::from_mins(15);
/// What is left of the guard's time when the proof is given up, so that undoing is still ours to ask for.
const MARGIN: Duration = Duration::from_secs(20);

/// One step on one node.
pub(crate) struct Activation<'a> {
    pub(crate) remote: &'a dyn Remote,
    pub(crate) site: &'a Site,
    pub(crate) doors: &'a Doors,
    pub(crate) lease: &'a Lease<'a>,
    pub(crate) step: u32,
    pub(crate) activate: &'a Activate,
    pub(crate) settings: &'a Settings,
    pub(crate) watch: &'a dyn Watch,
    pub(crate) elsewhere: &'a dyn Elsewhere,
}

/// How the proof came out.
enum Verdict {
    /// With what was proven; nothing where Kong is stopped.
    Holds(Option<String>, Standing),
    Fails(Cause),
    /// The script ended by itself, or the link did.
    Ended,
    /// The run is being cancelled so hard that steps are left.
    Left,
    /// The run is being cancelled while the step waits, with nothing touched.
    Waited,
}

impl Activation<'_> {
    /// Carries it out. The second value is what stands afterwards, if it is proven.
    pub(crate) async fn perform(&self) -> (StepEnd, Option<Standing>) {
        let evidence = match self.before().await {
            Ok(evidence) => evidence,
            Err(cause) => return (StepEnd::Failed { cause }, None),
        };
        if let Err(cause) = self.recount().await {
            return (StepEnd::Failed { cause }, None);
        }
        match self.start().await {
            Ok(session) => self.carry_out(session, evidence).await,
            Err(end) => (end, None),
        }
    }

    fn reloads(&self) -> bool {
        self.activate.way.reloads()
    }

    /// What can be asked, and whether it may begin.
    async fn before(&self) -> Result<Evidence, Cause> {
        match self.activate.way {
            ReloadWay::Stopped => Ok(Evidence { admin: false, ready: None, proxy: false }),
            ReloadWay::Unneeded => self.already_loaded().await,
            _ => evidence::before(self.remote, self.doors).await,
        }
    }

    /// Right before it begins: nobody uses again what goes.
    async fn recount(&self) -> Result<(), Cause> {
        let (node, gone) = (&self.site.address.node, &self.activate.gone);
        if gone.is_empty() {
            return Ok(());
        }
        self.watch.phase(StepPhase::Guard, "counting the rows of what goes".to_owned());
        if self.activate.way == ReloadWay::Stopped {
            return recount::through_others(self.elsewhere, &self.activate.count_through, node, gone).await;
        }
        match &self.doors.admin {
            Ok(face) => {
                let master = self.activate.basis.master.map(|(pid, _)| pid);
                recount::through_own(self.remote, face, master, node, gone).await
            }
            Err(trouble) => {
                let text = format!("nothing was touched on {node}, as its rows cannot be counted: {}", trouble.text);
                Err(Cause { hints: trouble.hints.clone(), ..cause(&trouble.code, text) })
            }
        }
    }

    /// Without a reload the workers have to run already what is wanted.
    async fn already_loaded(&self) -> Result<Evidence, Cause> {
        let face = self.doors.admin.as_ref().map_err(|trouble| {
            let text = format!("nothing was touched, as what is loaded cannot be seen: {}", trouble.text);
            Cause { hints: trouble.hints.clone(), ..cause("admin-unreachable", text) }
        })?;
        let facts = face.node(self.remote).await.map_err(|trouble| Cause {
            hints: trouble.hints,
            ..cause("admin-unreachable", format!("nothing was touched: {}", trouble.text))
        })?;
        let missing = self.activate.loaded.keys().find(|name| !facts.loaded.contains_key(*name));
        let extra = self.activate.gone.iter().find(|name| facts.loaded.contains_key(*name));
        let found = match (missing, extra) {
            (Some(name), _) => format!("{name} is not loaded, although the plan saw it so; nothing was touched"),
            (None, Some(name)) => format!("{name} is loaded, although the plan saw it gone; nothing was touched"),
            (None, None) => return Ok(Evidence { admin: true, ready: None, proxy: false }),
        };
        Err(advised("moved", found, Hint::type_("muster --plan")))
    }

    async fn start(&self) -> Result<Session, StepEnd> {
        let args = order::arguments(self.site, self.lease, self.step, self.activate, self.settings)
            .map_err(|error| StepEnd::Failed { cause: cause("not-sent", error.to_string()) })?;
        // The script has deadlines of its own for everything; this one is beyond their sum.
        let deadline = BEFORE + PACE + Duration::from_secs(self.activate.pace.gap) + self.settings.guard + PUT_BACK;
        let call = Call { script: Script::Activate, args, payload: None, deadline };
        self.watch.phase(StepPhase::Guard, "arming the guard".to_owned());
        self.remote.start(call).await.map(Session::new).map_err(|error| match error.fault {
            Fault::Lost | Fault::TimedOut | Fault::Garbled => self.unknown(&error, false),
            _ => StepEnd::Failed { cause: of_remote(&error) },
        })
    }

    async fn carry_out(&self, mut session: Session, evidence: Evidence) -> (StepEnd, Option<Standing>) {
        let verdict =
            if self.reloads() { self.reload(&mut session, evidence).await } else { self.unproven(&mut session).await };
        match verdict {
            Verdict::Holds(text, standing) => (self.commit(session, text).await, Some(standing)),
            Verdict::Fails(cause) => (self.put_back(session, cause, evidence).await, None),
            Verdict::Ended => (self.ended(session, None).await, None),
            Verdict::Left => (self.leave(session).await, None),
            Verdict::Waited => (StepEnd::Skipped { why: SkipReason::Cancelled }, None),
        }
    }

    /// Nothing is reloaded, so there is nothing to prove.
    async fn unproven(&self, session: &mut Session) -> Verdict {
        match session.hear(BEFORE).await {
            Heard::Look(seen) => {
                let text = match self.activate.way {
                    ReloadWay::Stopped => None,
                    _ => Some("what runs is right already".to_owned()),
                };
                Verdict::Holds(text, self.standing(&seen, None))
            }
            Heard::Reloading | Heard::Waiting(_) | Heard::End => Verdict::Ended,
        }
    }

    async fn reload(&self, session: &mut Session, evidence: Evidence) -> Verdict {
        let mut waits = String::new();
        loop {
            match session.hear(BEFORE).await {
                Heard::Reloading => break,
                // Nothing was touched; the script ends by itself when nobody listens any more.
                Heard::Waiting(_) if self.watch.cancelled().is_some() => return Verdict::Waited,
                Heard::Waiting(text) if text == waits => {}
                Heard::Waiting(text) => {
                    self.watch.phase(StepPhase::Guard, text.clone());
                    waits = text;
                }
                Heard::Look(_) | Heard::End => return Verdict::Ended,
            }
        }
        let begun = Instant::now();
        self.watch.phase(StepPhase::Reload, format!("reloading {}", self.activate.directive.1));
        match session.hear(CLI).await {
            Heard::Look(seen) => self.prove(session, evidence, begun, seen).await,
            Heard::Reloading | Heard::Waiting(_) | Heard::End => Verdict::Ended,
        }
    }

    fn terms(&self, session: &Session, evidence: Evidence) -> Option<Terms> {
        Some(Terms {
            master: self.activate.basis.master?,
            restarts: self.activate.way.may_restart(),
            before: session.before.clone(),
            loaded: (*self.activate.loaded).clone(),
            gone: self.activate.gone.clone(),
            staged: self.activate.staged.iter().map(|(_, digest)| digest.clone()).collect(),
            admin: evidence.admin,
            ready: evidence.ready,
            proxy: evidence.proxy,
            limit: self.settings.guard.saturating_sub(MARGIN),
            settle: self.settings.settle,
        })
    }

    /// The proof: look, ask, look again, until it is decided.
    async fn prove(&self, session: &mut Session, evidence: Evidence, begun: Instant, mut seen: Seen) -> Verdict {
        let Some(terms) = self.terms(session, evidence) else {
            return Verdict::Fails(cause("no-master", "the plan has no master to reload"));
        };
        let (mut proof, mut answer, mut last) = (Proof::new(terms), None, String::new());
        let mut rows = None;
        loop {
            if self.watch.cancelled() >= Some(CancelLevel::LeaveSteps) {
                return Verdict::Left;
            }
            match proof.observe(&self.sample(&seen, begun), answer.take()) {
                Next::Look { after, seeing, alarm } => {
                    self.say_seeing(&mut last, seeing, alarm, begun);
                    sleep(after).await;
                }
                Next::Ask(question) => answer = Some(evidence::ask(self.remote, self.doors, question).await),
                Next::Failed(cause) => return Verdict::Fails(cause),
                Next::Proven(text) if rows.is_some() || self.activate.validate.is_empty() => {
                    let said = self.log_names(session);
                    let text = [Some(text), rows, said].into_iter().flatten().collect::<Vec<_>>().join(", ");
                    return Verdict::Holds(Some(text), self.standing(&seen, evidence.ready));
                }
                // It takes its time: whether the workers are still the same is looked at behind it.
                Next::Proven(_) => match self.check_rows(begun).await {
                    Checked::Fit(text) => rows = Some(text),
                    Checked::Unfit(cause) => return Verdict::Fails(cause),
                    Checked::Left => return Verdict::Left,
                },
            }
            session.say(Word::Look).await;
            match session.hear(LOOK).await {
                Heard::Look(next) => seen = next,
                Heard::Reloading | Heard::Waiting(_) | Heard::End => return Verdict::Ended,
            }
        }
    }

    /// Which of the plugins Kong's log names as loaded: beside the proof, and never in its place (protocols.md A).
    fn log_names(&self, session: &Session) -> Option<String> {
        let said = session.loading();
        let names = self.activate.loaded.keys().map(PluginName::as_str).filter(|name| said.contains(*name));
        let names: Vec<&str> = names.collect();
        (!names.is_empty()).then(|| format!("the log has `Loading plugin` of {}", names.join(", ")))
    }

    /// Whether the rows in use fit the schema that the new workers have.
    async fn check_rows(&self, begun: Instant) -> Checked {
        let face = match &self.doors.admin {
            Ok(face) => face,
            Err(trouble) => return Checked::Fit(format!("its rows were not checked: {}", trouble.text)),
        };
        let until = begun + self.settings.guard.saturating_sub(MARGIN);
        let plugins = &self.activate.validate;
        Check { remote: self.remote, face, plugins, watch: self.watch, until }.run().await
    }

    fn say_seeing(&self, last: &mut String, seeing: String, alarm: bool, begun: Instant) {
        if alarm {
            let left = self.settings.guard.saturating_sub(begun.elapsed()).as_secs();
            let text = format!("{seeing} after {} s; the guard puts it back in {left} s", begun.elapsed().as_secs());
            self.watch.printed(text);
        }
        if *last != seeing {
            self.watch.phase(StepPhase::Prove, seeing.clone());
            *last = seeing;
        }
    }

    fn sample(&self, seen: &Seen, begun: Instant) -> Sample {
        Sample {
            at: begun.elapsed(),
            master: seen.process.or(self.activate.basis.master).filter(|_| seen.same),
            idle: seen.idle,
            live: seen.live.clone(),
            leaving: seen.leaving.clone(),
        }
    }

    fn standing(&self, seen: &Seen, ready: Option<super::admin::Readiness>) -> Standing {
        Standing {
            master: seen.process.or(self.activate.basis.master),
            live: seen.live.clone(),
            loaded: (*self.activate.loaded).clone(),
            gone: self.activate.gone.clone(),
            ready: ready.is_some_and(|ready| ready.status == 200),
            replaced: 0,
        }
    }

    /// The proof is told before the commit is asked for: it is a fact even if the link breaks in between.
    async fn commit(&self, mut session: Session, text: Option<String>) -> StepEnd {
        if let Some(text) = text {
            self.watch.proven(text);
            self.watch.phase(StepPhase::Commit, self.activate.kept());
        } else {
            // No phase beyond this one: a view takes those before a phase to be done.
            let kept = self.activate.kept();
            self.watch.phase(StepPhase::Guard, format!("{kept}; Kong is stopped, nothing is proven"));
        }
        session.say(Word::Confirm).await;
        self.ended(session, Some(Word::Confirm)).await
    }

    async fn put_back(&self, mut session: Session, cause: Cause, evidence: Evidence) -> StepEnd {
        self.watch.phase(StepPhase::PutBack, cause.text.clone());
        session.say(Word::Undo).await;
        let (ended, log) = session.end(PUT_BACK).await;
        match ended {
            // The reload was a good one: its log has nothing to say of the rows.
            Ok(told) if cause.code == Cause::ROWS_INVALID => self.was_put_back(&told, cause, evidence).await,
            Ok(told) => self.was_put_back(&told, explain(cause, &log), evidence).await,
            Err(error) => self.unknown(&error, false),
        }
    }

    /// The run is left: the guard is asked to put back, and nobody waits for it.
    async fn leave(&self, mut session: Session) -> StepEnd {
        session.say(Word::Undo).await;
        StepEnd::Unknown {
            cause: advised(
                "left",
                "the step was left before its proof; the guard on the node puts it back",
                Hint::type_("muster status"),
            ),
        }
    }

    /// The script has ended, or the link has, after this word of ours.
    async fn ended(&self, session: Session, word: Option<Word>) -> StepEnd {
        let touched = session.said("reloading");
        let patience = if word.is_some() || !touched { COMMIT } else { PUT_BACK };
        let (ended, log) = session.end(patience).await;
        let told = match ended {
            Ok(told) => told,
            Err(error) => return self.unknown(&error, word.is_some()),
        };
        self.print(&told);
        match told.status {
            Status::Changed | Status::Unchanged if self.activate.way == ReloadWay::Stopped => {
                StepEnd::Done { outcome: Outcome::Edited }
            }
            Status::Changed => StepEnd::Done { outcome: Outcome::Changed },
            Status::Unchanged => StepEnd::Done { outcome: Outcome::Unchanged },
            Status::Moved => StepEnd::Skipped { why: SkipReason::NodeMoved { what: told.moved() } },
            status if untouched(status) => StepEnd::Failed { cause: told.cause("activating", &self.site.address.node) },
            Status::Failed if told.find("undone").is_none() => self.stuck(&told, word.is_some()),
            _ => {
                let why = self.undone_unasked(&told);
                // Where Kong was not told, its error log is about something else.
                let told_kong = Undone::of(&told) != Some(Undone::Restored);
                let why = if told_kong { explain(why, &log) } else { why };
                let none = Evidence { admin: false, ready: None, proxy: false };
                self.was_put_back(&told, why, none).await
            }
        }
    }

    /// Who was told to make Kong load it.
    fn told_by(&self) -> String {
        match &self.activate.way {
            ReloadWay::Prepare => "kong prepare and reload".to_owned(),
            ReloadWay::Restart => "kong restart".to_owned(),
            ReloadWay::Unit { unit } => format!("systemctl reload {unit}"),
            ReloadWay::Command { .. } => "the command of the inventory".to_owned(),
            _ => "kong reload".to_owned(),
        }
    }

    /// Why it was put back without our asking.
    fn undone_unasked(&self, told: &Told) -> Cause {
        let text = |tag: &str, index| told.find(tag).and_then(|r| r.text(index));
        if let Some(said) = text("cli", 1) {
            let code = text("cli", 0).unwrap_or_default();
            return advised(
                "reload-refused",
                format!("{} said no ({code}): {said}", self.told_by()),
                Hint::do_("read what it says; nothing was loaded"),
            );
        }
        if told.find("problem").is_some() {
            return told.cause("activating", &self.site.address.node);
        }
        cause("guard-fired", "the guard's time was over before the proof was confirmed")
    }

    /// It failed without being put back: before anything was touched, or in the middle of the commit.
    fn stuck(&self, told: &Told, confirmed: bool) -> StepEnd {
        let mut cause = told.cause("activating", &self.site.address.node);
        if confirmed {
            cause
                .details
                .push("the new content is loaded and proven; what the next start reads is not all written".to_owned());
        }
        StepEnd::Failed { cause }
    }

    async fn was_put_back(&self, told: &Told, mut cause: Cause, evidence: Evidence) -> StepEnd {
        self.print(told);
        let gone = matches!(cause.code.as_str(), "master-gone" | "master-changed") && !self.activate.way.may_restart();
        match Undone::of(told) {
            Some(Undone::Proved) => match self.serves_as_before(evidence).await {
                Ok(text) => {
                    cause.details.push(text);
                    StepEnd::RolledBack { cause }
                }
                Err(text) => self.not_back(cause, &text),
            },
            Some(Undone::Restored) if !gone => {
                cause.details.push("put back; Kong was not told of the change".to_owned());
                StepEnd::RolledBack { cause }
            }
            Some(Undone::Restored) => {
                self.not_back(cause, "the files are as they were, and there was no master to tell")
            }
            Some(Undone::Unproved) | None => self.not_back(cause, "put back, but not proven"),
        }
    }

    fn not_back(&self, mut cause: Cause, how: &str) -> StepEnd {
        cause.details.push(how.to_owned());
        cause.hints.push(Hint::do_(format!("look at the error log of Kong on {}", self.site.address.node)));
        StepEnd::Failed { cause }
    }

    /// A second opinion on the guard's proof: the workers do not have the staged path. `Err` says that they do.
    async fn serves_as_before(&self, evidence: Evidence) -> Result<String, String> {
        let plain = "put back, reloaded, proven by the master and its workers".to_owned();
        let Some(face) = self.doors.admin.as_ref().ok().filter(|_| evidence.admin) else { return Ok(plain) };
        let Ok(facts) = face.node(self.remote).await else {
            return Ok(format!("{plain}; the Admin API did not answer to that"));
        };
        let path = facts.lua_package_path.clone().unwrap_or_default();
        if let Some((bundle, _)) = self.activate.staged.iter().find(|(_, digest)| path.contains(digest.as_str())) {
            return Err(format!("put back, but the workers still search the new release of {bundle}"));
        }
        let names = self.activate.loaded.keys().filter_map(|name| match facts.loaded.get(name)? {
            Some(version) => Some(format!("{name} {version}")),
            None => Some(name.to_string()),
        });
        let serving: Vec<_> = names.collect();
        let what = if serving.is_empty() { String::new() } else { format!(" {}", serving.join(", ")) };
        Ok(format!("put back, reloaded, proven: serving{what} as before"))
    }

    /// What the script said on the way and a person should know.
    fn print(&self, told: &Told) {
        for record in &told.records {
            let text = |index| record.text(index).unwrap_or_default();
            match record.tag.as_str() {
                "settled" => self.watch.printed(format!("an unfinished step {} was settled: {}", text(1), text(0))),
                "collected" => self.watch.printed(format!("an older release of {} was deleted", text(0))),
                "adopted" => self.watch.printed(format!("{} was not ours and is now {}", text(0), text(1))),
                "moved" => self.watch.printed(format!("not as the plan saw it: {} {}", text(0), text(1))),
                "no-guard" => self.watch.printed("no guard can be kept on this node".to_owned()),
                _ => {}
            }
        }
    }

    /// What happened is not known until the node is looked at again.
    fn unknown(&self, error: &RemoteError, confirmed: bool) -> StepEnd {
        let mut cause = of_remote(error);
        cause.details.push(if confirmed {
            "lost after the proof was confirmed: it is committed, or the next run finishes it; its receipt tells"
                .to_owned()
        } else {
            let seconds = self.settings.guard.as_secs();
            format!("lost before the proof: the guard on the node puts it back by itself, within {seconds} s")
        });
        cause.hints.push(Hint::type_("muster status"));
        StepEnd::Unknown { cause }
    }
}

#[cfg(test)]
#[path = "activate_tests.rs"]
mod tests;
