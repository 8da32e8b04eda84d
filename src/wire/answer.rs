//! The answer of a script, decoded as it comes in. What a node says is untrusted: every length is bounded here.

/// One record: a tag and its fields, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The kind of record, `[a-z-]+`.
    pub tag: String,
    /// The fields behind it, raw bytes as the node has them.
    pub fields: Vec<Vec<u8>>,
}

impl Record {
    /// The field as text with every control character replaced by `?` and invalid UTF-8 by U+FFFD: safe to show.
    pub fn text(&self, index: usize) -> Option<String> {
        self.fields.get(index).map(|bytes| clean(bytes))
    }

    /// The field as exact text, if it is UTF-8 without control characters.
    pub fn exact(&self, index: usize) -> Option<&str> {
        let text = std::str::from_utf8(self.fields.get(index)?).ok()?;
        (!text.chars().any(char::is_control)).then_some(text)
    }

    /// The field as a number.
    pub fn number<N: std::str::FromStr>(&self, index: usize) -> Option<N> {
        self.exact(index)?.parse().ok()
    }
}

fn clean(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// What a script says of its own end. The numbers are also its exit status, which only confirms them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// 0: something was changed, as asked.
    Changed,
    /// 10: everything was already so.
    Unchanged,
    /// 20: the node is not as the plan saw it; nothing was touched.
    Moved,
    /// 21: another run holds the node's lease; nothing was touched.
    Locked,
    /// 22: a rule of the script forbids it; nothing was touched.
    Refused,
    /// 23: it was changed, did not hold, and was put back.
    Undone,
    /// 30: it failed; the records say how far it got.
    Failed,
    /// 90: the call was not understood.
    Protocol,
}

impl Status {
    /// The status of a number, if it is one.
    pub fn of(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Changed,
            10 => Self::Unchanged,
            20 => Self::Moved,
            21 => Self::Locked,
            22 => Self::Refused,
            23 => Self::Undone,
            30 => Self::Failed,
            90 => Self::Protocol,
            _ => return None,
        })
    }
}

/// One piece of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A record.
    Record(Record),
    /// A named block of bytes, at most [`Limits::blob`] long.
    Blob {
        /// What the block is.
        name: String,
        /// Its bytes.
        bytes: Vec<u8>,
    },
    /// The trailer: the answer is complete.
    End(Status),
}

/// What makes an answer unusable. The node's own words are not in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// More than [`Limits::noise`] bytes came before the first line of the protocol.
    #[error("{0} bytes came before the answer began; does the login shell print something long?")]
    Noise(usize),
    /// A line is longer than [`Limits::line`].
    #[error("a line of the answer is longer than {0} bytes")]
    Line(usize),
    /// The whole answer is longer than [`Limits::total`].
    #[error("the answer is longer than {0} bytes")]
    Total(usize),
    /// A blob is announced with more than [`Limits::blob`] bytes, or with a length that is no number.
    #[error("a block of the answer has an impossible length")]
    Blob,
    /// A line is not a record.
    #[error("line {0} of the answer is not a record")]
    Malformed(usize),
    /// The first line names another version of the protocol, or the trailer another nonce.
    #[error("the answer is not one to this call")]
    Foreign,
    /// Something came after the trailer.
    #[error("something came after the end of the answer")]
    Trailing,
}

/// Bounds of an answer, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Noise of a login shell before the first line.
    pub noise: usize,
    /// One line.
    pub line: usize,
    /// One blob.
    pub blob: usize,
    /// Everything.
    pub total: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { noise: 256 << 10, line: 64 << 10, blob: 4 << 20, total: 32 << 20 }
    }
}

#[derive(Debug)]
enum State {
    Noise,
    Lines,
    Blob { name: String, missing: usize, bytes: Vec<u8> },
    Ended,
}

/// Decodes an answer piece by piece.
#[derive(Debug)]
pub struct Decoder {
    nonce: String,
    limits: Limits,
    state: State,
    pending: Vec<u8>,
    seen: usize,
    line: usize,
}

impl Decoder {
    /// A decoder for the answer to the call with this nonce.
    pub fn new(nonce: impl Into<String>, limits: Limits) -> Self {
        Self { nonce: nonce.into(), limits, state: State::Noise, pending: Vec::new(), seen: 0, line: 0 }
    }

    /// True once the trailer was seen.
    pub fn ended(&self) -> bool {
        matches!(self.state, State::Ended)
    }

    /// True once the first line of the answer was seen: from here on a script of ours speaks, not a login shell.
    pub fn begun(&self) -> bool {
        !matches!(self.state, State::Noise)
    }

