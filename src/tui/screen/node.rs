//! The screens of one node: what is known of it, a difference, the end of its error log.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::diff::{CloserLook, Comparison, Inspection};
use crate::name::NodeName;
use crate::tui::cursor::Cursor;
use crate::tui::message::Notice;
use crate::tui::sheet::Sheet;
use crate::tui::text::TextLine;

/// A part of the node screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Its state, in words.
    State,
    /// The four truths of its plugins.
    Plugins,
    /// What a plan would change.
    Planned,
    /// Where `plugins` and `lua_package_path` come from.
    Settings,
    /// The files of its plugins.
    Files,
    /// Facts, each with its source.
    Facts,
    /// Receipts.
    Receipts,
    /// The end of the error log.
    Log,
}

/// What can be folded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fold {
    /// A section.
    Section(Section),
    /// The files of a plugin.
    Files(String),
    /// The places of a setting.
    Setting(&'static str),
}

/// What a line stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Something that opens and closes.
    Fold(Fold),
    /// A plugin.
    Plugin(String),
    /// A file of a plugin, by its path below the Lua root.
    File(String, String),
    /// The edit of kong.conf.
    Conf,
    /// The error log.
    Log,
}

/// A line of the node screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeLine {
    /// What it says.
    pub text: TextLine,
    /// The section that begins here.
    pub begins: Option<Section>,
    /// What it stands for.
    pub target: Option<Target>,
}

/// Something that a node is asked for, and may answer late or never.
#[derive(Debug, Clone)]
pub struct Asked<T> {
    /// What came last.
    pub got: Option<Arc<T>>,
    /// It was asked for, and nothing came yet.
    pub asking: bool,
    /// Why nothing came the last time.
    pub trouble: Option<Notice>,
}

impl<T> Default for Asked<T> {
    fn default() -> Self {
        Self { got: None, asking: false, trouble: None }
    }
}

impl<T> Asked<T> {
    /// Takes an answer in. What was known before stays beside the reason why there is nothing newer.
    pub fn answered(&mut self, answer: Result<Arc<T>, Notice>) {
        self.asking = false;
        match answer {
            Ok(got) => (self.got, self.trouble) = (Some(got), None),
            Err(notice) => self.trouble = Some(notice),
        }
    }
}

/// What the node screen knows.
#[derive(Debug, Clone)]
pub struct NodeScreen {
    /// The node.
    pub node: NodeName,
    /// What the survey knows of it; none until it was asked for.
    pub inspection: Option<Arc<Inspection>>,
    /// What the node itself was asked.
    pub closer: Asked<CloserLook>,
    /// Its lines.
    pub lines: Vec<NodeLine>,
    /// Where the cursor is among them.
    pub cursor: Cursor,
    /// Every place of a setting is shown until it is folded, not only where they disagree.
    pub origins: bool,
    /// What was folded or unfolded by hand.
    toggled: BTreeSet<Fold>,
    /// The section to go to as soon as it is there.
    goal: Option<Section>,
}

impl NodeScreen {
    /// A screen whose lines are still to be made.
    pub fn new(node: NodeName) -> Self {
        let (lines, cursor, toggled) = (Vec::new(), Cursor::default(), BTreeSet::new());
        let (inspection, closer, origins, goal) = (None, Asked::default(), false, None);
        Self { node, inspection, closer, lines, cursor, origins, toggled, goal }
    }

    /// Whether something is open, where `usually` is what it is until somebody says otherwise.
    pub fn is_open(&self, fold: &Fold, usually: bool) -> bool {
        usually != self.toggled.contains(fold)
    }

    /// Opens or closes.
    pub fn toggle(&mut self, fold: Fold) {
        if !self.toggled.remove(&fold) {
            self.toggled.insert(fold);
        }
    }

