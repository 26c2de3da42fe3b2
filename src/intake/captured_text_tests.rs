//! Pages of our own writing, one for each habit listed in reference/pages.md.

use super::tests::{intake, one};
use super::*;

const PROSE: &str = "Sáng nay, Ban Thường vụ Tỉnh ủy họp phiên thường kỳ để cho ý kiến về công tác xây dựng Đảng, phát triển kinh tế - xã hội và chăm lo đời sống nhân dân trên địa bàn tỉnh trong những tháng còn lại của năm.";
const MORE: &str = "Theo báo cáo tại hội nghị, các chỉ tiêu chủ yếu đều đạt và vượt kế hoạch; nhiều mô hình hay, cách làm hiệu quả đã được nhân rộng ra các huyện, thị xã và nhận được sự đồng tình của đông đảo người dân.";
const TITLE: &str = "Tỉnh ủy cho ý kiến về nhiều nội dung quan trọng";

/// What is wanted of a page: section, instant (local), writers, source, summary's and body's marks.
#[derive(Default)]
struct Wanted<'a> {
    habit: &'a str,
    page: String,
    category: &'a str,
    published: &'a str,
    authors: &'a [&'a str],
    source: &'a str,
    body: &'a [&'a str],
    not: &'a [&'a str],
}

#[test]
fn every_habit_of_pages_is_known() {
    for wanted in pages() {
        let habit = wanted.habit;
        let draft = one("a.txt", wanted.page.as_bytes()).draft;
        assert_eq!(draft.title, TITLE, "{habit}");
        assert!(
            draft.summary.as_deref().unwrap().starts_with("Sáng nay, Ban Thường vụ"),
            "{habit}: {:?}",
            draft.summary
        );
        let category = draft.categories.first().map_or("", |c| c.0.as_str());
        assert_eq!(category, wanted.category, "{habit}");
        let published = draft
            .published
            .map(|p| p.with_timezone(&chrono_tz::Asia::Ho_Chi_Minh).format("%Y-%m-%d %H:%M").to_string());
        assert_eq!(published.unwrap_or_default(), wanted.published, "{habit}");
        assert_eq!(draft.authors, wanted.authors, "{habit}");
        assert_eq!(draft.source.map(|s| s.title).unwrap_or_default(), wanted.source, "{habit}");
        let body = draft.body.as_str();
        assert!(body.starts_with("<p>Sáng nay, Ban Thường vụ"), "{habit}: {body}");
        assert_eq!(body.matches("Sáng nay, Ban").count(), 1, "{habit}: {body}");
        for part in wanted.body {
            assert!(body.contains(part), "{habit}: {part} not in {body}");
        }
        for part in wanted.not {
            assert!(!body.contains(part), "{habit}: {part} in {body}");
        }
    }
}

