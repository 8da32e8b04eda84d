//! Whether a reload took effect: the rules of protocols.md A ("Proof"), as a machine that is fed with what was seen and
//! says what to look at next. It has no clock and speaks to nobody.
//!
//! Only the master and its processes decide, and one answer of the new workers about themselves. Kong's exit code and the
//! log never do (protocols.md B3: each rule here answers a false proof that was seen).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::name::{Digest, PluginName};
use crate::run::Cause;
use crate::survey::{AdminFacts, Process, Trouble};

use super::admin::Readiness;
use super::cause::cause;

/// How long a mix of old and new workers is watched before it counts as not proven (protocols.md A, proof 3).
const MIX: Duration = Duration::from_mins(1);
/// How long readiness and the proxy may take (protocols.md A, proof 5).
const READY: Duration = Duration::from_secs(30);
/// After how long a load that has not ended is worth an alarm. It is still no failure (protocols.md A, proof 1).
const ALARM: Duration = Duration::from_mins(2);
/// The pauses between two looks: from the first, doubling, to the second.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(250));
/// How many answers have to contradict before the reload counts as failed. One may still come from a worker that has
/// its new title already and its old sockets still (measured.md 2, step 3 of a reload).
const CONTRADICTIONS: u32 = 3;

/// What has to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The master that was told to reload.
    pub master: Process,
    /// Another master may follow it: what was told may be a restart.
    pub restarts: bool,
    /// Its serving workers right before (`B`).
    pub before: BTreeSet<Process>,
    /// Plugins that have to be loaded, with the version as Kong reports it.
    pub loaded: BTreeMap<PluginName, Option<String>>,
    /// Plugins that must not be.
    pub gone: BTreeSet<PluginName>,
    /// The releases in the staged search path; none where nothing was staged.
    pub staged: Vec<Digest>,
    /// The Admin API can be asked.
    pub admin: bool,
    /// What the status API said before; `None` where there is none.
    pub ready: Option<Readiness>,
    /// The proxy can be asked.
    pub proxy: bool,
    /// How long it may take in all: the guard's deadline, less what a commit needs.
    pub limit: Duration,
    /// How long the new workers have to stay the same ones.
    pub settle: Duration,
}

/// What was seen of the master, in one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Time since the reload was asked for.
    pub at: Duration,
    /// The master; `None` when it is gone.
    pub master: Option<Process>,
    /// No HUP is blocked or pending.
    pub idle: bool,
    /// Children that serve.
    pub live: BTreeSet<Process>,
    /// Children that are shutting down.
    pub leaving: BTreeSet<Process>,
}

/// Something to ask of the new workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// One fresh `GET /` of the Admin API.
    Admin,
    /// `/status/ready`.
    Ready,
    /// So many requests to the proxy, each on a fresh connection.
    Proxy(u32),
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Of the Admin API.
    Admin(Box<Result<AdminFacts, Trouble>>),
    /// Of the status API; `None` for no answer.
    Ready(Option<Readiness>),
    /// Of the proxy: how many of the requests got an HTTP answer of any status.
    Proxy(u32),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Take another sample after this pause.
    Look {
        /// The pause.
        after: Duration,
        /// What is seen, for people.
        seeing: String,
        /// It takes so long that somebody should know.
        alarm: bool,
    },
    /// Ask this, then look again at once and hand in the answer with that sample.
    Ask(Question),
    /// It does not hold: put it back.
    Failed(Cause),
    /// It holds, with what was proven.
    Proven(String),
}

/// The workers that may be it, and what they have shown so far.
#[derive(Debug)]
struct Candidate {
    live: BTreeSet<Process>,
    since: Duration,
    admin: Option<AdminFacts>,
    ready: Option<String>,
    proxied: Option<u32>,
    contradictions: u32,
}

/// One reload under proof.
#[derive(Debug)]
pub struct Proof {
    terms: Terms,
    candidate: Option<Candidate>,
    nothing_new: Option<BTreeSet<Process>>,
    mixed_since: Option<Duration>,
    unsettled_since: Option<Duration>,
    pause: Duration,
    alarmed: bool,
    /// Old workers that end their last requests, in the last sample.
    leaving: usize,
    /// The master that followed the one that was told.
    followed: Option<Process>,
}

/// What a judged answer means.
enum Judged {
    Holds,
    Again(Cause),
    Contradicts(Cause),
}

