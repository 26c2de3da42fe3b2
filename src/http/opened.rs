//! The picture in a letter by which it is counted as opened, where the newsroom wants that.

use super::AppState;
use crate::domain::{EditionId, TokenPurpose};
use axum::extract::{Path, State};
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};

/// One transparent dot.
const DOT: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x01D\0;";

/// `GET /editions/{id}/{token}/opened.gif`: the same answer whatever the token, also after counting was
/// switched off. The proof is looked at before anything else, so a forged one costs no question to the
/// store.
pub async fn picture(
    State(app): State<AppState>,
    method: Method,
    Path((id, token)): Path<(String, String)>,
) -> Response {
    let id = EditionId(id.parse().unwrap_or(0));
    if app.desk.counts_opens
        && method == Method::GET
        && let Some(reader) = app.desk.reader_of_edition(id, &token, TokenPurpose::Opened)
    {
        app.opens.note(id, reader);
    }
    ([(header::CONTENT_TYPE, "image/gif"), (header::CACHE_CONTROL, "no-store")], DOT).into_response()
}
