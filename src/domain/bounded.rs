use html5ever::driver::Parser;
use html5ever::tendril::{StrTendril, TendrilSink as _};
use html5ever::{ParseOpts, QualName, local_name, ns};
use scraper::{Html, HtmlTreeSink};

/// Parsers of the html5ever family take quadratic time in nesting depth (50 kB of nested `<div>`
/// cost ammonia 0.25 s). No article that people wrote comes near this.
const MAX_DEPTH: usize = 200;

/// Formatting elements left open are opened again in every paragraph, so little HTML can make a
/// huge tree: `<p>`, 150 `<font size=…>` and 60,000 `<p>x` in 250 kB would be 9 million nodes.
const MAX_NODES: usize = 150_000;

/// The tree is looked at after each such part, so that no attack gets further than that.
const SLICE: usize = 2048;

/// HTML whose tree would be too deep or too big to work with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HtmlBomb {
    /// How many bytes had been read when it showed.
    pub(crate) offset: usize,
}

/// Parses a document, and stops at once where its tree becomes too deep or too big.
///
/// Depth is measured in the tree and not guessed from the tags: `<div></x>`, `<span><div></span>`
/// and `<div title='></div>'>` all nest, though counting tags says that they do not.
pub(crate) fn bounded_document(text: &str) -> Result<Html, HtmlBomb> {
    parse_within(
        html5ever::parse_document(HtmlTreeSink::new(Html::new_document()), ParseOpts::default()),
        text,
    )
}

/// As [`bounded_document`] for a fragment, in the context in which ammonia parses it.
pub(crate) fn bounded_fragment(text: &str) -> Result<Html, HtmlBomb> {
    let context = QualName::new(None, ns!(html), local_name!("div"));
    let sink = HtmlTreeSink::new(Html::new_fragment());
    parse_within(html5ever::parse_fragment(sink, ParseOpts::default(), context, Vec::new(), false), text)
}

fn parse_within(mut parser: Parser<HtmlTreeSink>, text: &str) -> Result<Html, HtmlBomb> {
    let (mut read, mut seen) = (0, 0);
    while read < text.len() {
        let mut end = text.len().min(read + SLICE);
        while !text.is_char_boundary(end) {
            end += 1;
        }
        parser.process(StrTendril::from(&text[read..end]));
        read = end;
        let html = parser.tokenizer.sink.sink.0.borrow();
        let nodes = html.tree.nodes();
        let count = nodes.len();
        // Every eighth new node will do: a chain grows a level a node.
        let mut fresh = nodes.rev().take(count - seen).step_by(8);
        if count > MAX_NODES || fresh.any(|node| node.ancestors().nth(MAX_DEPTH).is_some()) {
            return Err(HtmlBomb { offset: read });
        }
        seen = count;
    }
    Ok(parser.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn bombs_are_refused_fast() {
        let fonts: String = (0..150).map(|n| format!("<font size={n}>")).collect();
        for bomb in [
            "<div>".repeat(15_000),
            "<div></x>".repeat(15_000),
            "<span><div></span>".repeat(15_000),
            "<div title='></div>'>".repeat(15_000),
            "<svg><script>".to_owned() + &"<g>".repeat(15_000),
            "<table><tr><td>".repeat(15_000),
            "<p>".to_owned() + &fonts + &"<p>x".repeat(60_000),
        ] {
            let from = Instant::now();
            assert!(bounded_document(&bomb).is_err() && bounded_fragment(&bomb).is_err(), "{}", &bomb[..30]);
            // Unoptimised and beside other tests.
            assert!(from.elapsed() < Duration::from_secs(10), "{:?} {}", from.elapsed(), &bomb[..30]);
        }
    }

    #[test]
    fn pages_that_people_write_pass() {
        let page = "<section><div><p>Một <b>hai</b> <a href=x>ba</a></p><ul><li>bốn</ul></div></section>"
            .repeat(5_000);
        assert!(bounded_document(&page).is_ok() && bounded_fragment(&page).is_ok());
    }
}
