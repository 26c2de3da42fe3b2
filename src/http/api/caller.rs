//! Who calls: a program of the newsroom that shows a bearer token (RFC 6750).

use super::problem::ApiProblem;
use crate::domain::{ApiToken, Scope, Scopes, Slug};
use crate::http::AppState;
use crate::http::limiter::{Fetch, Wait};
use crate::http::visitor::Visitor;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// The bearer of a token that is good.
#[derive(Clone, Debug)]
pub struct Caller {
    /// What the newsroom calls the token.
    pub name: Slug,
    /// By what it is known in the store.
    pub handle: String,
    scopes: Scopes,
}

impl Caller {
    /// Refuses what the token was not made for (RFC 6750 §3.1).
    pub fn may(&self, needed: Scope) -> Result<(), ApiProblem> {
        if self.scopes.permit(needed) {
            return Ok(());
        }
        let detail = format!("this token may not: it needs the scope {needed}; `bantin token add` makes one");
        Err(ApiProblem::new(StatusCode::FORBIDDEN, "insufficient-scope", detail).with(
            header::WWW_AUTHENTICATE,
            format!("Bearer realm=\"bantin\", error=\"insufficient_scope\", scope=\"{needed}\""),
        ))
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiProblem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiProblem> {
        parts.extensions.get().cloned().ok_or_else(|| refused(None))
    }
}

/// 401, with or without a reason (§3: who shows no token at all is told none).
fn refused(error: Option<&str>) -> ApiProblem {
    let (code, detail) = match error {
        Some(_) => ("invalid-token", "this token is not known, was revoked, or has run out"),
        None => {
            ("no-token", "show a token, as in `Authorization: Bearer bantin_…`; `bantin token add` makes one")
        }
    };
    let reason = error.map(|error| format!(", error=\"{error}\"")).unwrap_or_default();
    ApiProblem::new(StatusCode::UNAUTHORIZED, code, detail)
        .with(header::WWW_AUTHENTICATE, format!("Bearer realm=\"bantin\"{reason}"))
}

/// Lets in who shows a good token, as often as is allowed. Those who show none are counted together, by
/// their address.
pub async fn admit(
    State(app): State<AppState>,
    visitor: Visitor,
    mut request: Request,
    next: Next,
) -> Response {
    let client = visitor.address(&app.trusted_proxies);
    let shown = shown(&visitor);
    let account = shown.map_or_else(String::new, |token| token.handle());
    let now = app.clock.now();
    if let Err(Wait(seconds)) = app.api_limiter.take(client, &format!("/api/{account}"), Fetch::Blind, now) {
        let detail = format!("too many requests; come again in {seconds} seconds");
        return ApiProblem::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", detail)
            .with(header::RETRY_AFTER, seconds.to_string())
            .into_response();
    }
    let Some(token) = shown else {
        let said = visitor.header("authorization").map(|_| "invalid_token");
        return refused(said).into_response();
    };
    match app.store.token(&token, now).await {
        Ok(Some(entry)) => {
            let method = request.method().clone();
            let caller = Caller { name: entry.name.clone(), handle: entry.handle, scopes: entry.scopes };
            request.extensions_mut().insert(caller);
            let response = next.run(request).await;
            if !method.is_safe() {
                let status = response.status().as_u16();
                tracing::info!(token.name = %entry.name, %method, status, "the API was used");
            }
            response
        }
        Ok(None) => refused(Some("invalid_token")).into_response(),
        Err(error) => ApiProblem::from(error).into_response(),
    }
}

/// The token in the header. One in the address would end in logs (§2.3), so it counts for nothing.
fn shown(visitor: &Visitor) -> Option<ApiToken> {
    let (scheme, token) = visitor.header("authorization")?.split_once(' ')?;
    ApiToken::parse(token.trim()).filter(|_| scheme.eq_ignore_ascii_case("bearer"))
}
