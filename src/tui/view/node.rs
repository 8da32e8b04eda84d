//! The screen of one node: its state, its plugins, what a plan would change, files, facts, receipts, the end of its log.

use super::canvas::Canvas;
use super::tail::log_tone;
use super::{node_files, node_settings, pager};
use crate::diff::{Fact, Inspection, Planned, ReceiptFacts};
use crate::tui::layout::Areas;
use crate::tui::look::{Look, Tone, tone_of};
use crate::tui::model::Model;
use crate::tui::screen::{Fold, NodeLine, NodeScreen, Screen, Section, Target};
use crate::tui::shown::{clip, count, fit, time_of_day, width};
use crate::tui::text::{TextLine, hanging};

/// How many of the last lines of the log are seen without opening it.
const LOG: usize = 8;
/// How many receipts are seen: older ones are counted.
const RECEIPTS: usize = 20;
/// The most columns for the names of facts.
const NAME: usize = 30;

/// Draws the screen.
pub(super) fn draw(model: &Model, screen: &NodeScreen, canvas: &mut Canvas<'_>, areas: &Areas) {
    canvas.ends(areas.head, 0, &title(model, screen), &age(model, screen));
    let window = screen.cursor.window(screen.lines.len(), usize::from(areas.body.height));
    canvas.hidden(areas.body, &window, screen.lines.len());
    for (y, at) in (0..).zip(window) {
        canvas.line_at(areas.body, 1, y, &screen.lines[at].text);
        if at == screen.cursor.at {
            canvas.line(areas.body, y, &TextLine::new(Tone::Plain, canvas.look.cursor()));
            canvas.highlight(areas.body, y);
        }
    }
}

fn title(model: &Model, screen: &NodeScreen) -> TextLine {
    let name = TextLine::new(Tone::Head, &format!(" {}  ", screen.node));
    let Some(row) = model.picture.as_deref().and_then(|picture| picture.node(&screen.node)) else { return name };
    let kong = row.kong.as_deref().map_or("version of Kong unknown".to_owned(), |version| format!("Kong {version}"));
    let cluster = screen.inspection.as_ref().map(|found| format!(", {}", found.cluster)).unwrap_or_default();
    name.with(tone_of(row.state.mark), &format!("{} {}", row.state.mark, row.state.word))
        .with(Tone::Faint, &format!("  {kong}{cluster}"))
}

fn age(model: &Model, screen: &NodeScreen) -> TextLine {
    if screen.closer.asking {
        return TextLine::new(Tone::Plain, &format!("asking {} ", screen.node));
    }
    let looked = screen.inspection.as_ref().map(|found| found.looked);
    let row = || model.picture.as_deref().and_then(|picture| picture.node(&screen.node));
    let looked = looked.or_else(|| row().and_then(|row| row.standing.looked));
    let words = looked.map(|at| format!("seen at {} UTC ", time_of_day(at))).unwrap_or_default();
    TextLine::new(Tone::Faint, &words)
}

/// The lines of the node screen that is open, for the present width.
pub(crate) fn lines(model: &Model) -> Vec<NodeLine> {
    let open = model.screens().find_map(|screen| match screen {
        Screen::Node(screen) => Some(screen),
        _ => None,
    });
    let Some(screen) = open else { return Vec::new() };
    let composer = Composer { model, screen, look: model.look, columns: model.width().saturating_sub(2) };
    composer.compose()
}

/// Composes the lines of a node screen.
pub(super) struct Composer<'a> {
    pub(super) model: &'a Model,
    pub(super) screen: &'a NodeScreen,
    pub(super) look: Look,
    pub(super) columns: usize,
}

/// A line that stands for nothing.
pub(super) fn plain(text: TextLine) -> NodeLine {
    NodeLine { text, begins: None, target: None }
}

/// A line that can be opened.
pub(super) fn line_of(text: TextLine, target: Target) -> NodeLine {
    NodeLine { text, begins: None, target: Some(target) }
}

