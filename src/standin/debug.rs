//! `/debug/node/log-level` of the Admin API: a level for the time being (facts.md C7).

use super::http::{Request, Response};
use super::log::Level;
use super::worker::Node;

/// Answers below `/debug`.
pub(super) fn answer(node: &Node, request: &Request, parts: &[&str]) -> Response {
    let generation = &node.handover.generation;
    match (request.method.as_str(), parts) {
        ("GET", ["node", "log-level"]) => {
            let set = Level::numbered(node.shared.level()).unwrap_or_else(|| Level::named(&generation.level));
            Response::message(200, &format!("log level: {}", set.name()))
        }
        ("PUT", ["node", "log-level", _]) if generation.is_dbless() => {
            Response::message(405, "cannot change log level when not using a database")
        }
        ("PUT", ["node", "log-level", name]) => match Level::known(name) {
            None => Response::message(400, &format!("unknown log level: {name}")),
            Some(level) if node.shared.set_level(level.number()).is_ok() => Response::message(200, "log level changed"),
            Some(_) => Response::message(500, "failed storing log level in shm"),
        },
        _ => Response::message(404, "Not found"),
    }
}
