//! `muster --apply`: looks, plans, and carries the plan out; never asks.

use super::session::Session;
use super::{Env, Format};
use crate::exit;
use crate::failure::Failure;
use crate::fleet::Apply;
use crate::hint::Hint;
use crate::plan::{BlockerCode, Plan, Scope};
use crate::report;
use crate::run::{Reporter, Verdict};

/// Does it. What was found to be in line already ends at once.
pub(super) async fn run(session: Session<'_>) -> Result<u8, Failure> {
    let Session { env, options, fleet, selection, allow, control, demo } = session;
    let Some(mut picture) = super::plan::look(env, &fleet, &control).await else { return Ok(exit::INTERRUPTED) };
    let chosen = (selection.clone(), allow.clone());
    let planned = super::plan::closely(&fleet, &mut picture, chosen, options.trial, &control).await;
    let Some(plan) = planned else { return Ok(exit::INTERRUPTED) };
    let plan = std::sync::Arc::new(super::equal::carry_plan(plan, &options, demo));
    if options.format == Format::Text {
        report::plan::text(&plan, false, None, &mut env.out)
            .and_then(|()| super::check::dirty(&fleet.desired, &mut env.out))
            .map_err(|error| Failure::internal("writing the plan", &error))?;
    }
    if plan.is_empty() {
        return nothing_to_do(env, options.format, &plan);
    }
    let reporters: Vec<Box<dyn Reporter>> = vec![match options.format {
        Format::Json => Box::new(report::json::JsonReporter::new(env.out.clone())),
        Format::Text => {
            let plan_again = super::equal::carried(Hint::type_("muster --plan"), &options, demo);
            let reporter = report::text::TextReporter::new(env.out.clone()).planning_with(plan_again);
            Box::new(super::equal::CarryingReporter::new(reporter, &options, demo))
        }
    }];
    let apply = Apply {
        plan,
        picture,
        selection,
        allow,
        operator: env.operator(),
        runs: env.state_dir().join("runs"),
        reporters,
        control,
        clock: env.clock.clone(),
    };
    let applied = fleet.apply(apply).await.map_err(|error| Failure::internal("beginning the run", &error))?;
    Ok(Verdict::of(&applied.state).exit())
}

/// What an empty plan comes to: in line, or something stands in the way of what differs.
fn nothing_to_do(env: &mut Env, format: Format, plan: &Plan) -> Result<u8, Failure> {
    let unknown = plan.clusters.iter().any(|cluster| !cluster.nodes.unknown.is_empty());
    // Only a guard of another run says so before the lease is asked for (docs/architecture.md, "Carrying it out").
    let locked = plan.blockers.iter().any(|blocker| blocker.code == BlockerCode::Unfinished);
    let refused = plan.blockers.iter().any(|blocker| !matches!(blocker.scope, Scope::Plugin { .. }));
    let verdict = match () {
        () if locked => Verdict::Locked,
        () if refused => Verdict::Refused,
        () if !plan.blockers.is_empty() => Verdict::NotReached,
        () if unknown => Verdict::Incomplete,
        () => Verdict::InLine,
    };
    let written = match format {
        Format::Json => report::json::nothing_to_do(plan, verdict, (env.clock)(), &mut env.out),
        Format::Text => report::text::verdict(verdict, &mut env.out),
    };
    written.map_err(|error| Failure::internal("writing", &error))?;
    Ok(verdict.exit())
}