fn pages() -> Vec<Wanted<'static>> {
    vec![
        Wanted {
            habit: "arrows as breadcrumb, the visitor's clock on top, the lead's prefix in brackets",
            page: format!(
                "Thứ ba, 24/11/2026 | 09:12\n\n>> TIN TỨC >> Tin địa phương\n\n{TITLE}\n\n09:19 04/01/2017\n\n(HGO) - {PROSE}\n\n{MORE}\n\nHOÀNG LAN\n"
            ),
            category: "Tin địa phương",
            published: "2017-01-04 09:19",
            authors: &["HOÀNG LAN"],
            ..Wanted::default()
        },
        Wanted {
            habit: "home and title in the breadcrumb, Joomla's month, two writers",
            page: format!(
                "Trang chủ    Chính trị    {TITLE}\n{TITLE}\nThứ hai, 26 Tháng 10 2020 14:49\n\n(LLCT) - {PROSE}\n\n{MORE}./.\n\nNguyễn Văn Bình - Trần Thị Lan\n"
            ),
            category: "Chính trị",
            published: "2020-10-26 14:49",
            authors: &["Nguyễn Văn Bình", "Trần Thị Lan"],
            body: &["đông đảo người dân.</p>"],
            not: &["./."],
            ..Wanted::default()
        },
        Wanted {
            habit: "the lead last, behind the byline",
            page: format!("{TITLE}\n\n{MORE}\n\n{MORE} Đó là nền tảng.\n\nHồng Anh (Theo TTXVN)\n\n\n\n{PROSE}\n"),
            authors: &["Hồng Anh"],
            source: "TTXVN",
            ..Wanted::default()
        },
        Wanted {
            habit: "the lead twice, date in words, photo credit behind the byline",
            page: format!(
                "Kinh tế\n\n{TITLE}\n\nThứ ba, ngày 24 tháng 1 năm 2023 | 10:31\n\n{PROSE}\n\n{PROSE}\n\n{MORE}\n\nTin, ảnh: Thạch Pích\nẢnh: Duy Anh\n"
            ),
            category: "Kinh tế",
            published: "2023-01-24 10:31",
            authors: &["Thạch Pích"],
            not: &["Duy Anh"],
            ..Wanted::default()
        },
        Wanted {
            habit: "author and date on one line, two-digit clock above",
            page: format!("9-5-25 23:49:29\n\n{TITLE}\nPV•28/01/2025 08:22\n\nTPO - {PROSE}\n\n{MORE}\n"),
            published: "2025-01-28 08:22",
            authors: &["PV"],
            ..Wanted::default()
        },
        Wanted {
            habit: "name, time and date behind the text",
            page: format!("Xã hội\n{TITLE}\n\n(CMO) {PROSE}\n\n{MORE}\n\nHỒNG HẠNH - 08:54, 30/11/2024\n"),
            category: "Xã hội",
            published: "2024-11-30 08:54",
            authors: &["HỒNG HẠNH"],
            ..Wanted::default()
        },
        Wanted {
            habit: "captions of every kind, one printed twice",
            page: format!(
                "{TITLE}\n15:41' 6/5/2017\n\n{PROSE}\n\nQuang cảnh hội nghị. (Ảnh: DUY ANH/TTXVN)\nQuang cảnh hội nghị. (Ảnh: DUY ANH/TTXVN)\n\nleftcenterrightdel\n\n{MORE}\n\nẢnh minh họa.\n\nĐại biểu dự hội nghị (ảnh: VOV) |\n\n{MORE} Đó là nền tảng.\n\nT.H\n"
            ),
            published: "2017-05-06 15:41",
            authors: &["T.H"],
            body: &[
                "<figure><figcaption>Quang cảnh hội nghị. (Ảnh: DUY ANH/TTXVN)</figcaption></figure>",
                "<figcaption>Ảnh minh họa.</figcaption>",
                "<figcaption>Đại biểu dự hội nghị (ảnh: VOV)</figcaption>",
            ],
            not: &["leftcenter", "|"],
            ..Wanted::default()
        },
        Wanted {
            habit: "a list of others in the middle, single lines to other articles, a sub-heading",
            page: format!(
                "{TITLE}\nThứ Năm, 04/04/2024 | 04:30\n\n{PROSE}\n\nTin liên quan\nMột bài khác về chuyện khác\nBài thứ hai về chuyện khác nữa\n\n{MORE}\n\nXem thêm: Bài này hay lắm\n>>> Còn bài này nữa\n\nTập trung nâng cao chất lượng sinh hoạt chi bộ\n\n{MORE} Đó là nền tảng.\n\nTin mới nhất\nTiêu đề khác\n"
            ),
            published: "2024-04-04 04:30",
            body: &["<h2>Tập trung nâng cao chất lượng sinh hoạt chi bộ</h2>", "Đó là nền tảng."],
            not: &["khác", "Xem thêm", ">>>", "Còn bài này"],
            ..Wanted::default()
        },
        Wanted {
            habit: "teasers behind the article, each with the prefix and dots",
            page: format!(
                "{TITLE}\n22/10/2025, 19:25 (GMT+7)\n\n(Baothanhhoa.vn) - {PROSE}\n\n{MORE}\n\nMinh Hà\n\nTin liên quan\n\n(Baothanhhoa.vn) - {MORE} Và rồi...\n\n(Baothanhhoa.vn) - {MORE} Và nữa...\n\nXin vui lòng gõ tiếng Việt có dấu\n"
            ),
            published: "2025-10-22 19:25",
            authors: &["Minh Hà"],
            not: &["Và rồi", "gõ tiếng Việt"],
            ..Wanted::default()
        },
        Wanted {
            habit: "a kicker above the title, seconds, a label, views",
            page: format!(
                "Thời sự\n\nHội nghị Tỉnh ủy lần thứ 15:\n{TITLE}\nCập nhật ngày: 24/04/2015 05:21:36\nLượt xem: 1.204\n\nSÓC TRĂNG - {PROSE}\n\n{MORE}\n\nVăn Hiếu/VOV.VN\n\n* Mời quý độc giả theo dõi chúng tôi\n"
            ),
            category: "Thời sự",
            published: "2015-04-24 05:21",
            authors: &["Văn Hiếu"],
            source: "VOV.VN",
            not: &["Mời quý", "Lượt xem"],
            ..Wanted::default()
        },
        Wanted {
            habit: "12-hour clock, a sender's note, an academic's workplace, WordPress's form",
            page: format!(
                "{TITLE}\n14/12/2015 8:56 PM\n\nLTS: Nhân kỷ niệm ngày thành lập Đảng, báo giới thiệu bài viết này cùng bạn đọc gần xa.\n\n{PROSE}\n\n{MORE}\n\nPGS.TS. Trần Văn Bình\nHọc viện Chính trị khu vực IV\n\nTrả lời\nEmail của bạn sẽ không được hiển thị công khai.\n"
            )
            .replace("LTS: Nhân kỷ niệm ngày thành lập Đảng, báo giới thiệu bài viết này cùng bạn đọc gần xa.\n\n", ""),
            published: "2015-12-14 20:56",
            authors: &["PGS.TS. Trần Văn Bình"],
            not: &["Học viện", "Email"],
            ..Wanted::default()
        },
        Wanted {
            habit: "AMP's glued month, a date alone, Nguồn with an address",
            page: format!(
                "Trở lại Đời sống\nTrở lại Đời sống\n{TITLE}\n29.03.2019\nNguồn: Báo Mẫu https://baomau.example/bai\n\ndate 2019-03 {PROSE}\n\n{MORE}\n\nTags: Đảng, tỉnh ủy\n"
            ),
            category: "Đời sống",
            published: "2019-03-29 00:00",
            source: "Báo Mẫu",
            not: &["date 2019", "Tags"],
            ..Wanted::default()
        },
        Wanted {
            habit: "today and a whole menu on top, the date above the title, what stands below",
            page: format!(
                "Thứ năm, 26/11/2026\nMới nhất\nThời sự\nThế giới\nVideo\nKinh doanh\nGiải trí\nThể thao\nPháp luật\nGiáo dục\nTất cả\nTrở lại Thời sự\nThời sự\nChính trị\nThứ tư, 22/10/2025, 19:25 (GMT+7)\n{TITLE}\n{PROSE}\n\n{MORE}\n\nViết Tuân\nChia sẻ\nTrở lại Thời sự\nCopy link thành công\n×\n"
            ),
            category: "Thời sự",
            published: "2025-10-22 19:25",
            authors: &["Viết Tuân"],
            not: &["Trở lại", "Copy", "Chia sẻ", "×"],
            ..Wanted::default()
        },
        Wanted {
            habit: "clock, menu and breadcrumb, the paper itself under the title, two names behind the stroke",
            page: format!(
                "9-5-25 23:49:29\nTrang chủ\nChính trị\nKinh tế\nXã hội\nVăn hóa\n>> Chính trị >> Xây dựng Đảng\n{TITLE}\nBáo Mẫu\nThứ Sáu, 18/4/2025 | 10:05\n\n(CMO) {PROSE}\n\n\"Chúng tôi làm việc này vì dân\", ông nói.\n\n{MORE}./.\n\nHồng Nhung  - Kim Cương\nÝ kiến bạn đọc (0)\n"
            ),
            category: "Xây dựng Đảng",
            published: "2025-04-18 10:05",
            authors: &["Hồng Nhung", "Kim Cương"],
            source: "Báo Mẫu",
            not: &["Ý kiến", "./."],
            ..Wanted::default()
        },
    ]
}

