//! What a user may know about themselves (contract realtime §3.1, `/v1/get-user`).

use serde_json::json;

use super::{Refusal, Request};
use crate::accounts::Accounts;
use crate::principal::Credentials;
use crate::response::Response;
use crate::scope::Scope;

impl Accounts {
    pub(super) async fn get_user(&self, request: &Request<'_>) -> Result<Response, Refusal> {
        // The route is about whose token it is: an address is nobody.
        let shown = Credentials {
            peer: None,
            ..request.credentials
        };
        let principal = self.authenticate(&shown).await?;
        let mut apis = Vec::new();
        for scope in principal.scopes() {
            match scope {
                Scope::Route { methods, path } => {
                    apis.extend(
                        methods
                            .iter()
                            .map(|method| json!({ "path": path, "method": method })),
                    );
                }
                Scope::Admin => apis.push(json!({ "path": "*", "method": "*" })),
                Scope::Stream { .. } => {}
            }
        }
        if principal.scopes().next().is_none() {
            return Err(Refusal::new(500, "User has no allocated permissions!"));
        }
        // Levada serves no on-demand, snapshot or chunk requests: none were made, none are allowed.
        let body = json!({
            "groups": principal.groups(),
            "ondemand_requests_count": 0,
            "ondemand_limit": 0,
            "snapshot_requests_count": 0,
            "snapshot_limit": 0,
            "chunk_requests_count": 0,
            "chunk_limit": 0,
            "username": principal.name(),
            "apis": apis,
            "scopes": principal.scopes().map(Scope::to_string).collect::<Vec<_>>(),
        });
        Ok(Response::private(200, &body))
    }
}
