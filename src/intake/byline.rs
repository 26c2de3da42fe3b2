use super::rules::Rules;
use crate::domain::{WebUrl, clean_line};

/// Who wrote a piece, as the line under it says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Byline {
    /// The writers. Empty where the line names only a source or a photographer.
    pub authors: Vec<String>,
    /// Where it was taken from: "Theo TTXVN".
    pub source: Option<String>,
    /// Its address there.
    pub url: Option<WebUrl>,
}

/// A byline is short: two or three names and an agency.
const LONGEST: usize = 90;

/// Reads a line that is a byline and nothing else.
pub fn read(rules: &Rules, line: &str) -> Option<Byline> {
    let rules = &rules.bylines;
    let line = clean_line(line);
    // "Nguồn Báo X: https://…"
    if let Some(at) = line.find("http://").or_else(|| line.find("https://"))
        && line.to_lowercase().starts_with("nguồn")
        && let Some(source) = super::masthead::source(line[..at].get("nguồn".len()..).unwrap_or_default())
    {
        let url = WebUrl::parse(line[at..].split(' ').next().unwrap_or_default()).ok();
        return Some(Byline { source: Some(source.title), url, ..Byline::default() });
    }
    if line.is_empty() || line.chars().count() > LONGEST || line.ends_with(['!', '?', ':', '…']) {
        return None;
    }
    if rules.roles.is_match(&line) {
        return Some(Byline::default());
    }
    if rules.photo.is_match(&line) {
        return Some(Byline::default());
    }
    let labelled = rules.writer.is_match(&line);
    let mut rest = rules.writer.cut(&line);
    let mut byline = Byline::default();
    if let Some(found) = rules.source.captures(&rest)
        && let (Some(whole), Some(source)) = (found.get(0), found.name("source"))
    {
        byline.source = Some(clean_line(source.as_str().trim_end_matches('.')));
        rest = format!("{} {}", &rest[..whole.start()], &rest[whole.end()..]);
    }
    let before = rest.clone();
    rest = clean_line(&rules.dropped.blank_all(&rest));
    let gathered = rest != clean_line(&before);
    for part in rules.separators.split(&rest) {
        let mut name = part.trim();
        if name.is_empty() {
            continue;
        }
        if let Some((writer, agency)) = name.split_once('/') {
            name = writer.trim();
            byline.source.get_or_insert_with(|| clean_line(agency));
        }
        let known = name.split(' ').nth(1).is_some() || rules.single.is_match(name);
        if !rules.name.is_match(name) || !(known || labelled || gathered) {
            return None;
        }
        if rules.nobody.contains(name) {
            continue;
        }
        if rules.agencies.contains(name) || rules.papers.is_match(name) {
            byline.source.get_or_insert_with(|| name.to_owned());
        } else {
            super::push_new(&mut byline.authors, name.to_owned());
        }
    }
    (!byline.authors.is_empty() || byline.source.is_some() || labelled || gathered).then_some(byline)
}

/// Whether a line under a byline says where its writer works.
pub fn is_workplace(rules: &Rules, line: &str) -> bool {
    rules.bylines.workplaces.is_match(line)
}

#[cfg(test)]
mod tests {
    use super::super::tests::intake;
    use super::*;

    #[test]
    fn every_convention_counted_is_read() {
        let rules = intake("").rules;
        for (line, authors, source) in [
            ("CHÍ BẢO", &["CHÍ BẢO"][..], None),
            ("Nguyễn Thị Hồng Hạnh", &["Nguyễn Thị Hồng Hạnh"], None),
            ("Theo TTXVN", &[], Some("TTXVN")),
            ("(Theo Reuters)", &[], Some("Reuters")),
            ("Hồng Anh (Theo TTXVN)", &["Hồng Anh"], Some("TTXVN")),
            ("Minh Hà (T/h)", &["Minh Hà"], None),
            ("Thu Thảo tổng hợp", &["Thu Thảo"], None),
            ("T.H", &["T.H"], None),
            ("H.T", &["H.T"], None),
            ("Văn Hiếu/VOV.VN", &["Văn Hiếu"], Some("VOV.VN")),
            ("Bài, ảnh: HOÀNG LAN", &["HOÀNG LAN"], None),
            ("Tin, ảnh: Thạch Pích", &["Thạch Pích"], None),
            ("Bài và ảnh: Lan", &["Lan"], None),
            ("PV", &["PV"], None),
            ("TTXVN", &[], Some("TTXVN")),
            ("Hoàng Lan, Chí Bảo", &["Hoàng Lan", "Chí Bảo"], None),
            ("HOÀNG LAN - CHÍ BẢO", &["HOÀNG LAN", "CHÍ BẢO"], None),
            ("Hoàng Lan & Chí Bảo", &["Hoàng Lan", "Chí Bảo"], None),
            ("PGS.TS. Trần Văn Bình", &["PGS.TS. Trần Văn Bình"], None),
            ("Ảnh: Duy Anh", &[], None),
            ("Phóng viên", &[], None),
        ] {
            let byline = read(rules, line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(
                (byline.authors.as_slice(), byline.source.as_deref()),
                (authors.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>().as_slice(), source),
                "{line}"
            );
        }
    }

    #[test]
    fn sentences_are_no_bylines() {
        for line in [
            "Lan tỏa nhiều cách làm hay",
            "Theo đó, các cấp ủy tập trung lãnh đạo.",
            "Điểm báo",
            "Hội nghị",
            "",
            "Theo kế hoạch, tháng 5/2024 sẽ khởi công",
        ] {
            assert_eq!(read(intake("").rules, line), None, "{line}");
        }
    }
}
