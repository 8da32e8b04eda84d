//! Who may do what in the Admin API of an Enterprise node: `Kong-Admin-Token`, permissions on endpoints.
//!
//! As documented, and nothing of it was measured (facts.md C4, [DOC]): 401 without a known token, and in a workspace in which
//! its user has no right at all; 403 where a right is missing. Not there: roles, permissions on entities, sessions, groups.

use serde_json::{Map, Value, json};

use super::http::{Request, Response};
use super::settings::{RbacUser, Right, Settings};

/// The user of a request, or the answer that refuses it. `None` as a user: RBAC is not enforced.
pub(super) fn admitted<'a>(
    settings: &'a Settings,
    request: &Request,
    workspace: &str,
    endpoint: &str,
) -> Result<Option<&'a RbacUser>, Response> {
    if settings.rbac.is_empty() {
        return Ok(None);
    }
    let token = request.header("kong-admin-token").unwrap_or_default();
    let known = settings.rbac.iter().find(|user| !token.is_empty() && user.token == token);
    let member = known.filter(|user| user.rights.iter().any(|right| right.is_in(workspace)));
    let Some(user) = member else { return Err(Response::message(401, "Invalid RBAC credentials")) };
    let action = action(&request.method);
    if user.may(workspace, endpoint, action) {
        return Ok(Some(user));
    }
    let text = format!("{}, you do not have permissions to {action} this resource", user.name);
    Err(Response::message(403, &text))
}

fn action(method: &str) -> &'static str {
    match method {
        "POST" => "create",
        "PUT" | "PATCH" => "update",
        "DELETE" => "delete",
        _ => "read",
    }
}

impl RbacUser {
    fn may(&self, workspace: &str, endpoint: &str, action: &str) -> bool {
        let mut fitting = self
            .rights
            .iter()
            .filter(|right| right.is_in(workspace) && right.is_for(endpoint) && right.has(action))
            .peekable();
        fitting.peek().is_some() && fitting.all(|right| !right.negative)
    }
}

impl Right {
    fn is_in(&self, workspace: &str) -> bool {
        self.workspace == "*" || self.workspace == workspace
    }

    fn is_for(&self, endpoint: &str) -> bool {
        let segments =
            |path: &str| path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        let (ours, asked) = (segments(&self.endpoint), segments(endpoint));
        let fits = || ours.iter().zip(&asked).all(|(ours, asked)| ours == "*" || ours == asked);
        self.endpoint == "*" || (ours.len() == asked.len() && fits())
    }

    fn has(&self, action: &str) -> bool {
        self.actions.iter().any(|known| known == action)
    }
}

/// Answers `/rbac/users`, `/rbac/users/NAME` and `/rbac/users/NAME/permissions`.
pub(super) fn answer(settings: &Settings, parts: &[&str]) -> Response {
    let one = |name: &str| settings.rbac.iter().find(|user| user.name == name);
    match parts {
        ["users"] => {
            let data: Vec<Value> = settings.rbac.iter().map(shown).collect();
            Response::json(200, &json!({ "data": data, "next": null }))
        }
        ["users", name] => one(name).map_or_else(not_found, |user| Response::json(200, &shown(user))),
        ["users", name, "permissions"] => {
            one(name).map_or_else(not_found, |user| Response::json(200, &permissions(user)))
        }
        _ => not_found(),
    }
}

fn not_found() -> Response {
    Response::message(404, "Not found")
}

/// The token is never shown again, only a digest of it.
fn shown(user: &RbacUser) -> Value {
    json!({ "name": user.name, "enabled": true, "user_token": super::lmdb::hash(user.token.as_bytes()) })
}

fn permissions(user: &RbacUser) -> Value {
    let mut workspaces = Map::new();
    for right in &user.rights {
        let endpoints = workspaces.entry(right.workspace.clone()).or_insert_with(|| json!({}));
        endpoints[right.endpoint.as_str()] = json!({ "actions": right.actions, "negative": right.negative });
    }
    json!({ "endpoints": workspaces, "entities": {} })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        let right = |workspace: &str, endpoint: &str, actions: &[&str], negative: bool| Right {
            workspace: workspace.into(),
            endpoint: endpoint.into(),
            actions: actions.iter().map(|action| (*action).to_owned()).collect(),
            negative,
        };
        let all = ["read", "create", "update", "delete"];
        let rights = vec![
            right("*", "*", &["read"], false),
            right("team", "/plugins/*", &all, false),
            right("*", "/rbac/*", &all, true),
        ];
        let only = vec![right("team", "*", &all, false)];
        let users = [("ann", "a", rights), ("bob", "b", only)];
        let rbac = users.map(|(name, token, rights)| RbacUser { name: name.into(), token: token.into(), rights });
        Settings { rbac: rbac.into(), ..Settings::default() }
    }

    fn status(method: &str, token: &str, workspace: &str, endpoint: &str) -> u16 {
        let headers = vec![("kong-admin-token".to_owned(), token.to_owned())];
        let request = Request { method: method.into(), headers, ..Request::default() };
        admitted(&settings(), &request, workspace, endpoint).map_or_else(|response| response.status, |_| 200)
    }

    #[test]
    fn a_token_opens_what_its_user_may_do_and_nothing_else() {
        for (method, token, workspace, endpoint, expected) in [
            ("GET", "a", "default", "/plugins", 200),
            ("DELETE", "a", "default", "/plugins/1", 403),
            ("DELETE", "a", "team", "/plugins/1", 200),
            ("DELETE", "a", "team", "/plugins", 403),
            ("GET", "a", "default", "/rbac/users", 403),
            ("GET", "", "default", "/plugins", 401),
            ("GET", "wrong", "default", "/plugins", 401),
            ("GET", "b", "default", "/plugins", 401),
            ("PATCH", "b", "team", "/services/1", 200),
        ] {
            assert_eq!(
                status(method, token, workspace, endpoint),
                expected,
                "{method} {workspace}{endpoint} as {token:?}"
            );
        }
    }

    #[test]
    fn without_users_nobody_is_asked() {
        assert_eq!(admitted(&Settings::default(), &Request::default(), "default", "/"), Ok(None));
    }

    #[test]
    fn a_refusal_names_the_user_and_the_action() {
        let headers = vec![("kong-admin-token".to_owned(), "a".to_owned())];
        let request = Request { method: "POST".into(), headers, ..Request::default() };
        let refused = admitted(&settings(), &request, "default", "/plugins").unwrap_err();
        assert_eq!(refused, Response::message(403, "ann, you do not have permissions to create this resource"));
    }

    #[test]
    fn permissions_are_told_by_workspace_and_endpoint() {
        let response = answer(&settings(), &["users", "ann", "permissions"]);
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(body["endpoints"]["team"]["/plugins/*"]["actions"].as_array().unwrap().len(), 4);
        assert_eq!(body["endpoints"]["*"]["/rbac/*"]["negative"], true);
        assert_eq!(answer(&settings(), &["users", "eve"]).status, 404);
    }
}
