//! Pictures for the sample newsroom: drawn, since it has no photographers.

use axum::Router;
use axum::extract::Path;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

/// Where the sample articles say that their pictures are.
pub const FOREIGN: &str = "https://songhau.example/anh/";
/// Where they are while the demo runs.
pub const OURS: &str = "/demo/pictures/";

/// The route that draws them.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new().route("/demo/pictures/{name}", get(picture))
}

async fn picture(Path(name): Path<String>) -> impl IntoResponse {
    let number = name.trim_end_matches(".svg").parse().unwrap_or(0);
    (
        [(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "public, max-age=86400")],
        draw(number),
    )
}

/// A river landscape: sky, sun, far bank, water, fields; the number chooses hour and lie of the land.
fn draw(number: u32) -> String {
    let pick = |salt: u32, from: u32, to: u32| {
        let mixed =
            number.wrapping_add(salt).wrapping_mul(2_654_435_761).rotate_left(13).wrapping_mul(2_246_822_519);
        from + (mixed >> 8) % (to - from)
    };
    const HOURS: [(&str, &str, &str); 5] = [
        ("#fde7c4", "#f6b26b", "#e06c4f"),
        ("#cfe8f7", "#a7d3ee", "#f7d774"),
        ("#f9d5c7", "#c98ba4", "#f3b562"),
        ("#d8efe3", "#9fcfc4", "#f6e3a1"),
        ("#2b3a55", "#516a8f", "#f2e6c9"),
    ];
    let (high, low, sun) = HOURS[pick(1, 0, 5) as usize];
    let (x, y, bank, river) = (pick(2, 80, 560), pick(3, 50, 150), pick(4, 190, 225), pick(5, 250, 290));
    let palms: String = (0..pick(6, 3, 7))
        .map(|n| {
            let (at, tall) = (pick(10 + n, 20, 620), pick(30 + n, 40, 80));
            let top = bank - tall;
            format!(
                "<path d='M{at} {bank}q6-{half} 2-{tall}' stroke='#4a3b2a' stroke-width='4' fill='none'/>\
                 <path d='M{at} {top}q-26-14-40 6M{at} {top}q26-14 40 6M{at} {top}q-12-26-30-22M{at} {top}q12-26 30-22' \
                 stroke='#2f6b45' stroke-width='5' fill='none' stroke-linecap='round'/>",
                half = tall / 2
            )
        })
        .collect();
    let rows: String = (0..7)
        .map(|n| format!("<path d='M0 {y}q320-{lift} 640 0' stroke='#3c7a3f' stroke-width='{w}' fill='none' opacity='.5'/>",
            y = river + 40 + n * 14, lift = 10 + n * 3, w = 2 + n / 2))
        .collect();
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 640 400' width='640' height='400' role='img'>\
         <defs><linearGradient id='s' x2='0' y2='1'><stop stop-color='{high}'/><stop offset='1' stop-color='{low}'/></linearGradient></defs>\
         <rect width='640' height='400' fill='url(#s)'/><circle cx='{x}' cy='{y}' r='34' fill='{sun}'/>\
         <path d='M0 {bank}q160-26 320-4t320-8V400H0z' fill='#5d8f5a'/>{palms}\
         <path d='M0 {river}q200-30 640-46V{end}q-320 20-640 40z' fill='#8fb9c9' opacity='.9'/>\
         <path d='M0 {field}q320-34 640-6V400H0z' fill='#7fae4f'/>{rows}</svg>",
        end = river + 10,
        field = river + 30,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_draws_a_well_formed_picture_of_its_own() {
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..150 {
            let picture = draw(number);
            let mut reader = quick_xml::Reader::from_str(&picture);
            while !matches!(reader.read_event().unwrap(), quick_xml::events::Event::Eof) {}
            seen.insert(picture);
        }
        assert!(seen.len() > 140, "{}", seen.len());
    }
}
