//! YAML as a tree in which every key and every value knows its place (seams.md 5, step 1).
//!
//! Owns: what this program takes YAML to be: one document, text keys, each key once, no tags, no merge keys, bounded.
//! Must not know: what any key means.

use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, StrInput};

use super::Place;
use super::mistake::Mistake;

/// A larger file is refused: 5,000 nodes in block style are half a MiB (seams.md 5).
pub(super) const MAX_BYTES: usize = 8 << 20;
/// Keys and values together, aliases counted as often as they are used.
pub(super) const MAX_VALUES: usize = 500_000;
/// Maps and lists inside each other.
pub(super) const MAX_DEPTH: usize = 32;

/// A value with its place. Cloning is cheap.
#[derive(Debug, Clone)]
pub(crate) struct Yaml {
    pub(crate) at: Place,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// Text, and whether it stands without quotes.
    Scalar(Rc<str>, Quotes),
    List(Rc<[Yaml]>),
    Map(Rc<[Entry]>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quotes {
    Bare,
    Quoted,
}

/// A key with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: Rc<str>,
    pub(crate) quotes: Quotes,
    pub(crate) at: Place,
    pub(crate) value: Yaml,
}

impl Yaml {
    /// The entries of a map; of anything else none.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The entry of a map with this key.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| &*entry.key == key)
    }

    /// A map without these keys.
    pub(super) fn without(&self, keys: &[&str]) -> Self {
        let kept = self.entries().iter().filter(|entry| !keys.contains(&&*entry.key)).cloned();
        match &self.kind {
            Kind::Map(_) => Self { at: self.at, kind: Kind::Map(kept.collect()) },
            _ => self.clone(),
        }
    }

    /// A map with each value changed.
    pub(super) fn map_values(&self, change: impl Fn(&Self) -> Self) -> Self {
        let changed = self.entries().iter().map(|entry| Entry { value: change(&entry.value), ..entry.clone() });
        match &self.kind {
            Kind::Map(_) => Self { at: self.at, kind: Kind::Map(changed.collect()) },
            _ => self.clone(),
        }
    }

    /// Whether it is nothing at all: `key:`, `~`, `null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Scalar(text, Quotes::Bare) if matches!(&**text, "" | "~" | "null"))
    }

    /// The value in the terms of the typed decoder. Without quotes `true`, `false`, nothing and integers without a
    /// leading zero are what they look like; all else is text, so that `no`, `on` and `1.10` stay what was written.
    /// Keys in `except` are given as nothing: they are entries of their own.
    pub(super) fn value(&self, except: &[&str]) -> serde_yaml::Value {
        use serde_yaml::Value;
        match &self.kind {
            Kind::Scalar(text, Quotes::Quoted) => Value::String(text.to_string()),
            Kind::Scalar(text, Quotes::Bare) => bare(text),
            Kind::List(items) => Value::Sequence(items.iter().map(|item| item.value(&[])).collect()),
            Kind::Map(entries) => {
                let pair = |entry: &Entry| {
                    let elsewhere = except.contains(&&*entry.key);
                    let value = if elsewhere { Value::Null } else { entry.value.value(&[]) };
                    (Value::String(entry.key.to_string()), value)
                };
                Value::Mapping(entries.iter().map(pair).collect())
            }
        }
    }
}

fn bare(text: &str) -> serde_yaml::Value {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let integer = !digits.is_empty() && (digits == "0" || !digits.starts_with('0'));
    match text {
        "" | "~" | "null" => serde_yaml::Value::Null,
        "true" => true.into(),
        "false" => false.into(),
        _ if integer && digits.bytes().all(|c| c.is_ascii_digit()) => {
            match (text.parse::<u64>(), text.parse::<i64>()) {
                (Ok(number), _) => number.into(),
                (_, Ok(number)) => number.into(),
                _ => text.into(),
            }
        }
        _ => text.into(),
    }
}

