//! Lua source as words, without running it: enough to see what is assigned and what is required.

/// One word of Lua source. Comments and blanks are gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) line: u32,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// A name or a keyword.
    Name(String),
    /// A string; `None` if it has an escape, which is not worked out.
    Text(Option<String>),
    /// A number, as it is written.
    Number(String),
    /// One character of anything else.
    Sign(u8),
    /// `..`
    Concat,
}

impl Kind {
    fn is_name(&self, name: &str) -> bool {
        matches!(self, Self::Name(own) if own == name)
    }
}

/// What a source says about a field of its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    /// The word does not occur, not even in a comment.
    Absent,
    /// One literal text, always the same.
    Text { value: String, line: u32 },
    /// One literal number, always the same.
    Number { value: String, line: u32 },
    /// Something else: computed, or assigned more than once.
    Unclear,
}

/// A module that is required by a literal name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Require {
    pub(super) module: String,
    pub(super) line: u32,
    /// Inside the parentheses of a `pcall`: the author reckons with its absence.
    pub(super) guarded: bool,
}

/// What a source says about `NAME = …`, `table.NAME = …` or `["NAME"] = …`.
pub(super) fn field(source: &[u8], name: &str) -> Field {
    if !mentions(source, name) {
        return Field::Absent;
    }
    let tokens = tokens(source);
    let mut found: Option<Field> = None;
    for at in assignments(&tokens, name) {
        let value = literal(&tokens[at..]);
        match (&found, value) {
            (None, value) => found = Some(value),
            (Some(Field::Text { value: old, .. }), Field::Text { value, .. })
            | (Some(Field::Number { value: old, .. }), Field::Number { value, .. })
                if *old == value => {}
            _ => return Field::Unclear,
        }
    }
    found.unwrap_or(Field::Unclear)
}

/// Whether the word occurs anywhere in the bytes.
pub(super) fn mentions(source: &[u8], word: &str) -> bool {
    source.windows(word.len()).any(|window| window == word.as_bytes())
}

/// The positions right behind `NAME =`.
fn assignments(tokens: &[Token], name: &str) -> Vec<usize> {
    let sign = |at: usize, wanted: u8| tokens.get(at).is_some_and(|token| token.kind == Kind::Sign(wanted));
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let equals = match &token.kind {
            Kind::Name(own) if own == name => at + 1,
            Kind::Text(Some(own)) if own == name && sign(at + 1, b']') => at + 2,
            _ => continue,
        };
        if sign(equals, b'=') && !sign(equals + 1, b'=') {
            found.push(equals + 1);
        }
    }
    found
}

/// The literal at the head of these words, if the expression ends with it.
fn literal(tokens: &[Token]) -> Field {
    let (negative, rest) = match tokens.first().map(|token| &token.kind) {
        Some(Kind::Sign(b'-')) => (true, &tokens[1..]),
        _ => (false, tokens),
    };
    let continues = rest.get(1).is_some_and(|next| match &next.kind {
        Kind::Concat | Kind::Text(_) => true,
        Kind::Sign(sign) => b"+-*/%^<>=~:.([".contains(sign),
        Kind::Name(name) => name == "and" || name == "or",
        Kind::Number(_) => false,
    });
    match rest.first() {
        Some(Token { line, kind: Kind::Text(Some(value)) }) if !continues && !negative => {
            Field::Text { value: value.clone(), line: *line }
        }
        Some(Token { line, kind: Kind::Number(value) }) if !continues => {
            Field::Number { value: if negative { format!("-{value}") } else { value.clone() }, line: *line }
        }
        _ => Field::Unclear,
    }
}