impl Proof {
    /// A proof that begins now.
    pub fn new(terms: Terms) -> Self {
        Self {
            terms,
            candidate: None,
            nothing_new: None,
            mixed_since: None,
            unsettled_since: None,
            pause: PAUSE.0,
            alarmed: false,
            leaving: 0,
            followed: None,
        }
    }

    /// Takes a sample, and the answer to the last question if one was asked before it.
    pub fn observe(&mut self, sample: &Sample, answer: Option<Answer>) -> Next {
        self.leaving = sample.leaving.len();
        if let Some(next) = self.master(sample) {
            return next;
        }
        let next = self.ground(sample).unwrap_or_else(|| self.question(sample, answer));
        self.within_limit(sample, next)
    }

    /// Whether it is the master that is looked for: the one that was told, or where that may be a restart one that followed it, and
    /// then that one alone. There is a time without either.
    fn master(&mut self, sample: &Sample) -> Option<Next> {
        let wanted = self.followed.unwrap_or(self.terms.master);
        match sample.master {
            Some(found) if found == wanted => None,
            _ if !self.terms.restarts || self.followed.is_some() => Some(Next::Failed(master_gone(sample.master))),
            Some(found) => {
                self.followed = Some(found);
                self.forget();
                None
            }
            None if sample.at >= MIX => Some(Next::Failed(master_gone(None))),
            None => {
                self.forget();
                let next = self.look("no master runs, as in a restart".to_owned(), false);
                Some(self.within_limit(sample, next))
            }
        }
    }

    /// The guard decides when its time is over, so looking on has an end whatever is seen.
    fn within_limit(&self, sample: &Sample, next: Next) -> Next {
        match next {
            Next::Look { seeing, .. } if sample.at >= self.terms.limit => Next::Failed(cause(
                "timed-out",
                format!("not proven within {} s, after which the guard decides: {seeing}", self.terms.limit.as_secs()),
            )),
            other => other,
        }
    }

    /// Rules 1 to 3: `None` when the sample shows a settled set of new workers, twice.
    fn ground(&mut self, sample: &Sample) -> Option<Next> {
        if !sample.idle {
            self.forget();
            let alarm = sample.at >= ALARM && !self.alarmed;
            self.alarmed |= alarm;
            return Some(self.look(loading(sample, &self.terms.before), alarm));
        }
        let old = sample.live.intersection(&self.terms.before).count();
        let new = sample.live.len() - old;
        if new == 0 {
            return Some(self.nothing_new(sample));
        }
        self.nothing_new = None;
        if old > 0 {
            return Some(self.mixed(sample, old, new));
        }
        self.mixed_since = None;
        self.settled(sample)
    }

    /// Rule 2. Two samples, as a worker that was just born or just died may be missing from one.
    fn nothing_new(&mut self, sample: &Sample) -> Next {
        self.candidate = None;
        if self.nothing_new.as_ref() == Some(&sample.live) {
            let text = format!(
                "the master ended the reload without a new worker; still there from before: {}",
                workers(sample.live.len())
            );
            return Next::Failed(cause("reload-failed", text));
        }
        self.nothing_new = Some(sample.live.clone());
        self.pause = PAUSE.0;
        self.look("the master is idle and no worker is new".to_owned(), false)
    }

    fn mixed(&mut self, sample: &Sample, old: usize, new: usize) -> Next {
        self.candidate = None;
        let since = *self.mixed_since.get_or_insert(sample.at);
        if sample.at.saturating_sub(since) >= MIX {
            let text = format!("{old} old and {new} new workers serve side by side for {} s", MIX.as_secs());
            return Next::Failed(cause("not-proven", text));
        }
        self.look(format!("{new} new workers, {old} old ones still answer"), false)
    }

    fn settled(&mut self, sample: &Sample) -> Option<Next> {
        // The second sample that is equal to the first goes on to the questions.
        let seen = self.candidate.as_ref().is_some_and(|candidate| candidate.live == sample.live);
        (!seen).then(|| self.begin_candidate(sample))
    }

    /// A new set of workers: nothing that others have shown counts for them. Sets that keep changing are workers that
    /// keep dying, which is bounded like a mix.
    fn begin_candidate(&mut self, sample: &Sample) -> Next {
        let since = *self.unsettled_since.get_or_insert(sample.at);
        if sample.at.saturating_sub(since) >= MIX {
            let text = format!("the new workers keep being replaced, for {} s", MIX.as_secs());
            return Next::Failed(cause("workers-restart", text));
        }
        let candidate = Candidate {
            live: sample.live.clone(),
            since: sample.at,
            admin: None,
            ready: None,
            proxied: None,
            contradictions: 0,
        };
        self.candidate = Some(candidate);
        self.pause = PAUSE.0;
        self.look(format!("{} new", workers(sample.live.len())), false)
    }

