//! nginx's configuration language, as far as the files of a prefix need it: words, blocks, includes, and which directives
//! there are at all.

use std::fs;
use std::path::{Path, PathBuf};

use super::prefix::plain;

/// One directive with what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) words: Vec<String>,
    pub(super) block: Vec<Self>,
    /// Where it stands: the file and, from 1, the line.
    file: PathBuf,
    line: usize,
}

/// A `server` of the `http` block.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) listens: Vec<String>,
    /// What `return` answers, where it stands there: a server of somebody's own template.
    pub(super) returns: Option<(u16, String)>,
}

/// Directives that nginx or `OpenResty` know, one of which a template or an injected setting may use. Others are an error, as
/// with nginx; it knows more.
const KNOWN: &[&str] = &[
    "access_by_lua_block",
    "access_log",
    "add_header",
    "aio",
    "balancer_by_lua_block",
    "chunked_transfer_encoding",
    "charset",
    "client_body_buffer_size",
    "client_body_temp_path",
    "client_body_timeout",
    "client_header_buffer_size",
    "client_header_timeout",
    "client_max_body_size",
    "content_by_lua_block",
    "daemon",
    "default_type",
    "directio",
    "env",
    "error_log",
    "error_page",
    "events",
    "expires",
    "fastcgi_temp_path",
    "gzip",
    "gzip_types",
    "http",
    "include",
    "init_by_lua_block",
    "init_worker_by_lua_block",
    "keepalive_requests",
    "keepalive_timeout",
    "large_client_header_buffers",
    "limit_conn",
    "limit_req",
    "limit_req_zone",
    "listen",
    "load_module",
    "location",
    "log_format",
    "log_by_lua_block",
    "lua_code_cache",
    "lua_max_pending_timers",
    "lua_max_running_timers",
    "lua_package_cpath",
    "lua_package_path",
    "lua_regex_cache_max_entries",
    "lua_regex_match_limit",
    "lua_shared_dict",
    "lua_socket_log_errors",
    "lua_socket_pool_size",
    "lua_ssl_protocols",
    "lua_ssl_trusted_certificate",
    "lua_ssl_verify_depth",
    "map",
    "multi_accept",
    "pcre_jit",
    "pid",
    "proxy_buffer_size",
    "proxy_buffering",
    "proxy_buffers",
    "proxy_busy_buffers_size",
    "proxy_pass",
    "proxy_read_timeout",
    "proxy_set_header",
    "proxy_ssl_verify",
    "proxy_temp_path",
    "real_ip_header",
    "real_ip_recursive",
    "resolver",
    "resolver_timeout",
    "return",
    "rewrite",
    "rewrite_by_lua_block",
    "root",
    "scgi_temp_path",
    "sendfile",
    "server",
    "server_name",
    "server_names_hash_bucket_size",
    "server_tokens",
    "set",
    "set_real_ip_from",
    "ssl_certificate",
    "ssl_certificate_key",
    "ssl_ciphers",
    "ssl_dhparam",
    "ssl_prefer_server_ciphers",
    "ssl_protocols",
    "ssl_session_cache",
    "ssl_session_tickets",
    "ssl_session_timeout",
    "stream",
    "sub_filter",
    "tcp_nodelay",
    "tcp_nopush",
    "try_files",
    "types",
    "underscores_in_headers",
    "upstream",
    "use",
    "user",
    "uwsgi_temp_path",
    "variables_hash_max_size",
    "worker_connections",
    "worker_processes",
    "worker_rlimit_nofile",
    "worker_shutdown_timeout",
];

/// The file with everything that it includes. The error is nginx's own, behind its `[emerg] `.
pub(super) fn read(prefix: &Path, name: &str) -> Result<Vec<Directive>, String> {
    let path = prefix.join(name);
    let text = fs::read_to_string(&path)
        .map_err(|error| format!("open() \"{}\" failed ({})", path.display(), plain(&error)))?;
    let mut words = Words { file: &path, line: 1, rest: text.chars().peekable() };
    let read = words.directives(0)?;
    included(prefix, read)
}

fn included(prefix: &Path, directives: Vec<Directive>) -> Result<Vec<Directive>, String> {
    let mut all = Vec::new();
    for mut directive in directives {
        if directive.words[0] == "include" {
            // Kong writes empty files beside its own, whose names are given with quotes.
            all.extend(read(prefix, directive.words.get(1).map_or("", String::as_str))?);
        } else {
            directive.block = included(prefix, directive.block)?;
            all.push(directive);
        }
    }
    Ok(all)
}

/// What `nginx -t` finds: a directive that nobody knows. Plugins are not looked at (measured.md 3).
pub(super) fn check(directives: &[Directive]) -> Result<(), String> {
    for directive in directives {
        let name = directive.words[0].as_str();
        if !KNOWN.contains(&name) {
            return Err(format!("unknown directive \"{name}\" in {}:{}", directive.file.display(), directive.line));
        }
        check(&directive.block)?;
    }
    Ok(())
}

/// The words behind the first directive of that name, at this level.
pub(super) fn first<'a>(directives: &'a [Directive], name: &str) -> Option<&'a [String]> {
    directives.iter().find(|directive| directive.words[0] == name).map(|directive| &directive.words[1..])
}

/// The block of that name; empty where there is none.
pub(super) fn block<'a>(directives: &'a [Directive], name: &str) -> &'a [Directive] {
    directives.iter().find(|directive| directive.words[0] == name).map_or(&[], |directive| &directive.block)
}

