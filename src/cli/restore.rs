//! `muster restore-rows RUN`: the rows that a run took out of use, and bringing them back.

use std::fs;

use super::session::Session;
use super::{Env, Format};
use crate::exit;
use crate::failure::Failure;
use crate::fleet;
use crate::hint::Hint;
use crate::journal;
use crate::name::RunId;
use crate::perform::restore::RowFate;
use crate::perform::undo::UndoBundle;
use crate::report::rows::{self, Shown};

/// Shows them; with `yes` brings them back.
pub(super) async fn run(run: &str, yes: bool, session: Session<'_>) -> Result<u8, Failure> {
    let Session { env, options, fleet, control, .. } = session;
    let (entry, _) = super::runs::find(run, env)?;
    let bundles = bundles(&entry.run, env)?;
    let Some(picture) = super::plan::look(env, &fleet, &control).await else { return Ok(exit::INTERRUPTED) };
    let mut shown = Vec::new();
    for (path, bundle) in &bundles {
        let in_the_way = fleet::may_restore(&fleet, &picture, bundle).err().filter(|_| !yes);
        let rows = fleet::restore_rows(&fleet, &picture, bundle, yes).await;
        shown.push(Shown {
            path: path.clone(),
            cluster: bundle.head.cluster.clone(),
            name: bundle.head.name.clone(),
            workspace: bundle.workspace.clone(),
            when: bundle.head.when,
            in_the_way,
            rows: rows.map(|rows| rows.iter().map(|row| (row.row.clone(), told(&row.fate))).collect()),
        });
    }
    let written = match options.format {
        Format::Text => {
            let command = super::equal::placed(&format!("muster restore-rows {} --yes", entry.run), &options);
            rows::text(&shown, Some(command.as_str()).filter(|_| !yes), &mut env.out)
        }
        Format::Json => rows::json(&entry.run, &shown, yes, &mut env.out),
    };
    written.map_err(|error| Failure::internal("writing the rows", &error))?;
    Ok(if shown.iter().all(Shown::is_well) { exit::IN_LINE } else { exit::NOT_REACHED })
}

fn told(fate: &RowFate) -> rows::Fate {
    let left = match fate {
        RowFate::Missing | RowFate::Disabled => rows::Left::ToDo,
        RowFate::Same | RowFate::Restored => rows::Left::Nothing,
        RowFate::Differs | RowFate::OwnerGone(_) => rows::Left::ForAPerson,
    };
    rows::Fate { words: fate.words(), left }
}

type Bundles = Vec<(String, UndoBundle)>;

fn bundles(run: &RunId, env: &Env) -> Result<Bundles, Failure> {
    let runs = env.state_dir().join("runs");
    let paths = journal::undo_bundles(&runs, run)
        .map_err(|error| Failure::internal("listing the undo bundles of the run", &error))?;
    if paths.is_empty() {
        let text = format!("run {run} took no rows out of use, or it was not on this machine");
        return Err(Failure::input(text, vec![Hint::type_("muster runs")]));
    }
    let read = |path: &std::path::PathBuf| {
        let shown = path.display().to_string();
        let wrong = |error: &(dyn std::error::Error + 'static)| {
            Failure::input(format!("reading {shown}: {error}"), vec![Hint::look(shown.clone())])
        };
        let text = fs::read_to_string(path).map_err(|error| wrong(&error))?;
        let bundle = UndoBundle::parse(&text).map_err(|error| wrong(&error))?;
        Ok((shown.clone(), bundle))
    };
    paths.iter().map(read).collect()
}