impl Composer<'_> {
    fn compose(&self) -> Vec<NodeLine> {
        let mut lines = self.state();
        lines.extend(self.plugins());
        let Some(found) = self.screen.inspection.as_deref() else {
            lines.push(plain(TextLine::default()));
            lines.push(plain(TextLine::new(Tone::Faint, "  looking it up")));
            return lines;
        };
        lines.extend(self.section(Section::Planned, "what a plan would do here", &plan_count(&found.planned), || {
            self.planned(&found.planned)
        }));
        let words = node_settings::counted(&found.settings);
        lines.extend(self.section(Section::Settings, "where plugins and lua_package_path come from", words, || {
            node_settings::lines(self, found)
        }));
        let (words, _) = node_files::counted(&found.plugins);
        lines.extend(self.section(Section::Files, "files", &words, || node_files::lines(self, &found.plugins)));
        let odd = found.facts.iter().filter(|fact| fact.odd).count();
        let words =
            if odd > 0 { format!("{}, {odd} to look at", found.facts.len()) } else { found.facts.len().to_string() };
        lines
            .extend(self.section(Section::Facts, "facts, each with where it comes from", &words, || self.facts(found)));
        let (receipts, more) = self.receipts(found);
        let words = count(receipts.len() + more, "receipt");
        lines.extend(
            self.section(Section::Receipts, "receipts, the newest first", &words, || {
                self.receipt_lines(receipts, more)
            }),
        );
        lines.extend(self.section(Section::Log, "error log", &self.log_words(found), || self.log(found)));
        lines
    }

    /// A heading, and what is below it unless it is folded.
    fn section(
        &self,
        section: Section,
        title: &str,
        about: &str,
        below: impl FnOnce() -> Vec<NodeLine>,
    ) -> Vec<NodeLine> {
        let fold = Fold::Section(section);
        let open = self.screen.is_open(&fold, true);
        let head = TextLine::new(Tone::Head, &format!("{} {title}  ", self.look.fold(open))).with(Tone::Faint, about);
        let head = NodeLine { text: head, begins: Some(section), target: Some(Target::Fold(fold)) };
        let mut lines = vec![plain(TextLine::default()), head];
        if open {
            lines.extend(below());
        }
        lines
    }

    pub(super) fn hanging(&self, lead: &TextLine, tone: Tone, text: &str) -> Vec<NodeLine> {
        hanging(lead, tone, text, self.columns).into_iter().map(plain).collect()
    }

    /// Why it is as it is, and what to do.
    fn state(&self) -> Vec<NodeLine> {
        let row = self.model.picture.as_deref().and_then(|picture| picture.node(&self.screen.node));
        let Some(row) = row else {
            let words = format!("  {} is not in the inventory any more", self.screen.node);
            return vec![plain(TextLine::new(Tone::Unknown, &words))];
        };
        let lead = TextLine::new(tone_of(row.state.mark), &format!("{} ", row.state.mark));
        let why = if row.state.why.is_empty() { row.state.word } else { row.state.why.as_str() };
        let mut lines = self.hanging(&lead, tone_of(row.state.mark), why);
        let indent = TextLine::new(Tone::Plain, "  ");
        lines.extend(row.remarks.iter().flat_map(|remark| self.hanging(&indent, Tone::Plain, remark)));
        if let Some(first) = lines.first_mut() {
            first.begins = Some(Section::State);
        }
        lines
    }

    /// The four truths of each plugin in words, those with something to say first.
    fn plugins(&self) -> Vec<NodeLine> {
        let picture = self.model.picture.as_deref();
        let Some((picture, row)) = picture.and_then(|picture| Some((picture, picture.node(&self.screen.node)?))) else {
            return Vec::new();
        };
        let items = pager::plugin_items(picture, row);
        let about = "marks: files, directive, loaded, used";
        self.section(Section::Plugins, "plugins", about, || {
            let of = |at: &(usize, crate::tui::picture::Marks)| {
                let name = picture.columns.get(at.0).cloned().unwrap_or_default();
                let lines = pager::plugin_lines(self.model, picture, row, *at, self.columns);
                lines.into_iter().map(move |text| line_of(text, Target::Plugin(name.clone()))).collect::<Vec<_>>()
            };
            items.iter().flat_map(of).collect()
        })
    }

    fn planned(&self, planned: &Planned) -> Vec<NodeLine> {
        let mut lines = Vec::new();
        for change in &planned.changes {
            let mark = change.chars().next().unwrap_or(' ');
            let lead = TextLine::new(tone_of(mark), &format!("    {mark} "));
            lines.extend(self.hanging(&lead, Tone::Plain, change.get(mark.len_utf8()..).unwrap_or_default().trim()));
        }
        if let Some((before, after)) = &planned.directive {
            lines.extend(self.hanging(&TextLine::new(Tone::Bad, "    - plugins = "), Tone::Bad, before));
            lines.extend(self.hanging(&TextLine::new(Tone::Good, "    + plugins = "), Tone::Good, after));
        }
        if let Some(conf) = &planned.conf {
            let text = TextLine::new(Tone::Plain, &format!("    edit {}", conf.path))
                .with(Tone::Faint, &format!("  -{} +{}, enter shows", conf.removed, conf.added));
            lines.push(line_of(text, Target::Conf));
        }
        for why in &planned.blocked {
            lines.extend(self.hanging(&TextLine::new(Tone::Bad, "    ! "), Tone::Bad, why));
        }
        if lines.is_empty() {
            lines.push(plain(TextLine::new(Tone::Faint, "    nothing")));
        }
        lines
    }

    fn facts(&self, found: &Inspection) -> Vec<NodeLine> {
        if found.facts.is_empty() {
            let words = "    none: it could not be seen; R looks again";
            return vec![plain(TextLine::new(Tone::Unknown, words))];
        }
        let names = found.facts.iter().map(|fact| width(&fact.name)).max().unwrap_or_default();
        let names = names.min((self.columns / 4).clamp(16, NAME));
        let mut group = "";
        let mut lines = Vec::new();
        for fact in &found.facts {
            if fact.group != group {
                group = fact.group;
                lines.push(plain(TextLine::new(Tone::Faint, &format!("    {group}"))));
            }
            lines.extend(self.fact(fact, names));
        }
        lines
    }

    /// Its name, what it is, and its source, behind it where there is room, else below.
    fn fact(&self, fact: &Fact, names: usize) -> Vec<NodeLine> {
        let (mark, tone) = if fact.odd { ('!', Tone::Change) } else { (' ', Tone::Plain) };
        let lead = TextLine::new(tone, &format!("    {mark} {}  ", fit(&fact.name, names, self.look.more())));
        let mut lines = hanging(&lead, tone, &fact.value, self.columns);
        let source = format!("{} {}", self.look.dot(), fact.source);
        match lines.last_mut() {
            Some(last) if last.width() + 2 + width(&source) <= self.columns => {
                last.parts.push((Tone::Faint, format!("  {source}")));
            }
            _ => lines.extend(hanging(
                &TextLine::new(Tone::Plain, &" ".repeat(lead.width())),
                Tone::Faint,
                &source,
                self.columns,
            )),
        }
        lines.into_iter().map(plain).collect()
    }

    /// Those that the node told itself, else those of the survey; and how many more there are.
    fn receipts<'a>(&'a self, found: &'a Inspection) -> (&'a [ReceiptFacts], usize) {
        let (all, known) = match &self.screen.closer.got {
            Some(closer) => (closer.receipts_all, closer.receipts.as_slice()),
            None => (None, found.receipts.as_slice()),
        };
        let shown = &known[..known.len().min(RECEIPTS)];
        (shown, all.unwrap_or(known.len()).saturating_sub(shown.len()))
    }

    fn receipt_lines(&self, receipts: &[ReceiptFacts], more: usize) -> Vec<NodeLine> {
        let mut lines: Vec<NodeLine> = receipts.iter().flat_map(|receipt| self.receipt(receipt)).collect();
        if more > 0 {
            lines.push(plain(TextLine::new(Tone::Faint, &format!("    and {more} older"))));
        }
        if lines.is_empty() {
            lines.push(plain(TextLine::new(Tone::Faint, "    none: muster has changed nothing here")));
        }
        lines
    }

    fn receipt(&self, receipt: &ReceiptFacts) -> Vec<NodeLine> {
        let tone = match receipt.result.as_deref() {
            None => Tone::Unknown,
            Some("changed") => Tone::Good,
            Some(_) => Tone::Change,
        };
        let at = receipt.at.strftime("%Y-%m-%d %H:%M UTC");
        let commit = receipt.commit.as_ref().map(|commit| format!(" @ {commit}")).unwrap_or_default();
        let run: String = receipt.run.chars().take(10).collect();
        let lead = TextLine::new(Tone::Plain, &format!("    {at}  run {run} step {}{commit}  ", receipt.step));
        let mut lines = if lead.width() * 2 > self.columns {
            let mut lines = vec![plain(lead)];
            lines.extend(self.hanging(&TextLine::new(Tone::Plain, "      "), tone, &receipt.words()));
            lines
        } else {
            self.hanging(&lead, tone, &receipt.words())
        };
        if !receipt.content.is_empty() {
            let lead = TextLine::new(Tone::Faint, "      proven with ");
            lines.extend(self.hanging(&lead, Tone::Faint, &receipt.content.join(", ")));
        }
        lines
    }

    fn log_words(&self, found: &Inspection) -> String {
        match (&self.screen.closer.got, &found.log) {
            (Some(closer), _) if closer.log.is_ok() => {
                let tail = closer.log.as_ref().map(|tail| tail.path.clone()).unwrap_or_default();
                format!("{tail}, L shows more")
            }
            (_, Some(path)) => path.to_string(),
            (_, None) => "not a file".to_owned(),
        }
    }

    /// The last lines, or why there are none.
    fn log(&self, found: &Inspection) -> Vec<NodeLine> {
        let closer = &self.screen.closer;
        let mut lines = Vec::new();
        if let Some(trouble) = &closer.trouble {
            lines.extend(self.hanging(&TextLine::new(Tone::Unknown, "    "), Tone::Unknown, &trouble.text));
            let lead = TextLine::new(Tone::Head, "    what to do  ");
            lines.extend(trouble.hints.iter().flat_map(|hint| self.hanging(&lead, Tone::Plain, &hint.to_string())));
        }
        match closer.got.as_ref().map(|closer| &closer.log) {
            Some(Ok(tail)) if tail.lines.is_empty() => {
                lines.push(plain(TextLine::new(Tone::Faint, "    it is empty")));
            }
            Some(Ok(tail)) => {
                let last = &tail.lines[tail.lines.len().saturating_sub(LOG)..];
                let room = self.columns.saturating_sub(4);
                lines.extend(last.iter().map(|line| {
                    let text = format!("    {}", clip(line, room, self.look.more()));
                    line_of(TextLine::new(log_tone(line), &text), Target::Log)
                }));
            }
            Some(Err(why)) => lines.extend(self.hanging(&TextLine::new(Tone::Plain, "    "), Tone::Unknown, why)),
            None if closer.asking => lines.push(plain(TextLine::new(Tone::Faint, "    asking the node"))),
            None if found.facts.is_empty() => {
                lines.push(plain(TextLine::new(Tone::Unknown, "    not known: the node could not be seen")));
            }
            None => lines.push(line_of(TextLine::new(Tone::Faint, "    L asks the node for it"), Target::Log)),
        }
        lines
    }
}

fn plan_count(planned: &Planned) -> String {
    match (planned.changes.len(), planned.blocked.len()) {
        (0, 0) => "nothing".to_owned(),
        (changes, 0) => count(changes, "change"),
        (0, blocked) => format!("left alone: {}", count(blocked, "blocker")),
        (changes, blocked) => format!("{}, {}", count(changes, "change"), count(blocked, "blocker")),
    }
}
