//! The built-in mailbox: what would have been mailed, for whoever sits at this machine.
//!
//! There while mail goes to a folder, and only for requests from the machine itself: letters hold
//! links that unsubscribe and confirm.

use super::AppState;
use super::answer::{Problem, personal, uncached};
use super::visitor::Visitor;
use crate::domain::Instant;
use crate::page::{self, LETTER_POLICY, Letter, LetterHead};
use crate::relay::{Outbox, OutboxEntry};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mail_parser::{MessageParser, MimeHeaders};

/// How many letters the page lists.
const LISTED: usize = 200;

/// Puts the policy of letters on an answer.
pub fn framed(mut response: Response) -> Response {
    let policy = HeaderValue::from_static(LETTER_POLICY);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

fn outbox<'a>(app: &'a AppState, visitor: &Visitor) -> Option<&'a Outbox> {
    app.outbox.as_ref().filter(|_| visitor.is_local())
}

/// `/mailbox`
pub async fn letters(State(app): State<AppState>, visitor: Visitor) -> Response {
    let Some(outbox) = outbox(&app, &visitor) else { return Problem::NotFound.page(&app, &visitor) };
    let entries = match outbox.list().await {
        Ok(entries) => entries,
        Err(error) => return Problem::from(error).page(&app, &visitor),
    };
    let mut heads = Vec::new();
    for entry in entries.iter().take(LISTED) {
        if let Ok(Some(bytes)) = outbox.read(&entry.name).await {
            heads.push(head_of(&app, entry, &bytes));
        }
    }
    personal(&app, &visitor, page::mailbox(&visitor.desk(&app), &heads))
}

fn head_of(app: &AppState, entry: &OutboxEntry, bytes: &[u8]) -> LetterHead {
    let message = MessageParser::default().parse(bytes);
    let address = |list: Option<&mail_parser::Address<'_>>| {
        list.and_then(|l| l.first()).and_then(|a| a.address()).unwrap_or_default().to_owned()
    };
    LetterHead {
        href: format!("{}/mailbox/{}", app.root(), entry.name),
        subject: message.as_ref().and_then(|m| m.subject()).unwrap_or(&entry.name).to_owned(),
        from: address(message.as_ref().and_then(|m| m.from())),
        to: address(message.as_ref().and_then(|m| m.to())),
        date: message
            .as_ref()
            .and_then(|m| m.date())
            .and_then(|date| Instant::from_timestamp(date.to_timestamp(), 0))
            .or(Some(entry.modified)),
    }
}

async fn find(app: &AppState, visitor: &Visitor, name: &str) -> Option<(Vec<u8>, OutboxEntry)> {
    let outbox = outbox(app, visitor)?;
    let entry = outbox.list().await.ok()?.into_iter().find(|entry| entry.name == name)?;
    Some((outbox.read(name).await.ok()??, entry))
}

/// `/mailbox/{name}`; with `?html` the HTML part alone, which the page frames.
pub async fn letter(State(app): State<AppState>, Path(name): Path<String>, visitor: Visitor) -> Response {
    let found = find(&app, &visitor, &name).await;
    let Some((bytes, entry)) = found else { return Problem::NotFound.page(&app, &visitor) };
    let head = head_of(&app, &entry, &bytes);
    let message = MessageParser::default().parse(&bytes);
    let html = message.as_ref().and_then(|m| {
        let is_html = m.html_part(0).is_some_and(|p| p.is_content_type("text", "html"));
        is_html.then(|| m.body_html(0)).flatten()
    });
    if visitor.asks_for("html") {
        let shown = page::letter_frame(html.as_deref().unwrap_or_default());
        return framed(uncached(StatusCode::OK, shown));
    }
    let letter = Letter {
        html_href: html.is_some().then(|| format!("{}?html", head.href)),
        source_href: Some(format!("{}/source", head.href)),
        text: message.as_ref().and_then(|m| m.body_text(0)).map(String::from).unwrap_or_default(),
        head,
    };
    let mailbox = format!("{}/mailbox", app.root());
    personal(&app, &visitor, page::letter(&visitor.desk(&app), &mailbox, &letter))
}

/// `/mailbox/{name}/source`: the bytes as they were handed over.
pub async fn source(State(app): State<AppState>, Path(name): Path<String>, visitor: Visitor) -> Response {
    match find(&app, &visitor, &name).await {
        Some((bytes, _)) => {
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8")),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
            ];
            (headers, bytes).into_response()
        }
        None => Problem::NotFound.page(&app, &visitor),
    }
}