    fn forget(&mut self) {
        self.candidate = None;
        self.nothing_new = None;
        self.mixed_since = None;
        self.unsettled_since = None;
    }

    fn look(&mut self, seeing: String, alarm: bool) -> Next {
        let after = self.pause;
        self.pause = (self.pause * 2).min(PAUSE.1);
        Next::Look { after, seeing, alarm }
    }

    /// Rules 4 and 5, for workers that were seen twice.
    fn question(&mut self, sample: &Sample, answer: Option<Answer>) -> Next {
        let Some(mut candidate) = self.candidate.take() else {
            return self.look("waiting for the workers to settle".to_owned(), false);
        };
        let next = match answer.map(|answer| self.judge(&mut candidate, answer, sample.at)) {
            Some(Judged::Contradicts(cause)) => self.contradicted(&mut candidate, cause),
            Some(Judged::Again(cause)) => self.again(&candidate, sample.at, cause),
            Some(Judged::Holds) | None => self.missing(&candidate, sample.at),
        };
        self.candidate = Some(candidate);
        next
    }

    fn contradicted(&mut self, candidate: &mut Candidate, cause: Cause) -> Next {
        candidate.contradictions += 1;
        if candidate.contradictions >= CONTRADICTIONS {
            return Next::Failed(cause);
        }
        self.look(cause.text, false)
    }

    fn again(&mut self, candidate: &Candidate, at: Duration, cause: Cause) -> Next {
        let patience = if candidate.admin.is_none() && self.terms.admin { MIX } else { READY };
        if at.saturating_sub(candidate.since) >= patience {
            return Next::Failed(cause);
        }
        self.look(cause.text, false)
    }

    /// The next thing that is not shown yet.
    fn missing(&mut self, candidate: &Candidate, at: Duration) -> Next {
        if self.terms.admin && candidate.admin.is_none() {
            return Next::Ask(Question::Admin);
        }
        if self.terms.ready.is_some() && candidate.ready.is_none() {
            return Next::Ask(Question::Ready);
        }
        if self.terms.proxy && candidate.proxied.is_none() {
            return Next::Ask(Question::Proxy(requests(candidate)));
        }
        let stable = at.saturating_sub(candidate.since);
        if stable >= self.terms.settle {
            return Next::Proven(self.proven(candidate));
        }
        let seeing = format!("{} new, watching whether they stay", workers(candidate.live.len()));
        let after = self.terms.settle.saturating_sub(stable).min(PAUSE.1);
        Next::Look { after, seeing, alarm: false }
    }

    fn judge(&self, candidate: &mut Candidate, answer: Answer, at: Duration) -> Judged {
        match answer {
            Answer::Admin(answer) => match *answer {
                Ok(facts) => self.judge_admin(candidate, facts),
                Err(trouble) => {
                    let text = format!("the Admin API does not tell what is loaded: {}", trouble.text);
                    Judged::Again(Cause { hints: trouble.hints, ..cause("admin-unreachable", text) })
                }
            },
            Answer::Ready(ready) => self.judge_ready(candidate, ready, at),
            Answer::Proxy(answered) => {
                let asked = requests(candidate);
                if answered >= asked {
                    candidate.proxied = Some(answered);
                    return Judged::Holds;
                }
                let text = format!("only {answered} of {asked} requests to the proxy were answered");
                Judged::Again(cause("proxy-silent", text))
            }
        }
    }

    fn judge_admin(&self, candidate: &mut Candidate, facts: AdminFacts) -> Judged {
        let pids: BTreeSet<u32> = candidate.live.iter().map(|(pid, _)| *pid).collect();
        match &facts.workers {
            Some(answered) if answered.is_subset(&pids) => {}
            Some(_) => {
                let text = "the Admin API names workers that are not the master's".to_owned();
                return Judged::Again(cause("not-proven", text));
            }
            // The mark of a reload that failed or is under way (measured.md 2).
            None => {
                let text = "the Admin API names no workers, as after a reload that failed".to_owned();
                return Judged::Again(cause("not-proven", text));
            }
        }
        if let Some(cause) = self.contradiction(&facts) {
            return Judged::Contradicts(cause);
        }
        candidate.admin = Some(facts);
        Judged::Holds
    }