    /// Takes more bytes and gives the items that they complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Item>, WireError> {
        self.seen += bytes.len();
        if self.seen > self.limits.total {
            return Err(WireError::Total(self.limits.total));
        }
        self.pending.extend_from_slice(bytes);
        let mut items = Vec::new();
        while self.step(&mut items)? {}
        Ok(items)
    }

    /// One step; false when more bytes are needed.
    fn step(&mut self, items: &mut Vec<Item>) -> Result<bool, WireError> {
        match &mut self.state {
            State::Blob { missing, bytes, .. } => {
                let take = (*missing).min(self.pending.len());
                bytes.extend(self.pending.drain(..take));
                *missing -= take;
                if *missing > 0 {
                    return Ok(false);
                }
                items.extend(self.finish_blob());
                Ok(true)
            }
            State::Ended if self.pending.is_empty() => Ok(false),
            State::Ended => Err(WireError::Trailing),
            State::Noise | State::Lines => {
                let Some(line) = self.take_line()? else { return Ok(false) };
                items.extend(self.line(&line)?);
                Ok(true)
            }
        }
    }

    fn finish_blob(&mut self) -> Option<Item> {
        match std::mem::replace(&mut self.state, State::Lines) {
            State::Blob { name, bytes, .. } => Some(Item::Blob { name, bytes }),
            other => {
                self.state = other;
                None
            }
        }
    }

    fn take_line(&mut self) -> Result<Option<Vec<u8>>, WireError> {
        let noise = matches!(self.state, State::Noise);
        match self.pending.iter().position(|byte| *byte == b'\n') {
            Some(at) if noise || at <= self.limits.line => {
                let mut line: Vec<u8> = self.pending.drain(..=at).collect();
                line.pop();
                if noise {
                    self.check_noise()?;
                }
                Ok(Some(line))
            }
            None if noise => self.check_noise().map(|()| None),
            None if self.pending.len() <= self.limits.line => Ok(None),
            _ => Err(WireError::Line(self.limits.line)),
        }
    }

    fn check_noise(&self) -> Result<(), WireError> {
        let noise = self.seen.saturating_sub(self.pending.len()).max(self.pending.len());
        if noise > self.limits.noise { Err(WireError::Noise(noise)) } else { Ok(()) }
    }

    fn line(&mut self, line: &[u8]) -> Result<Option<Item>, WireError> {
        if matches!(self.state, State::Noise) {
            // A shell may print its noise without a newline, so the greeting is looked for at the end of the line.
            if line.ends_with(format!("muster {} {}", super::PROTOCOL, self.nonce).as_bytes()) {
                self.state = State::Lines;
            }
            return Ok(None);
        }
        self.line += 1;
        let text = std::str::from_utf8(line).map_err(|_| WireError::Malformed(self.line))?;
        let mut words = text.split(' ');
        let tag = words.next().unwrap_or_default();
        if tag.is_empty() || !tag.chars().all(|c| c.is_ascii_lowercase() || c == '-') {
            return Err(WireError::Malformed(self.line));
        }
        match tag {
            "end" => self.end(words.next(), words.next()).map(Some),
            "blob" => self.begin_blob(words.next(), words.next()),
            _ => {
                let fields: Option<Vec<_>> = words.map(super::unescape).collect();
                let fields = fields.ok_or(WireError::Malformed(self.line))?;
                Ok(Some(Item::Record(Record { tag: tag.to_owned(), fields })))
            }
        }
    }

    fn begin_blob(&mut self, name: Option<&str>, length: Option<&str>) -> Result<Option<Item>, WireError> {
        let missing: usize = length.and_then(|l| l.parse().ok()).ok_or(WireError::Blob)?;
        let name = name.ok_or(WireError::Blob)?.to_owned();
        if missing > self.limits.blob {
            return Err(WireError::Blob);
        }
        if missing == 0 {
            return Ok(Some(Item::Blob { name, bytes: Vec::new() }));
        }
        self.state = State::Blob { name, missing, bytes: Vec::with_capacity(missing.min(64 << 10)) };
        Ok(None)
    }

    fn end(&mut self, nonce: Option<&str>, status: Option<&str>) -> Result<Item, WireError> {
        if nonce != Some(self.nonce.as_str()) {
            return Err(WireError::Foreign);
        }
        let status = status.and_then(|s| s.parse().ok()).and_then(Status::of);
        self.state = State::Ended;
        status.map(Item::End).ok_or(WireError::Malformed(self.line))
    }
}
