//! `muster --plan`: looks, compares, shows what would be done; changes nothing.

use std::io::Write as _;

use super::session::Session;
use super::{Env, Format, Options};
use crate::exit;
use crate::failure::Failure;
use crate::fleet::{Fleet, Picture};
use crate::name::NodeName;
use crate::plan::{Allow, Plan, Selection};
use crate::report;
use crate::run::Verdict;
use crate::survey::NodeSurvey;

/// Shows the plan. The exit code is 0 unless something could not be known, or pending changes are asked to be told.
pub(super) async fn run(session: Session<'_>) -> Result<u8, Failure> {
    let Session { env, options, fleet, selection, allow, control, demo } = session;
    let Some(mut picture) = look(env, &fleet, &control).await else { return Ok(exit::INTERRUPTED) };
    let planned = closely(&fleet, &mut picture, (selection, allow), options.trial, &control).await;
    let Some(plan) = planned else { return Ok(exit::INTERRUPTED) };
    let plan = super::equal::carry_plan(plan, &options, demo);
    // First: a plan that was shown and could not be saved would be missed later.
    let out = options.out.as_ref().map(|file| env.dir.join(file));
    if let Some(file) = &out {
        super::save::save(&plan, file)?;
    }
    let written = match options.format {
        Format::Json => report::plan::json(&plan, &mut env.out),
        Format::Text => text(&fleet, &plan, (&options, demo), env),
    };
    written.map_err(|error| Failure::internal("writing the plan", &error))?;
    Ok(verdict(&plan, options.detailed_exitcode).exit())
}

fn text(fleet: &Fleet, plan: &Plan, (options, demo): (&Options, bool), env: &mut Env) -> std::io::Result<()> {
    report::plan::text(plan, options.diff, Some(&super::equal::apply(options, demo)), &mut env.out)?;
    super::check::dirty(&fleet.desired, &mut env.out)?;
    match &options.out {
        Some(file) => writeln!(env.out, "Saved as {}.", file.display()),
        None => Ok(()),
    }
}

/// What a plan that is only shown comes to.
fn verdict(plan: &Plan, detailed: bool) -> Verdict {
    let unknown = plan.clusters.iter().any(|cluster| !cluster.nodes.unknown.is_empty());
    match () {
        () if unknown => Verdict::Incomplete,
        () if detailed && (!plan.is_empty() || !plan.blockers.is_empty()) => Verdict::Pending,
        () => Verdict::InLine,
    }
}

/// Plans, with a closer look at the nodes that are going to be reloaded, and with trial loads if they are asked for; `None` if
/// it was interrupted.
pub(super) async fn closely(
    fleet: &Fleet,
    picture: &mut Picture,
    (selection, allow): (Selection, Vec<Allow>),
    trial: bool,
    control: &crate::execute::Control,
) -> Option<Plan> {
    let planning = async {
        if trial {
            fleet.plan_on_trial(picture, selection, allow).await
        } else {
            fleet.plan_closely(picture, selection, allow).await
        }
    };
    tokio::select! {
        plan = planning => Some(plan),
        () = control.interrupted() => None,
    }
}

/// Looks at the fleet, with a count on standard error while it goes on; `None` if it was interrupted.
pub(super) async fn look(env: &mut Env, fleet: &Fleet, control: &crate::execute::Control) -> Option<Picture> {
    let progress = Progress::new(env, fleet.len());
    let at = (env.clock)();
    let one = |_: &NodeName, _: &NodeSurvey| progress.one();
    let looking = fleet.look(at, &one);
    tokio::select! {
        // Both may be dropped at any point: looking changes nothing, and what it started on nodes ends with its input.
        picture = looking => {
            progress.end();
            Some(picture)
        }
        () = control.interrupted() => {
            progress.end();
            None
        }
    }
}

/// `looking: 12 of 42 nodes`, on a terminal only.
pub(super) struct Progress {
    err: std::sync::Mutex<super::Output>,
    shown: bool,
    done: std::sync::atomic::AtomicUsize,
    of: usize,
}

impl Progress {
    pub(super) fn new(env: &Env, of: usize) -> Self {
        Self { err: std::sync::Mutex::new(env.err.clone()), shown: env.terminal, done: 0.into(), of }
    }

    pub(super) fn one(&self) {
        let done = self.done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        self.write(&format!("\rlooking: {done} of {} nodes", self.of));
    }

    pub(super) fn end(&self) {
        self.write("\r\u{1b}[K");
    }

    fn write(&self, text: &str) {
        if let (true, Ok(mut err)) = (self.shown, self.err.lock()) {
            // Only for the eye.
            drop(err.write_all(text.as_bytes()).and_then(|()| err.flush()));
        }
    }
}
