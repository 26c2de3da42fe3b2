//! `POST /websub`: callbacks are subscribed and unsubscribed (W3C WebSub §5).
//!
//! What is said here depends on the form alone: nothing is looked up or fetched before the answer
//! (H2), so it tells nothing of what lies inside the network. What comes of a request is said to the
//! callback.

use super::limiter::{Fetch, refusal};
use super::visitor::Visitor;
use super::{AppState, limiter::Wait};
use crate::domain::{Callback, CallbackSecret, HubMode, TopicPath};
use crate::fetch::is_inside;
use crate::hub;
use crate::store::{Asked, Refused};
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Two addresses of 2,000 bytes, percent-encoded, a secret, and room for what we do not know.
const MAX_FORM: usize = 16 << 10;

/// What is wrong with a form, for whoever wrote the client.
type Fault = (StatusCode, String);

/// A form as it was sent.
struct Form<'f>(&'f [u8]);

impl Form<'_> {
    /// A field's value. Of a repeated one the last, as in a client that overrides its defaults; what
    /// is unknown is passed over (§5.1).
    fn field(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.0)
            .filter(|(key, _)| key == name)
            .last()
            .map(|(_, value)| value.into_owned())
    }

    fn required(&self, name: &str) -> Result<String, Fault> {
        self.field(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| bad(format!("{name} is missing; send it as a field of the form")))
    }
}

fn bad(words: String) -> Fault {
    (StatusCode::BAD_REQUEST, words)
}

/// `POST /websub`
pub async fn ask(State(app): State<AppState>, visitor: Visitor, body: Bytes) -> Response {
    if !app.hub.enabled {
        return said((StatusCode::NOT_FOUND, "this hub is switched off".to_owned()));
    }
    let client = visitor.address(&app.trusted_proxies);
    if let Err(wait) = app.hub_limiter.take(client, "/websub", Fetch::Blind, app.clock.now()) {
        return refusal(wait);
    }
    let kind = visitor.header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let words = "send a form: Content-Type application/x-www-form-urlencoded";
        return said((StatusCode::UNSUPPORTED_MEDIA_TYPE, words.to_owned()));
    }
    if body.len() > MAX_FORM {
        return said((StatusCode::PAYLOAD_TOO_LARGE, format!("the form is longer than {MAX_FORM} bytes")));
    }
    let form = Form(&body);
    // Other publishers ping their hub; ours finds changes by itself, and looks at once.
    if form.field("hub.mode").as_deref() == Some("publish") {
        app.wake.refresh.notify_one();
        return StatusCode::NO_CONTENT.into_response();
    }
    let asked = match read(&form, &app) {
        Ok(asked) => asked,
        Err(fault) => return said(fault),
    };
    match hub::ask(&app.store, &asked, &app.hub.caps, app.clock.now()).await {
        Ok(Ok(_)) => {
            app.wake.verify.notify_one();
            said((StatusCode::ACCEPTED, "taken; the callback is asked next".to_owned()))
        }
        Ok(Err(Refused::Waiting)) => refusal(Wait(60)),
        Ok(Err(Refused::Host)) => said((
            StatusCode::FORBIDDEN,
            "the callback's host has as many callbacks here as it may".to_owned(),
        )),
        Ok(Err(Refused::Topic)) => {
            said((StatusCode::FORBIDDEN, "the topic has as many callbacks as it may".to_owned()))
        }
        Err(error) => {
            tracing::error!(%error, "hub request not taken");
            let retry = [(header::RETRY_AFTER, HeaderValue::from_static("60"))];
            (StatusCode::SERVICE_UNAVAILABLE, retry, "503: the request cannot be taken now\n").into_response()
        }
    }
}

/// `GET /websub`: somebody followed the link.
pub async fn explain() -> &'static str {
    "This is a WebSub hub (https://www.w3.org/TR/websub/): feed readers subscribe here by POST.\n"
}

fn read(form: &Form<'_>, app: &AppState) -> Result<Asked, Fault> {
    let mode = form.required("hub.mode")?;
    let mode =
        HubMode::parse(&mode).ok_or_else(|| bad("hub.mode must be subscribe or unsubscribe".to_owned()))?;
    let callback =
        Callback::parse(&form.required("hub.callback")?).map_err(|e| bad(format!("hub.callback: {e}")))?;
    if !app.hub.allow_private_callbacks && is_inside(callback.url().as_url()) {
        return Err(bad("hub.callback: the address is no public one".to_owned()));
    }
    let topic = form.required("hub.topic")?;
    let path = TopicPath::parse(&topic, &app.publication.base_url).ok_or_else(|| {
        bad("hub.topic: no topic of this hub; use the address with rel=\"self\" of one of our feeds"
            .to_owned())
    })?;
    let secret = CallbackSecret::parse(&form.field("hub.secret").unwrap_or_default())
        .map_err(|e| bad(e.to_string()))?;
    let lease = match form.field("hub.lease_seconds").filter(|_| mode == HubMode::Subscribe) {
        None => None,
        Some(text) if text.is_empty() => None,
        Some(text) => Some(text.parse::<u64>().map_err(|_| {
            bad("hub.lease_seconds must be a whole number of seconds; leave it out for the usual lease"
                .to_owned())
        })?),
    };
    Ok(Asked { mode, path, callback, secret, lease })
}

fn said((status, words): Fault) -> Response {
    (status, format!("{words}\n")).into_response()
}