    /// What an answer of the new workers says against what is wanted.
    fn contradiction(&self, facts: &AdminFacts) -> Option<Cause> {
        let path = facts.lua_package_path.as_deref().unwrap_or_default();
        if let Some(digest) = self.terms.staged.iter().find(|digest| !path.contains(digest.as_str())) {
            let text = format!("the new workers were not made by this reload: {} is not on their path", digest.short());
            return Some(cause("reload-failed", text));
        }
        if let Some(name) = self.terms.loaded.keys().find(|name| !facts.loaded.contains_key(name)) {
            return Some(cause("not-loaded", format!("the new workers have not loaded {name}")));
        }
        let other = self.terms.loaded.iter().find_map(|(name, wanted)| {
            let (wanted, found) = (wanted.as_ref()?, facts.loaded.get(name)?.as_ref()?);
            (wanted != found).then(|| format!("the new workers run {name} {found}, not {wanted}"))
        });
        if let Some(text) = other {
            return Some(cause("other-version", text));
        }
        let name = self.terms.gone.iter().find(|name| facts.loaded.contains_key(*name))?;
        Some(cause("still-loaded", format!("the new workers still have {name} loaded")))
    }

    fn judge_ready(&self, candidate: &mut Candidate, ready: Option<Readiness>, at: Duration) -> Judged {
        let before = self.terms.ready;
        let waited = at.saturating_sub(candidate.since) >= READY;
        let words = match ready {
            Some(now) if now.status == 200 => "ready".to_owned(),
            Some(now) if now.empty && before.is_some_and(|before| before.empty) => {
                "not ready for want of any configuration, as before".to_owned()
            }
            // Before Kong 3.3 there is no such path.
            Some(now) if now.status == 404 && before == Some(now) => "readiness unknown to this Kong".to_owned(),
            // What a failed reload took away a good one gives back: that it was away before is no excuse (measured.md 3).
            Some(now)
                if waited
                    && !now.stuck
                    && before.is_some_and(|before| before.status == now.status && !before.stuck) =>
            {
                format!("not ready ({}), as before", now.status)
            }
            Some(now) => {
                let text = format!("the status API answers {} to /status/ready", now.status);
                return Judged::Again(cause("not-ready", text));
            }
            None => return Judged::Again(cause("not-ready", "the status API does not answer".to_owned())),
        };
        candidate.ready = Some(words);
        Judged::Holds
    }

    fn proven(&self, candidate: &Candidate) -> String {
        let mut words = vec![format!("{} new", workers(candidate.live.len()))];
        match &candidate.admin {
            Some(facts) => {
                words.extend(self.terms.loaded.keys().map(|name| match facts.loaded.get(name) {
                    Some(Some(version)) => format!("{name} {version}"),
                    _ => name.to_string(),
                }));
                words.extend(self.terms.gone.iter().map(|name| format!("without {name}")));
            }
            None => words.push("by the master and its processes alone, as no Admin API can be asked".to_owned()),
        }
        words.extend(candidate.ready.clone());
        words.extend(candidate.proxied.map(|count| format!("{count} proxied requests answered")));
        // They run the old code for as long as a request holds them, and nothing limits that (measured.md 6).
        words.extend((self.leaving > 0).then(|| match self.leaving {
            1 => "1 old worker still ends its requests".to_owned(),
            more => format!("{more} old workers still end their requests"),
        }));
        words.join(", ")
    }
}

/// 4 for each worker, within bounds (protocols.md A, proof 5).
fn requests(candidate: &Candidate) -> u32 {
    u32::try_from(candidate.live.len()).unwrap_or(u32::MAX).saturating_mul(4).clamp(1, 16)
}

fn master_gone(found: Option<Process>) -> Cause {
    match found {
        None => cause("master-gone", "the master of Kong is gone".to_owned()),
        Some((pid, _)) => {
            cause("master-changed", format!("Kong was restarted by somebody else: its master is now {pid}"))
        }
    }
}

fn workers(count: usize) -> String {
    if count == 1 { "1 worker".to_owned() } else { format!("{count} workers") }
}

fn loading(sample: &Sample, before: &BTreeSet<Process>) -> String {
    let old = sample.live.intersection(before).count();
    format!("still loading ({old} old {} answer)", if old == 1 { "worker" } else { "workers" })
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