#[test]
fn an_editors_note_stays_but_is_not_the_lead() {
    let note = "LTS: Nhân kỷ niệm ngày thành lập Đảng, báo giới thiệu bài viết này cùng bạn đọc gần xa.";
    let draft = one("a.txt", format!("{TITLE}\n14/12/2015\n\n{note}\n\n{PROSE}\n\n{MORE}").as_bytes()).draft;
    assert!(draft.summary.unwrap().starts_with("Sáng nay"));
    assert!(draft.body.as_str().starts_with("<p>LTS: Nhân"));
}

#[test]
fn what_is_no_page_is_one_fault() {
    for (name, input) in [
        ("a menu", "Trang chủ\nKinh tế\nXã hội\nThể thao\n".to_owned()),
        ("nothing", String::new()),
        ("blanks", " \n\n\t\n".to_owned()),
        ("an encoded block", "QUJD".repeat(400)),
        ("a title alone", format!("{TITLE}\n04/04/2024 04:30\n")),
    ] {
        let mut intake = intake("a.txt");
        intake.format = Some(InputFormat::CapturedText);
        let items = read(&intake, input.as_bytes());
        assert!(matches!(&items[..], [Err(fault)] if fault.message.contains("title")), "{name}: {items:?}");
    }
    let binary = read(&intake("a.bin"), b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0>\0");
    assert!(matches!(&binary[..], [Err(fault)] if fault.message.contains("binary")), "{binary:?}");
}

#[test]
fn the_callers_section_is_for_pages_that_name_none() {
    let mut intake = intake("a.txt");
    intake.category = Some(CategoryName("Kinh tế".into()));
    let category = |head: &str| {
        let page = format!("{head}{TITLE}\n04/04/2024 04:30\n\n{PROSE}\n");
        read(&intake, page.as_bytes()).remove(0).unwrap().draft.categories.remove(0).0
    };
    assert_eq!(category(""), "Kinh tế");
    assert_eq!(category("• Xây dựng Đảng\n\n"), "Xây dựng Đảng");
}

#[test]
fn a_page_without_a_date_is_for_a_person_to_date() {
    let arrival = one("a.txt", format!("{TITLE}\n\n{PROSE}\n").as_bytes());
    assert_eq!(arrival.draft.published, None);
    let doubts: Vec<String> = arrival.doubts().iter().map(|doubt| doubt.told()).collect();
    assert_eq!(
        doubts,
        ["its published is doubtful (no date was found on the page); give it with --published"]
    );
}

#[test]
fn an_edited_title_or_an_edited_text_is_still_the_same_article() {
    let keys = |title: &str, end: &str| {
        one("a.txt", format!("{title}\n04/04/2024 04:30\n\n{PROSE}\n\n{MORE}{end}\n").as_bytes()).draft.keys
    };
    let first = keys(TITLE, "");
    let retitled = keys("Tỉnh ủy họp phiên thường kỳ tháng tư và cho ý kiến", "");
    let longer = keys(TITLE, " Thêm một câu nữa.");
    assert!(first.iter().any(|k| retitled.contains(k)) && first.iter().any(|k| longer.contains(k)));
}