/// Every `require "literal"` and `require("literal")`.
pub(super) fn requires(source: &[u8]) -> Vec<Require> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    // For every open parenthesis, whether a `pcall` opened it or one around it.
    let mut guards: Vec<bool> = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        match &token.kind {
            Kind::Sign(b'(') => {
                let called = at.checked_sub(1).map(|before| &tokens[before].kind);
                let guard = called.is_some_and(|kind| kind.is_name("pcall") || kind.is_name("xpcall"));
                guards.push(guard || guards.last().is_some_and(|outer| *outer));
            }
            Kind::Sign(b')') => {
                guards.pop();
            }
            Kind::Name(name) if name == "require" => {
                if let Some(module) = required(&tokens[at + 1..]) {
                    let guarded = guards.last().is_some_and(|guard| *guard);
                    found.push(Require { module, line: token.line, guarded });
                }
            }
            _ => {}
        }
    }
    found
}

fn required(rest: &[Token]) -> Option<String> {
    let kind = |at: usize| rest.get(at).map(|token| &token.kind);
    match (kind(0)?, kind(1), kind(2)) {
        (Kind::Text(module), ..) | (Kind::Sign(b'('), Some(Kind::Text(module)), Some(Kind::Sign(b')'))) => {
            module.clone()
        }
        _ => None,
    }
}

/// Whether the table that the source returns is written out in it, so that a field that is not named is not there:
/// `return {…}`, or `local X = {…}` and `return X`, with no metatable and no computed key.
pub(super) fn returns_plain_table(source: &[u8]) -> bool {
    let tokens = tokens(source);
    let kinds: Vec<&Kind> = tokens.iter().map(|token| &token.kind).collect();
    let odd = kinds.windows(2).any(|pair| matches!(pair, [Kind::Sign(b']'), Kind::Sign(b'=')]))
        || kinds
            .iter()
            .any(|kind| ["setmetatable", "rawset", "loadstring", "setfenv"].iter().any(|name| kind.is_name(name)));
    let Some(last) = kinds.iter().rposition(|kind| kind.is_name("return")) else { return false };
    match kinds.get(last + 1) {
        _ if odd => false,
        Some(Kind::Sign(b'{')) => true,
        Some(Kind::Name(table)) if kinds.len() <= last + 3 => kinds
            .windows(3)
            .any(|three| matches!(three, [Kind::Name(own), Kind::Sign(b'='), Kind::Sign(b'{')] if own == table)),
        _ => false,
    }
}

/// Where the source as a whole returns: the place of its only `return` that is in no function, and in no other block.
fn last_return(tokens: &[Token]) -> Option<usize> {
    // For each block that is open, whether it is a function's.
    let mut blocks: Vec<bool> = Vec::new();
    let mut found = None;
    for (at, token) in tokens.iter().enumerate() {
        let Kind::Name(word) = &token.kind else { continue };
        match word.as_str() {
            "function" => blocks.push(true),
            "do" | "if" | "repeat" => blocks.push(false),
            "end" | "until" => drop(blocks.pop()?),
            "return" if blocks.contains(&true) => {}
            "return" if found.is_some() || !blocks.is_empty() => return None,
            "return" => found = Some(at),
            _ => {}
        }
    }
    found.filter(|_| blocks.is_empty())
}

/// The line in which the source returns a function and nothing else, whatever is run.
pub(super) fn returned_function(source: &[u8]) -> Option<u32> {
    let tokens = tokens(source);
    let at = last_return(&tokens)?;
    let first = tokens.get(at + 1).filter(|token| token.kind.is_name("function"))?;
    let ends = tokens.iter().rev().find(|token| token.kind != Kind::Sign(b';'))?;
    // Behind the whole function nothing but the end of the source: `return function() end, x` ends otherwise.
    let mut open = 0_usize;
    let closes = tokens[at + 1..].iter().position(|token| {
        match &token.kind {
            Kind::Name(word) if ["function", "do", "if", "repeat"].contains(&word.as_str()) => open += 1,
            Kind::Name(word) if word == "end" || word == "until" => open = open.saturating_sub(1),
            _ => {}
        }
        open == 0
    })?;
    std::ptr::eq(&raw const tokens[at + 1 + closes], ends).then_some(first.line)
}