    /// Takes new lines in; the cursor stays on what it was on, where that is still there.
    pub fn set_lines(&mut self, lines: Vec<NodeLine>, height: usize) {
        let here = self.target().cloned();
        let same = |line: &NodeLine| here.is_some() && line.target == here;
        let old = self.lines.iter().take(self.cursor.at).filter(|line| same(line)).count();
        if let Some((at, _)) = lines.iter().enumerate().filter(|(_, line)| same(line)).nth(old) {
            self.cursor.at = at;
        }
        self.lines = lines;
        self.cursor.settle(self.lines.len(), height);
        let goal = self.goal.and_then(|goal| self.lines.iter().position(|line| line.begins == Some(goal)));
        if let Some(at) = goal {
            self.goal = None;
            self.put_on_top(at, height);
        }
    }

    /// Unfolds where the settings come from, and goes there as soon as it is there.
    pub fn show_origins(&mut self) {
        self.toggled.retain(|fold| !matches!(fold, Fold::Section(Section::Settings) | Fold::Setting(_)));
        (self.origins, self.goal) = (true, Some(Section::Settings));
    }

    /// What is under the cursor.
    pub fn target(&self) -> Option<&Target> {
        self.lines.get(self.cursor.at)?.target.as_ref()
    }

    /// To the beginning of the next section, from the last to the first. It stands at the top, as far as there are lines for that.
    pub fn next_section(&mut self, height: usize) {
        let begins = |at: &usize| self.lines.get(*at).is_some_and(|line| line.begins.is_some());
        let next = (self.cursor.at + 1..self.lines.len()).find(begins).or_else(|| (0..self.lines.len()).find(begins));
        let Some(at) = next else { return };
        self.put_on_top(at, height);
    }

    /// The cursor on a line that stands at the top, as far as there are lines for that.
    fn put_on_top(&mut self, at: usize, height: usize) {
        self.cursor = Cursor::default();
        // From below, so that what belongs to it is seen and not what is before it.
        self.cursor.at = (at + height.saturating_sub(1)).min(self.lines.len().saturating_sub(1));
        self.cursor.settle(self.lines.len(), height);
        self.cursor.at = at;
        self.cursor.settle(self.lines.len(), height);
    }
}

/// What a difference is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiffAbout {
    /// A change of the plan: its cluster and its place there.
    Change(usize, usize),
    /// Files of a plugin on a node: one, or all that differ.
    Files(NodeName, String, Option<String>),
    /// The edit of a node's kong.conf.
    Conf(NodeName),
}

/// A difference that is read.
#[derive(Debug, Clone)]
pub struct DiffScreen {
    /// What it is of.
    pub about: DiffAbout,
    /// What came.
    pub files: Asked<Vec<Arc<Comparison>>>,
    /// The same in rows.
    pub sheet: Arc<Sheet>,
    /// What is seen of the rows.
    pub scroll: Cursor,
    /// How many columns of code are left out to the left.
    pub skip: usize,
}

impl DiffScreen {
    /// One that waits for its contents.
    pub fn asking(about: DiffAbout) -> Self {
        let files = Asked { asking: true, ..Asked::default() };
        Self { about, files, sheet: Arc::default(), scroll: Cursor::default(), skip: 0 }
    }

    /// One of these contents.
    pub fn of(about: DiffAbout, files: Vec<Arc<Comparison>>) -> Self {
        let mut screen = Self::asking(about);
        screen.answered(Ok(Arc::new(files)));
        screen
    }

    /// Takes contents in, and lays them out.
    pub fn answered(&mut self, answer: Result<Arc<Vec<Arc<Comparison>>>, Notice>) {
        self.files.answered(answer);
        let files = self.files.got.as_deref().cloned().unwrap_or_default();
        self.sheet = Arc::new(Sheet::of(files));
    }
}

/// The end of a node's error log, to be read.
#[derive(Debug, Clone)]
pub struct TailScreen {
    /// The node.
    pub node: NodeName,
    /// Its lines, for the present width.
    pub lines: Vec<TextLine>,
    /// What is seen of them.
    pub scroll: Cursor,
}