/// Whether other readers of YAML take the unquoted text for a number: `2.0`, `1e3`, `0x10`, `.5`.
pub(super) fn looks_like_a_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let hexadecimal = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0o"));
    let numeric = digits.bytes().all(|c| matches!(c, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-' | b'_'));
    hexadecimal.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|c| c.is_ascii_hexdigit()))
        || (numeric && digits.replace('_', "").parse::<f64>().is_ok())
}

/// Reads a text; what is wrong is added to `mistakes`. `None` where nothing can be made of it.
pub(crate) fn read(text: &str, mistakes: &mut Vec<Mistake>) -> Option<Yaml> {
    let mut reader = Reader { parser: Parser::new_from_str(text), anchors: HashMap::new(), values: 0, mistakes };
    match reader.document() {
        Ok(yaml) => yaml,
        Err(fatal) => {
            reader.mistakes.push(*fatal);
            None
        }
    }
}

/// Reads every document of a text of somebody else's: what an inventory must not have is passed over.
pub(super) fn documents(text: &str) -> Result<Vec<Yaml>, Box<Mistake>> {
    let mut passed_over = Vec::new();
    let parser = Parser::new_from_str(text);
    let mut reader = Reader { parser, anchors: HashMap::new(), values: 0, mistakes: &mut passed_over };
    let mut all = Vec::new();
    loop {
        match reader.next()?.0 {
            Event::StreamEnd => return Ok(all),
            Event::DocumentStart(_) => {
                let (event, span) = reader.next()?;
                all.push(reader.node(event, span, 0)?.0);
            }
            _ => {}
        }
    }
}

struct Reader<'a, 'm> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Anchor>,
    values: usize,
    mistakes: &'m mut Vec<Mistake>,
}

struct Anchor {
    yaml: Yaml,
    values: usize,
    depth: usize,
}

/// A mistake after which nothing more can be read.
type Fatal = Box<Mistake>;

