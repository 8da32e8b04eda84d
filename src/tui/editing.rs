//! What an operator does to a plan on its screen: leaves out, lifts, saves. The planner is asked for a plan that follows.

use crossterm::event::{KeyCode, KeyEvent};

use super::dialog::{Answer, Dialog, Lift, SaveAs, Typed};
use super::edits::{LeftOut, Made};
use super::effect::Effect;
use super::keymap::Place;
use super::message::Saved;
use super::model::Model;
use super::screen::{Liftable, PlanScreen, RowKey, Screen, Source};
use super::{update, view};
use crate::plan::{Allow, Plan};

/// What has to be typed to replace a plan that is saved already.
const REPLACE: &str = "replace";

fn say(model: &mut Model, words: impl Into<String>) -> Vec<Effect> {
    model.said = Some(words.into());
    Vec::new()
}

/// Asks for a plan of the same part that follows the edits.
fn ask(model: &mut Model) -> Vec<Effect> {
    model.busy.planning = true;
    let part = model.made_from.part.clone();
    if model.edits.is_empty() { vec![Effect::Plan(part)] } else { vec![Effect::PlanWith(part, model.edits.clone())] }
}

/// Why a plan cannot be changed now.
pub(super) fn hindrance(model: &Model) -> Option<&'static str> {
    match () {
        () if model.is_running() => Some("a run is on: a plan can be made when it has ended"),
        () if model.busy.planning => Some("a new plan is being made"),
        () if model.plan.is_none() => Some("there is no plan: p makes one"),
        () => None,
    }
}

/// The same plan from what is known now, with what was left out and lifted.
pub(super) fn anew(model: &mut Model) -> Vec<Effect> {
    match hindrance(model) {
        Some(why) if model.plan.is_some() => say(model, why),
        _ if model.is_running() => say(model, "a run is on: a plan can be made when it has ended"),
        _ => {
            if let Some(words) = model.edits.words() {
                model.said = Some(format!("{words}, as before"));
            }
            ask(model)
        }
    }
}

/// A plan that is asked for anywhere else is for all of it: what was left out and lifted is dropped, and that is said.
pub(super) fn drop_edits(model: &mut Model) {
    if let Some(words) = model.edits.words() {
        model.said = Some(format!("a new plan, without what you changed in the one before ({words})"));
    }
    model.edits = super::edits::Edits::default();
}

/// Leaves out what is under the cursor, or takes it in again.
pub(super) fn leave_out(model: &mut Model) -> Vec<Effect> {
    if let Some(why) = hindrance(model) {
        return say(model, why);
    }
    let Some(out) = row(model).and_then(|row| row.out.clone()) else {
        return say(model, "nothing here can be left out: go to a node, a change or a cluster");
    };
    model.edits.turn(&out);
    let words = if model.edits.leaves_out(&out) {
        format!("left out: {}{}", out.words(), everywhere(model, &out))
    } else {
        format!("taken in again: {}", out.words())
    };
    model.said = Some(words);
    ask(model)
}

/// Which other clusters a plugin is left out of, too.
fn everywhere(model: &Model, out: &LeftOut) -> String {
    let LeftOut::Plugin(name) = out else { return String::new() };
    let clusters = model.plan.iter().flat_map(|plan| &plan.clusters);
    let with = clusters.filter(|cluster| cluster.changes.iter().any(|change| change.name == *name));
    let with: Vec<&str> = with.map(|cluster| cluster.cluster.as_str()).collect();
    if with.len() > 1 { format!(", of all clusters: {}", with.join(", ")) } else { String::new() }
}

fn row(model: &Model) -> Option<&super::screen::PlanRow> {
    match model.screen() {
        Screen::Plan(screen) => screen.row(),
        _ => None,
    }
}

/// Asks whether to lift the blocker under the cursor; what was lifted is in the way again at once, as that is no danger.
pub(super) fn lift(model: &mut Model) -> Vec<Effect> {
    if let Some(why) = hindrance(model) {
        return say(model, why);
    }
    let Some((key, blocker)) = row(model).map(|row| (row.key.clone(), row.blocker.clone())) else {
        return say(model, "no blocker is under the cursor: n goes to the next");
    };
    if let RowKey::Lifted(allow) = key {
        model.edits.allow.remove(&allow);
        model.said = Some(format!("not lifted any more: {allow}"));
        return ask(model);
    }
    match (blocker, model.plan.as_deref()) {
        (Some(what), _) if !what.code.can_be_allowed() => {
            say(model, format!("{} cannot be lifted: what to do stands below it", what.code.word()))
        }
        (Some(what), Some(plan)) => {
            model.dialog = Some(Dialog::Lift(Box::new(Lift::new(plan, what))));
            Vec::new()
        }
        _ => say(model, "no blocker is under the cursor: n goes to the next"),
    }
}

/// The word was typed.
pub(super) fn lifted(model: &mut Model, what: &Liftable) -> Vec<Effect> {
    if let Some(why) = hindrance(model) {
        return say(model, why);
    }
    model.edits.allow.extend(allows(what));
    ask(model)
}