/// Whether the source has no `return` at all, and none of the ways round it by which a module can still have a value.
pub(super) fn returns_nothing(source: &[u8]) -> bool {
    !tokens(source).iter().any(|token| ["return", "package", "module"].iter().any(|word| token.kind.is_name(word)))
}

/// The literal `name` of the table that the source returns, where that table is written out in it and nothing else sets the
/// field: `return { name = "x", … }`, or `local S = { name = "x", … }` and `return S`.
pub(super) fn table_name(source: &[u8]) -> Option<String> {
    let tokens = tokens(source);
    let at = last_return(&tokens)? + 1;
    let sign = |at: usize, wanted: u8| tokens.get(at).is_some_and(|token| token.kind == Kind::Sign(wanted));
    let open = match &tokens.get(at)?.kind {
        Kind::Sign(b'{') => at,
        Kind::Name(table) if tokens.len() <= at + 2 => {
            let mut named = (0..at).filter(|place| tokens[*place].kind.is_name(table));
            // Named once more, it could be changed there.
            let only = named.next().filter(|_| named.next().is_none())?;
            (sign(only + 1, b'=') && sign(only + 2, b'{')).then_some(only + 2)?
        }
        _ => return None,
    };
    let mut depth = 0_usize;
    let mut found = None;
    for at in open..tokens.len() {
        match &tokens[at].kind {
            Kind::Sign(b'{' | b'(' | b'[') => depth += 1,
            Kind::Sign(b'}' | b')' | b']') => depth -= 1,
            // A function that stands in the table has names of its own.
            Kind::Name(word) if word == "function" => return None,
            Kind::Name(word) if word == "name" && depth == 1 && sign(at + 1, b'=') => {
                match literal(&tokens[at + 2..]) {
                    Field::Text { value, .. } if found.is_none() => found = Some(value),
                    _ => return None,
                }
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    found
}

/// Splits Lua source into words. Never fails: what is not Lua comes out as signs.
pub(super) fn tokens(source: &[u8]) -> Vec<Token> {
    let mut lexer = Lexer { source, at: 0, line: 1 };
    // LuaJIT skips a byte order mark and a first line that begins with `#`.
    if source.starts_with(b"\xef\xbb\xbf") {
        lexer.at = 3;
    }
    if lexer.peek(0) == Some(b'#') {
        lexer.skip_while(|byte| byte != b'\n');
    }
    std::iter::from_fn(|| lexer.token()).collect()
}

struct Lexer<'a> {
    source: &'a [u8],
    at: usize,
    line: u32,
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.source.get(self.at + ahead).copied()
    }

    fn bump(&mut self) {
        if self.peek(0) == Some(b'\n') {
            self.line += 1;
        }
        self.at += 1;
    }

    fn skip_while(&mut self, wanted: impl Fn(u8) -> bool) {
        while self.peek(0).is_some_and(&wanted) {
            self.bump();
        }
    }

    fn slice(&self, from: usize) -> String {
        String::from_utf8_lossy(&self.source[from..self.at.min(self.source.len())]).into_owned()
    }

    fn token(&mut self) -> Option<Token> {
        self.skip_blanks_and_comments();
        let line = self.line;
        let kind = match self.peek(0)? {
            b'"' | b'\'' => self.quoted(),
            b'[' if self.long_level(0).is_some() => Kind::Text(Some(self.long())),
            b'0'..=b'9' => self.number(),
            b'.' if self.peek(1).is_some_and(|byte| byte.is_ascii_digit()) => self.number(),
            b'.' if self.peek(1) == Some(b'.') => {
                self.skip_while(|byte| byte == b'.');
                Kind::Concat
            }
            byte if is_name(byte) => {
                let from = self.at;
                self.skip_while(is_name);
                Kind::Name(self.slice(from))
            }
            byte => {
                self.bump();
                Kind::Sign(byte)
            }
        };
        Some(Token { line, kind })
    }

    fn skip_blanks_and_comments(&mut self) {
        loop {
            self.skip_while(|byte| byte.is_ascii_whitespace() || byte == 0x0b);
            if self.peek(0) != Some(b'-') || self.peek(1) != Some(b'-') {
                return;
            }
            self.at += 2;
            if self.long_level(0).is_some() {
                self.long();
            } else {
                self.skip_while(|byte| byte != b'\n');
            }
        }
    }

    fn number(&mut self) -> Kind {
        let from = self.at;
        while let Some(byte) = self.peek(0) {
            let exponent =
                matches!(byte, b'+' | b'-') && matches!(self.source[self.at - 1], b'e' | b'E') && self.at > from;
            let hex = self.source[from..].starts_with(b"0x") || self.source[from..].starts_with(b"0X");
            if !(is_name(byte) || byte == b'.' || (exponent && !hex)) {
                break;
            }
            self.bump();
        }
        Kind::Number(self.slice(from))
    }

    fn quoted(&mut self) -> Kind {
        let quote = self.peek(0);
        self.bump();
        let from = self.at;
        let mut escaped = false;
        while let Some(byte) = self.peek(0) {
            if Some(byte) == quote || byte == b'\n' {
                break;
            }
            if byte == b'\\' {
                escaped = true;
                self.bump();
            }
            self.bump();
        }
        let text = self.slice(from);
        self.bump();
        Kind::Text((!escaped).then_some(text))
    }

    /// The number of `=` in a `[==[` at this distance, if there is one.
    fn long_level(&self, ahead: usize) -> Option<usize> {
        let rest = self.source.get(self.at + ahead..)?.strip_prefix(b"[")?;
        let level = rest.iter().take_while(|byte| **byte == b'=').count();
        (rest.get(level) == Some(&b'[')).then_some(level)
    }

    fn long(&mut self) -> String {
        let level = self.long_level(0).unwrap_or(0);
        for _ in 0..level + 2 {
            self.bump();
        }
        let from = self.at;
        let close: Vec<u8> = [b"]".as_slice(), &b"=".repeat(level), b"]"].concat();
        while self.at < self.source.len() && !self.source[self.at..].starts_with(&close) {
            self.bump();
        }
        let text = self.slice(from);
        self.at += close.len();
        text
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str, line: u32) -> Field {
        Field::Text { value: value.to_owned(), line }
    }

    #[test]
    fn literal_fields_are_read_off_without_running() {
        for (source, expected) in [
            ("return { VERSION = \"1.2.3\", PRIORITY = 10 }", text("1.2.3", 1)),
            ("local H = {}\nH.VERSION = '1.0'\nreturn H", text("1.0", 2)),
            ("return { [\"VERSION\"] = [[2.0.0]] }", text("2.0.0", 1)),
            ("H.VERSION = '1.0' H.VERSION = '1.0'", text("1.0", 1)),
            ("H.VERSION = '1.0' H.VERSION = '1.1'", Field::Unclear),
            ("return { VERSION = meta.version }", Field::Unclear),
            ("return { VERSION = '1.' .. minor }", Field::Unclear),
            ("-- VERSION = '1.0'", Field::Unclear),
            ("if H.VERSION == '1.0' then end", Field::Unclear),
            ("return { VERSION = \"1\\0460\" }", Field::Unclear),
            ("return {}", Field::Absent),
            ("H.VERSION = 1.0", Field::Number { value: "1.0".to_owned(), line: 1 }),
        ] {
            assert_eq!(field(source.as_bytes(), "VERSION"), expected, "{source}");
        }
    }

    #[test]
    fn negative_and_computed_priorities_are_told_apart() {
        let number = |value: &str| Field::Number { value: value.to_owned(), line: 1 };
        assert_eq!(field(b"H.PRIORITY = -5\nreturn H", "PRIORITY"), number("-5"));
        assert_eq!(field(b"H.PRIORITY = 1e3 return H", "PRIORITY"), number("1e3"));
        assert_eq!(field(b"H.PRIORITY = 1000 - 5", "PRIORITY"), Field::Unclear);
    }

    #[test]
    fn requires_are_found_in_code_only_and_pcall_makes_them_optional() {
        let source = b"local a = require \"x.a\" -- require 'no'\n\
            local b = require('x.b')\n\
            local s = \"require 'no'\"\n\
            local ok, c = pcall(require, 'no')\n\
            local ok2 = pcall(function() return require('x.c') end)\n\
            local d = require('x.' .. name)\n--[[ require 'no'\n]] local e = require [[x.e]]\n";
        let found: Vec<_> = requires(source).into_iter().map(|r| (r.module, r.line, r.guarded)).collect();
        let expected = [("x.a", 1, false), ("x.b", 2, false), ("x.c", 5, true), ("x.e", 8, false)];
        assert_eq!(found, expected.map(|(module, line, guarded)| (module.to_owned(), line, guarded)));
    }

    #[test]
    fn only_a_table_that_is_written_out_is_plain() {
        for plain in
            ["return {}", "local H = { a = 1 }\nfunction H:access() return 1 end\nreturn H", "H = {} return H;"]
        {
            assert!(returns_plain_table(plain.as_bytes()), "{plain}");
        }
        for not in [
            "return require 'x'",
            "local H = Base:extend()\nreturn H",
            "local H = {} setmetatable(H, x) return H",
            "local H = {} for k, v in pairs(x) do H[k] = v end return H",
            "return make({})",
            "",
        ] {
            assert!(!returns_plain_table(not.as_bytes()), "{not}");
        }
    }

    #[test]
    fn a_function_is_only_what_is_returned_in_any_case() {
        for (source, line) in [
            ("return function(conf) if conf then return 1 end end", Some(1)),
            (
                "local x = 1\nlocal function f() return {} end\nreturn function()\n  repeat local y until true\nend;",
                Some(3),
            ),
            ("if x then return {} end return function() end", None),
            ("return function() end, 1", None),
            ("return (function() return {} end)()", None),
            ("return { access = function() end }", None),
            ("local f = function() end return f", None),
            ("return setmetatable({}, {}) -- function", None),
            ("return function(", None),
            ("end return function() end", None),
            ("", None),
        ] {
            assert_eq!(returned_function(source.as_bytes()), line, "{source}");
        }
    }

    #[test]
    fn a_source_without_return_has_no_value_unless_it_sets_one_otherwise() {
        for (source, nothing) in [
            ("", true),
            ("local H = {}\n-- return H\nfunction H:access() end", true),
            ("return", false),
            ("package.loaded[...] = {}", false),
            ("module(..., package.seeall)", false),
        ] {
            assert_eq!(returns_nothing(source.as_bytes()), nothing, "{source}");
        }
    }

    #[test]
    fn the_name_of_a_schema_is_read_off_its_own_table_only() {
        for (source, name) in [
            ("return { name = \"acme\", fields = { { config = { name = \"no\" } } } }", Some("acme")),
            (
                "local t = require 'x'\nlocal S = {\n  fields = { { name = 'no' } },\n  name = 'acme',\n}\nreturn S",
                Some("acme"),
            ),
            ("local S = { name = 'acme' } S.name = 'b' return S", None),
            ("return { name = PLUGIN }", None),
            ("return { name = 'a' .. 'b' }", None),
            ("return { fields = { { name = 'no' } } }", None),
            ("return make({ name = 'acme' })", None),
            ("return { check = function() local t = { name = 'no' } end, name = 'a' }", None),
            ("return { name = 'a', name = 'b' }", None),
            ("return { name = 'a'", Some("a")),
        ] {
            assert_eq!(table_name(source.as_bytes()).as_deref(), name, "{source}");
        }
    }

    #[test]
    fn words_never_panic_on_cut_off_source() {
        let source = b"local x = [==[ a ]==] .. 'b\\' -- c\nreturn 0x1p-3 --[[";
        for end in 0..=source.len() {
            let _ = tokens(&source[..end]);
            let _ = (table_name(&source[..end]), returned_function(&source[..end]));
        }
    }
}
