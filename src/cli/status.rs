//! `muster status`: the four truths of every plugin on every node.

use super::Format;
use super::session::Session;
use crate::exit;
use crate::failure::Failure;
use crate::report;
use crate::run::Verdict;

/// Shows them.
pub(super) async fn run(session: Session<'_>) -> Result<u8, Failure> {
    let Session { env, options, fleet, selection, control, demo, .. } = session;
    let started = std::time::Instant::now();
    let Some(picture) = super::plan::look(env, &fleet, &control).await else { return Ok(exit::INTERRUPTED) };
    let head = report::status::Head {
        origin: fleet.desired.origin.clone(),
        at: picture.survey.at,
        took: started.elapsed(),
        counts: picture.survey.counts(),
    };
    let mut narrowed =
        picture.diff.narrowed(|node| fleet.inventory().node(node).is_some_and(|node| selection.node(node)));
    super::equal::carry(narrowed.hints_mut(), &options, demo);
    let (_, drift, unknown) = narrowed.counts();
    let verdict = match () {
        () if unknown > 0 => Verdict::Incomplete,
        () if drift > 0 && options.detailed_exitcode => Verdict::Pending,
        () => Verdict::InLine,
    };
    let written = match options.format {
        Format::Json => report::status::json(&head, &narrowed, &mut env.out),
        Format::Text => report::status::text(&head, &narrowed, verdict, &mut env.out)
            .and_then(|()| super::check::dirty(&fleet.desired, &mut env.out)),
    };
    written.map_err(|error| Failure::internal("writing the status", &error))?;
    Ok(verdict.exit())
}
