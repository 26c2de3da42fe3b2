//! What filters and mail programs make of our letters.

use crate::mailroom::article;
use crate::world::{World, judged, node, node_modules};
use serde_json::Value;
use std::collections::BTreeSet;

/// What caniemail.com says some mail programs do not know, and why a letter may use it all the same.
const ARGUED: [(&str, &str); 11] = [
    (
        "@media",
        "night colours and narrow screens; without it the letter stays as it is by day, one column wide",
    ),
    ("<style> element", "holds nothing but the two above; what a letter needs stands in style attributes"),
    ("<body> element", "made a div by webmail; colours and font stand on the table within it, too"),
    ("display:none", "hides the lines for the list of mails; where it shows, it is the leads once more"),
    ("overflow", "the same"),
    ("border-radius", "corners of a button are square then"),
    ("overflow-wrap", "breaks an address that is longer than the screen; words of Vietnamese are short"),
    ("word-break", "the same"),
    ("white-space", "keeps a date on one line"),
    (
        "height property",
        "of empty rows, and `auto` of pictures as wide as the letter; without it a gap is a line",
    ),
    ("role attribute", "says that a table is for layout; who does not know it has no screen reader"),
];

const CANIEMAIL: &str = "
    const [modules, file] = process.argv.slice(1);
    import(`${modules}/caniemail/dist/index.js`).then(({ caniemail }) => {
        const html = require('fs').readFileSync(file, 'utf8');
        const clients = ['gmail.*', 'outlook.*', 'apple-mail.*', 'yahoo.*', 'samsung-email.*'];
        const { issues } = caniemail({ clients, html });
        console.log(JSON.stringify([...issues.errors.values()].flat().map(issue => issue.title)));
    });";

/// A newspaper with its own name, and the digests that two readers got of it.
fn mailed() -> World {
    let mut world = World::new();
    world.set("BANTIN_PUBLICATION__BASE_URL", "https://tin.bao.example");
    world.set("BANTIN_MAIL__FROM", "bantin@bao.example");
    for (address, language) in [("mai@doc.example", "vi"), ("may@doc.example", "en")] {
        world.done(&["subscriber", "add", address, "--language", language, "--consent", "phiếu giấy"]);
    }
    world.import(&[
        article("1", "Giá lúa ở Cần Thơ tăng 5% nhờ đơn hàng xuất khẩu mới", "Kinh tế"),
        article("2", "Đêm đờn ca bên sông Maspero đông nghịt người nghe", "Văn hóa"),
        article("3", "Nước mặn xâm nhập sớm hơn mọi năm", "Kinh tế"),
    ]);
    world.done(&["digest", "run", "hang-ngay"]);
    world
}

#[test]
fn spamassassin_holds_a_digest_for_better_than_nothing() {
    let world = mailed();
    for address in ["mai@doc.example", "may@doc.example"] {
        let letter = world.mail_to(address).remove(0);
        let file = world.write(&format!("{address}.eml"), &letter.0);
        // Told to call spam what has no score below 0; it asks nobody (-L).
        let words = judged("spamassassin", &["-L", "-e", "--cf=required_score 0"], &file);
        assert_eq!(words, Ok(()), "{address}");
    }
}

#[test]
fn mail_programs_know_what_a_digest_uses_but_for_what_is_argued() {
    let world = mailed();
    let argued: BTreeSet<String> = ARGUED.iter().map(|(title, _)| (*title).to_owned()).collect();
    for address in ["mai@doc.example", "may@doc.example"] {
        let html = world.write(&format!("{address}.html"), world.mail_to(address).remove(0).html());
        let told = node(CANIEMAIL, &[node_modules().to_str().unwrap(), html.to_str().unwrap()]);
        let titles: Vec<Value> = serde_json::from_str(&told).unwrap();
        let found: BTreeSet<String> = titles.iter().map(|title| title.as_str().unwrap().to_owned()).collect();
        assert_eq!(found, argued, "{address}");
    }
}
