//! Arguments of a script: typed lines, never quoted, never interpolated.

/// The arguments of one call, in order. A key is a constant of ours (`[a-z_]+`, lists count up: `file_1`), a value any
/// one line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Args(Vec<(String, String)>);

/// Why a value cannot be an argument.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the argument {key} cannot be sent: {why}")]
pub struct ArgError {
    /// The key of the argument.
    pub key: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl Args {
    /// No arguments.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an argument. A value with a newline or NUL in it is an error, as is a key that is not `[a-z][a-z0-9_]*`.
    pub fn with(mut self, key: &str, value: impl AsRef<str>) -> Result<Self, ArgError> {
        self.push(key, value.as_ref())?;
        Ok(self)
    }

    /// Adds a list: `KEY_1`, `KEY_2`, …, and `KEY_n` with the count.
    pub fn with_list<S: AsRef<str>>(
        mut self,
        key: &str,
        values: impl IntoIterator<Item = S>,
    ) -> Result<Self, ArgError> {
        let mut count = 0_usize;
        for value in values {
            count += 1;
            self.push(&format!("{key}_{count}"), value.as_ref())?;
        }
        self.push(&format!("{key}_n"), &count.to_string())?;
        Ok(self)
    }

    /// The arguments in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The value of a key, the first if there are several.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(k, _)| *k == key).map(|(_, value)| value)
    }

    fn push(&mut self, key: &str, value: &str) -> Result<(), ArgError> {
        let error = |why| Err(ArgError { key: key.to_owned(), why });
        let mut chars = key.chars();
        let first = chars.next().is_some_and(|c| c.is_ascii_lowercase());
        if !first || !chars.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
            return error("its key is not [a-z][a-z0-9_]*");
        }
        if value.contains(['\n', '\0']) {
            return error("it contains a newline or a NUL");
        }
        self.0.push((key.to_owned(), value.to_owned()));
        Ok(())
    }
}