/// As `--allow` says it: for each node, or wherever it stands.
fn allows(what: &Liftable) -> Vec<Allow> {
    let code = what.code;
    if what.nodes.is_empty() {
        return vec![Allow { code, node: None }];
    }
    what.nodes.iter().map(|node| Allow { code, node: Some(node.clone()) }).collect()
}

/// Asks for the name of a file.
pub(super) fn save(model: &mut Model) {
    let Some(plan) = model.plan.clone() else {
        model.said = Some("there is no plan: p makes one".to_owned());
        return;
    };
    let mut name = Typed::new("");
    name.text = format!("plan-{}.json", plan.basis.revision.short());
    model.dialog = Some(Dialog::Save(Box::new(SaveAs { plan, name, said: None, replace: None, saving: false })));
}

/// A key while the name of a file, or the word for replacing it, is typed.
pub(super) fn save_key(model: &mut Model, mut asked: Box<SaveAs>, key: &KeyEvent) -> Vec<Effect> {
    let line = asked.replace.as_mut().unwrap_or(&mut asked.name);
    let is_name = line.word.is_empty();
    let answer = match key.code {
        KeyCode::Enter if asked.saving => Answer::Open,
        // A name needs no word; an empty one is none.
        KeyCode::Enter if is_name && !line.text.trim().is_empty() => Answer::Yes,
        KeyCode::Enter if is_name => Answer::Open,
        _ => line.key(key),
    };
    match answer {
        Answer::No => return Vec::new(),
        Answer::Open => {
            model.dialog = Some(Dialog::Save(asked));
            return Vec::new();
        }
        Answer::Yes => {}
    }
    let (file, replace) = (asked.name.text.trim().to_owned(), asked.replace.is_some());
    let plan = asked.plan.clone();
    (asked.saving, asked.said) = (true, None);
    model.dialog = Some(Dialog::Save(asked));
    vec![Effect::Save { plan, file, replace }]
}

/// What became of it.
pub(super) fn saved(model: &mut Model, what: Saved) {
    let dialog = model.dialog.take();
    let (asked, other) = match dialog {
        Some(Dialog::Save(asked)) => (Some(asked), None),
        other => (None, other),
    };
    model.dialog = other;
    match (what, asked) {
        (Saved::Written(file), _) => model.said = Some(format!("the plan is saved as {file}")),
        (Saved::There(file), Some(mut asked)) => {
            asked.said = Some(format!("another plan is saved as {file}"));
            (asked.saving, asked.replace) = (false, Some(Typed::new(REPLACE)));
            model.dialog = Some(Dialog::Save(asked));
        }
        (Saved::Refused(notice), Some(mut asked)) => {
            let hints = notice.hints.first().map(|hint| format!(": {hint}")).unwrap_or_default();
            (asked.saving, asked.replace) = (false, None);
            asked.said = Some(format!("{}{hints}", notice.text));
            model.dialog = Some(Dialog::Save(asked));
        }
        // The question was left: nothing was saved.
        (Saved::There(file), None) => model.said = Some(format!("not saved: another plan is in {file}")),
        (Saved::Refused(notice), None) => model.said = Some(notice.text),
    }
}

/// Takes a plan in.
pub(super) fn planned(model: &mut Model, made: Made) {
    model.busy.planning = false;
    model.plan = Some(made.plan);
    model.edits = made.from.edits.clone();
    model.made_from = made.from;
    // The difference that is read belongs to the plan before.
    model.drop_screens(Place::Diff);
    match model.dialog {
        // What was typed so far is the filter.
        Some(Dialog::Filter) => model.dialog = None,
        // A question about the plan before must not be answered for this one.
        Some(Dialog::Apply(_) | Dialog::Lift(_) | Dialog::Save(_)) => {
            model.dialog = None;
            model.said = Some("the plan has changed: read it first".to_owned());
        }
        Some(_) | None => {}
    }
    let here = matches!(model.place(), Place::Fleet | Place::Node | Place::Plan);
    let asked_from = here && model.source() == Source::Live;
    if asked_from || model.place() == Place::Run && !model.is_running() {
        show(model);
    }
    update::refresh(model);
}

/// To the screen of the plan; where it is on the screen already, what is unfolded and the cursor stay.
fn show(model: &mut Model) {
    let height = model.height(Place::Plan);
    let before = match model.screen() {
        Screen::Plan(screen) => Some(screen.clone()),
        _ => None,
    };
    let is_new = before.is_none();
    let mut screen = before.unwrap_or_else(PlanScreen::default);
    screen.set_text(view::plan_text(model, &screen.turned), height);
    if is_new || screen.row().is_none() {
        screen.go_to_first_change(height);
    }
    model.push(Screen::Plan(screen));
}

/// The plan is spent, or is not of this fleet any more.
pub(super) fn forget(model: &mut Model) {
    model.plan = None;
    model.edits = super::edits::Edits::default();
    model.made_from = super::edits::MadeFrom::default();
    model.drop_screens(Place::Diff);
    model.drop_screens(Place::Plan);
}

/// Whether anything of a plan can be lifted, or is.
pub(super) fn can_lift(model: &Model) -> bool {
    let some = |plan: &Plan| plan.blockers.iter().any(|blocker| blocker.code.can_be_allowed());
    model.plan.as_deref().is_some_and(some) || !model.edits.allow.is_empty()
}