impl<'a> Reader<'a, '_> {
    fn document(&mut self) -> Result<Option<Yaml>, Fatal> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::DocumentStart(_) if root.is_some() => {
                    let more = Mistake::new(place(span), "a second document begins here");
                    self.mistakes.push(more.instead("keep one inventory per file, without a further `---`"));
                    return Ok(root);
                }
                Event::DocumentStart(_) => {
                    let (event, span) = self.next()?;
                    root = Some(self.node(event, span, 0)?.0);
                }
                _ => {}
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, Span), Fatal> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let at = place(Span::empty(*error.marker()));
                if error.info().contains("recursion limit") {
                    return Err(too_deep(at));
                }
                let mistake = Mistake::new(at, format!("this is not YAML: {}", error.info()));
                Err(Box::new(mistake.instead("look at the indentation, the quotes and the brackets around this place")))
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    /// The value that begins with this event, and how deep it is.
    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<(Yaml, usize), Fatal> {
        let at = place(span);
        let before = self.count(at)?;
        let (anchor, tag) = match &event {
            Event::Scalar(_, _, anchor, tag) | Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => {
                (*anchor, tag.is_some())
            }
            _ => (0, false),
        };
        if tag {
            let mistake = Mistake::new(at, "a tag (`!…`) has no meaning here");
            self.mistakes.push(mistake.instead("leave the tag out; to keep a value as text, quote it"));
        }
        let (kind, depth_below) = match event {
            Event::Alias(id) => return self.alias(id, at, depth),
            Event::SequenceStart(..) => self.list(at, depth)?,
            Event::MappingStart(..) => self.map(at, depth)?,
            Event::Scalar(text, style, ..) => (Kind::Scalar(text.into(), quotes(style)), 0),
            _ => (Kind::Scalar("".into(), Quotes::Bare), 0),
        };
        let yaml = Yaml { at, kind };
        if anchor != 0 {
            self.anchors
                .insert(anchor, Anchor { yaml: yaml.clone(), values: self.values - before, depth: depth_below });
        }
        Ok((yaml, depth_below))
    }

    fn count(&mut self, at: Place) -> Result<usize, Fatal> {
        self.add(1, at)?;
        Ok(self.values)
    }

    fn add(&mut self, values: usize, at: Place) -> Result<(), Fatal> {
        self.values = self.values.saturating_add(values);
        if self.values <= MAX_VALUES {
            return Ok(());
        }
        let mistake = Mistake::new(at, format!("more than {MAX_VALUES} keys and values up to here"));
        Err(Box::new(mistake.instead("write nodes as ranges, and what they share under `defaults:`")))
    }

    fn deeper(at: Place, depth: usize) -> Result<(), Fatal> {
        if depth <= MAX_DEPTH {
            return Ok(());
        }
        Err(too_deep(at))
    }

    fn alias(&mut self, id: usize, at: Place, depth: usize) -> Result<(Yaml, usize), Fatal> {
        let Some(anchor) = self.anchors.get(&id) else {
            let mistake = Mistake::new(at, "this alias stands inside the value that it refers to");
            return Err(Box::new(mistake.instead("write the value out")));
        };
        let (yaml, values, below) = (anchor.yaml.clone(), anchor.values, anchor.depth);
        self.add(values, at)?;
        Self::deeper(at, depth + below)?;
        Ok((Yaml { at, ..yaml }, below))
    }

    fn list(&mut self, at: Place, depth: usize) -> Result<(Kind, usize), Fatal> {
        Self::deeper(at, depth + 1)?;
        let (mut items, mut deepest) = (Vec::new(), 0);
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok((Kind::List(items.into()), deepest + 1));
            }
            let (item, below) = self.node(event, span, depth + 1)?;
            deepest = deepest.max(below);
            items.push(item);
        }
    }

    fn map(&mut self, at: Place, depth: usize) -> Result<(Kind, usize), Fatal> {
        Self::deeper(at, depth + 1)?;
        let mut entries: Vec<Entry> = Vec::new();
        let mut first: HashMap<Rc<str>, Place> = HashMap::new();
        let mut deepest = 0;
        loop {
            let (event, span) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                return Ok((Kind::Map(entries.into()), deepest + 1));
            }
            let (key, below_key) = self.node(event, span, depth + 1)?;
            let (event, span) = self.next()?;
            let (value, below) = self.node(event, span, depth + 1)?;
            deepest = deepest.max(below).max(below_key);
            entries.extend(self.entry(key, value, &mut first));
        }
    }

    fn entry(&mut self, key: Yaml, value: Yaml, first: &mut HashMap<Rc<str>, Place>) -> Option<Entry> {
        let at = key.at;
        let Kind::Scalar(text, quotes) = key.kind else {
            let mistake = Mistake::new(at, "a key must be a text, this one is a map or a list");
            self.mistakes.push(mistake.instead("quote a key that has brackets in it, as in \"eu-[1-40]\": {}"));
            return None;
        };
        if &*text == "<<" && quotes == Quotes::Bare {
            let mistake = Mistake::new(at, "merge keys (`<<`) are not read");
            self.mistakes
                .push(mistake.instead("write what many entries share under `defaults:`, or under their cluster"));
            return None;
        }
        if let Some(place) = first.get(&text) {
            let mistake = Mistake::new(at, format!("`{text}` is given twice")).also(*place, "first given here");
            self.mistakes.push(mistake.instead("keep one of the two"));
            return None;
        }
        first.insert(Rc::clone(&text), at);
        Some(Entry { key: text, quotes, at, value })
    }
}

fn too_deep(at: Place) -> Fatal {
    let mistake = Mistake::new(at, format!("maps and lists inside each other, more than {MAX_DEPTH} deep"));
    Box::new(mistake.instead("an inventory needs six levels; look for a bracket that is not closed"))
}

fn quotes(style: ScalarStyle) -> Quotes {
    if style == ScalarStyle::Plain { Quotes::Bare } else { Quotes::Quoted }
}

fn place(span: Span) -> Place {
    let one_line = |start: &Marker, end: &Marker| start.line() == end.line();
    let width = if one_line(&span.start, &span.end) { span.len().max(1) } else { 1 };
    Place { line: span.start.line().max(1), column: span.start.col() + 1, width }
}
