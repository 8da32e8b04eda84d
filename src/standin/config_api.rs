//! `/config` of the Admin API: the whole configuration of a node without a database (facts.md C8, transcript 07).

use serde_json::{Map, Value, json};

use super::declarative;
use super::http::{self, Request, Response};
use super::lmdb::Stored;
use super::worker::Node;

/// Answers `/config`.
pub(super) fn answer(node: &Node, request: &Request) -> Response {
    if !node.handover.generation.is_dbless() {
        let text = "this endpoint is only available when Kong is configured to not use a database";
        return Response::message(400, text);
    }
    match request.method.as_str() {
        "GET" | "HEAD" => Response::json(200, &json!({ "config": declarative::export(&node.live.store().read()) })),
        "POST" => post(node, request),
        _ => Response::message(405, "Method not allowed"),
    }
}

fn post(node: &Node, request: &Request) -> Response {
    let Some(text) = text_of(request).filter(|text| !text.is_empty()) else {
        return Response::message(400, "expected a declarative configuration");
    };
    let stored = match declarative::parse(&text, |name| node.handover.generation.has(name)) {
        Ok(stored) => stored,
        Err(refused) => return Response::json(400, &refused.answer()),
    };
    let is_checked = request.query("check_hash") == Some("1");
    if is_checked && stored.hash == node.live.store().read().hash {
        return Response { status: 304, ..Response::empty() };
    }
    match node.live.store().write(&stored) {
        Ok(()) => Response::json(201, &entities(&stored)),
        Err(_) => Response::message(500, "An unexpected error occurred"),
    }
}

/// Every row by its id, by table.
fn entities(stored: &Stored) -> Value {
    let by_id = |rows: &Value| -> Value {
        let rows = rows.as_array().into_iter().flatten();
        rows.map(|row| (row["id"].as_str().unwrap_or_default().to_owned(), row.clone())).collect::<Map<_, _>>().into()
    };
    stored.tables.iter().map(|(table, rows)| (table.clone(), by_id(rows))).collect::<Map<_, _>>().into()
}

/// The configuration in a body: the field `config` of a form, of parts or of JSON; else the whole body.
fn text_of(request: &Request) -> Option<String> {
    let body = String::from_utf8_lossy(&request.body).into_owned();
    let kind = request.header("content-type").unwrap_or_default();
    if kind.starts_with("multipart/form-data") {
        let boundary = kind.split("boundary=").nth(1)?.trim_matches('"');
        return part(&body, boundary);
    }
    if kind.starts_with("application/x-www-form-urlencoded") {
        return http::pairs(&body).into_iter().find(|(key, _)| key == "config").map(|(_, text)| text);
    }
    let config = serde_json::from_str::<Value>(&body).ok().and_then(|json| json["config"].as_str().map(str::to_owned));
    config.or(Some(body))
}

/// The part named `config`.
fn part(body: &str, boundary: &str) -> Option<String> {
    body.split(&format!("--{boundary}")).find_map(|part| {
        let (head, text) = part.split_once("\r\n\r\n")?;
        head.contains("name=\"config\"").then(|| text.strip_suffix("\r\n").unwrap_or(text).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: &str, body: &str) -> Request {
        let headers = vec![("content-type".to_owned(), kind.to_owned())];
        Request { headers, body: body.into(), ..Request::default() }
    }

    #[test]
    fn a_configuration_is_found_in_every_kind_of_body() {
        let parts = "--x\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\nno\r\n--x\r\nContent-Disposition: form-data; \
                     name=\"config\"; filename=\"k.yml\"\r\n\r\na: 1\nb: 2\n\r\n--x--\r\n";
        for (kind, body, text) in [
            ("multipart/form-data; boundary=x", parts, "a: 1\nb: 2\n"),
            ("application/x-www-form-urlencoded", "config=a%3A+1", "a: 1"),
            ("application/json", r#"{"config":"a: 1"}"#, "a: 1"),
            ("application/json", r#"{"_format_version":"3.0"}"#, r#"{"_format_version":"3.0"}"#),
            ("text/yaml", "a: 1", "a: 1"),
        ] {
            assert_eq!(text_of(&request(kind, body)).as_deref(), Some(text), "{kind}");
        }
        assert_eq!(text_of(&request("application/x-www-form-urlencoded", "other=1")), None);
    }
}
