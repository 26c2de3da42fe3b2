use super::Desk;
use crate::wording::TemplateFault;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

/// A field of a body, or a parameter.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ApiField {
    /// Its name.
    pub name: String,
    /// Its type, and where it stands, in the document's words.
    pub kind: String,
    /// Whether it must be there.
    pub required: bool,
    /// What it means.
    pub about: String,
}

/// One request that the API understands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ApiOperation {
    /// Its name, which links lead to.
    pub id: String,
    /// Its method.
    pub method: String,
    /// Its path.
    pub path: String,
    /// What it does, in a sentence.
    pub summary: String,
    /// What else there is to know.
    pub about: String,
    /// The scope that its token needs.
    pub scope: String,
    /// Its parameters.
    pub parameters: Vec<ApiField>,
    /// The name of what its body is.
    pub body: Option<String>,
    /// Its answers: status, meaning, the name of what the body is.
    pub answers: Vec<(String, String, Option<String>)>,
}

/// Requests about the same thing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ApiSection {
    /// What they are about.
    pub title: String,
    /// What that is.
    pub about: String,
    /// The requests.
    pub operations: Vec<ApiOperation>,
}

/// What a body is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ApiObject {
    /// Its name.
    pub name: String,
    /// What it is.
    pub about: String,
    /// Its fields.
    pub fields: Vec<ApiField>,
}

/// `/api`: what the newsroom's programmers read. The document speaks English, the page around it the
/// visitor's language.
pub fn api(desk: &Desk<'_>, sections: &[ApiSection], objects: &[ApiObject]) -> Result<String, TemplateFault> {
    let content = context! {
        server => desk.publication.url("/api/v1"), sections => Serde(sections), objects => Serde(objects),
    };
    desk.render("page/api.html", content)
}