/// The servers of the `http` block, in their order.
pub(super) fn servers(directives: &[Directive]) -> Vec<Server> {
    let http = block(directives, "http").iter();
    http.filter(|directive| directive.words[0] == "server").map(|directive| server(&directive.block)).collect()
}

fn server(block: &[Directive]) -> Server {
    let mut found = Server::default();
    for directive in block {
        match (directive.words[0].as_str(), directive.words.get(1)) {
            ("server_name", Some(name)) => found.name.clone_from(name),
            ("listen", Some(address)) => found.listens.push(address.clone()),
            ("location", _) => found.returns = first(&directive.block, "return").and_then(returned).or(found.returns),
            _ => {}
        }
    }
    found.returns = first(block, "return").and_then(returned).or(found.returns);
    found
}

fn returned(words: &[String]) -> Option<(u16, String)> {
    let status = words.first()?.parse().ok()?;
    Some((status, words.get(1).cloned().unwrap_or_default()))
}

/// The characters of one file, taken apart.
struct Words<'a> {
    file: &'a Path,
    line: usize,
    rest: std::iter::Peekable<std::str::Chars<'a>>,
}

/// What ends a word.
enum Token {
    Word(String),
    Semicolon,
    Open,
    Close,
}

impl Words<'_> {
    fn next_char(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    fn directives(&mut self, depth: usize) -> Result<Vec<Directive>, String> {
        let (mut all, mut words, mut line) = (Vec::new(), Vec::new(), self.line);
        let place = |line: usize, file: &Path| format!("in {}:{line}", file.display());
        while let Some(token) = self.token()? {
            match token {
                Token::Word(word) => {
                    if words.is_empty() {
                        line = self.line;
                    }
                    words.push(word);
                }
                Token::Semicolon if words.is_empty() => {
                    return Err(format!("unexpected \";\" {}", place(self.line, self.file)));
                }
                Token::Semicolon => {
                    all.push(Directive {
                        words: std::mem::take(&mut words),
                        block: vec![],
                        file: self.file.into(),
                        line,
                    });
                }
                Token::Open if words.is_empty() => {
                    return Err(format!("unexpected \"{{\" {}", place(self.line, self.file)));
                }
                Token::Open => {
                    let words = std::mem::take(&mut words);
                    let block = self.directives(depth + 1)?;
                    all.push(Directive { words, block, file: self.file.into(), line });
                }
                Token::Close if depth > 0 && words.is_empty() => return Ok(all),
                Token::Close => return Err(format!("unexpected \"}}\" {}", place(self.line, self.file))),
            }
        }
        if depth > 0 || !words.is_empty() {
            return Err(format!("unexpected end of file, expecting \";\" or \"}}\" {}", place(self.line, self.file)));
        }
        Ok(all)
    }

    fn token(&mut self) -> Result<Option<Token>, String> {
        loop {
            match self.rest.peek().copied() {
                None => return Ok(None),
                Some(char) if char.is_whitespace() => drop(self.next_char()),
                Some('#') => {
                    while self.rest.peek().is_some_and(|char| *char != '\n') {
                        self.next_char();
                    }
                }
                Some(_) => break,
            }
        }
        Ok(match self.next_char() {
            Some(';') => Some(Token::Semicolon),
            Some('{') => Some(Token::Open),
            Some('}') => Some(Token::Close),
            Some(quote @ ('"' | '\'')) => Some(Token::Word(self.quoted(quote)?)),
            Some(begun) => Some(Token::Word(self.bare(begun))),
            None => None,
        })
    }

    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut word = String::new();
        while let Some(char) = self.next_char() {
            match char {
                '\\' => word.extend(self.next_char()),
                char if char == quote => return Ok(word),
                char => word.push(char),
            }
        }
        Err(format!("unexpected end of file, expecting \"{quote}\" in {}:{}", self.file.display(), self.line))
    }

    fn bare(&mut self, begun: char) -> String {
        let mut word = begun.to_string();
        while self.rest.peek().is_some_and(|char| !char.is_whitespace() && !matches!(char, ';' | '{' | '}')) {
            word.extend(self.next_char());
        }
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<Directive>, String> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("nginx.conf"), text).unwrap();
        fs::write(dir.path().join("more.conf"), "server { listen 127.0.0.1:2; }\n").unwrap();
        read(dir.path(), "nginx.conf")
    }

    #[test]
    fn servers_are_found_behind_comments_quotes_and_includes() {
        let read = parsed(
            "# none\npid a.pid;\nhttp { include 'more.conf';\n server { server_name own; # x;\n listen 127.0.0.1:1;\n \
             location / { return 200 'a \\'b\\' c'; } } }",
        )
        .unwrap();
        let own =
            Server { name: "own".into(), listens: vec!["127.0.0.1:1".into()], returns: Some((200, "a 'b' c".into())) };
        assert_eq!(servers(&read), [Server { listens: vec!["127.0.0.1:2".into()], ..Server::default() }, own]);
        assert_eq!(first(&read, "pid"), Some(&["a.pid".to_owned()][..]));
        assert_eq!(check(&read), Ok(()));
    }

    #[test]
    fn what_nobody_knows_is_said_with_its_place() {
        let found = check(&parsed("events {\n}\nhttp {\n  bogus_directive 1;\n}\n").unwrap()).unwrap_err();
        assert!(
            found.starts_with("unknown directive \"bogus_directive\" in ") && found.ends_with("nginx.conf:4"),
            "{found}"
        );
        for text in ["http {", "http }", "a", ";", "a 'b"] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }
}
