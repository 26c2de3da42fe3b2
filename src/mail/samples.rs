//! Made-up letters with which every template can be filled in: by the tests, and by
//! `bantin check` for the newsroom's own templates.

use super::{
    ComposeError, EditionLetter, Letterhead, Links, Message, NoticeLetter, Recipient, Section, Sender,
    compose_edition, compose_notice, edition_in_full,
};
use crate::domain::{
    Article, ArticleId, ArticleState, Digest, DigestFeeds, EditionId, EmailAddress, Image, Instant, Language,
    LanguageTag, Lead, NoticeKind, OptInId, Publication, SafeHtml, Schedule, Secret, Slot, Slug, Source,
    SubscriberId, WebUrl, from_micros,
};
use crate::wording::{TemplateFault, Templates};
use chrono::Duration;
use chrono_tz::Tz;
use std::collections::BTreeSet;
use uuid::Uuid;

/// A newsroom with one reader and one edition.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What is special about it.
    pub name: &'static str,
    /// The reader's language.
    pub language: Language,
    /// The newspaper.
    pub publication: Publication,
    /// Who sends.
    pub sender: Sender,
    /// The reader.
    pub address: EmailAddress,
    /// The digest.
    pub digest: Digest,
    /// What the editor says above the articles.
    pub lead: Option<Lead>,
    /// Section title, slug and articles.
    pub sections: Vec<(String, Slug, Vec<Article>)>,
    /// How many articles are due.
    pub total: usize,
    /// How many slots it stands for.
    pub slots: u32,
    /// Whether there is a web view to link to.
    pub browser: bool,
    /// Whether it is counted when it is opened.
    pub counted: bool,
    /// Another address of the reader, as he is shown it.
    pub other: &'static str,
}

impl Sample {
    /// Calls `with` with the letter in its borrowed form.
    fn lend<T>(
        &self,
        templates: &Templates,
        template: &Slug,
        with: impl FnOnce(&Letterhead<'_>, &Recipient<'_>, &EditionLetter<'_>) -> T,
    ) -> T {
        let secret = Secret::new([42; 32]);
        let head =
            Letterhead { publication: &self.publication, from: &self.sender, secret: &secret, templates };
        let url = |path: &str| self.publication.url(path);
        let to = Recipient {
            address: &self.address,
            language: self.language,
            zone: self.publication.time_zone,
            links: self.links(),
        };
        let digest = Digest { template: template.clone(), ..self.digest.clone() };
        let letter = EditionLetter {
            digest: &digest,
            slot: Slot(at(0)),
            composed_at: at(2),
            lead: self.lead.as_ref(),
            sections: self
                .sections
                .iter()
                .map(|(title, slug, articles)| Section {
                    title: title.clone(),
                    page_url: url(&format!("/feeds/{slug}")),
                    slug: slug.clone(),
                    articles: articles.iter().collect(),
                })
                .collect(),
            total: self.total,
            slots: self.slots,
        };
        with(&head, &to, &letter)
    }

    /// The edition in a template.
    pub fn edition(&self, templates: &Templates, template: &Slug) -> Result<Message, ComposeError> {
        self.lend(templates, template, |head, to, letter| {
            compose_edition(head, to, letter, EditionId(12), SubscriberId(42))
        })
    }

    /// The edition in a template, set for all and filled in for this reader.
    #[cfg(test)]
    pub(super) fn printed(
        &self,
        templates: &Templates,
        template: &Slug,
    ) -> Result<Option<Message>, ComposeError> {
        self.lend(templates, template, |head, to, letter| {
            let set = super::Typeset::set(head, (to.language, to.zone), letter, EditionId(12), self.counted)?;
            set.map(|set| set.letter(head, to, SubscriberId(42))).transpose()
        })
    }

    /// The edition's web view in a template.
    pub fn in_full(&self, templates: &Templates, template: &Slug) -> Result<String, ComposeError> {
        self.lend(templates, template, edition_in_full)
    }

    fn links(&self) -> Links {
        let url = |path: &str| self.publication.url(path);
        Links {
            unsubscribe: url("/unsubscribe/AAAAAAAAACoABf0tYq-WAGv0t6Y3Yh8E0lYpWqJ4S5M"),
            preferences: url("/preferences/AAAAAAAAACoABf0tYq-WAC8yQd4nM1s0cVQ2b1hJfXo"),
            browser: self.browser.then(|| url("/editions/12/AAAAAAAAACoABf0tYq-WAJk3Zl9wT0aXrN5uD2mYc8E")),
            opened: self
                .counted
                .then(|| url("/editions/12/AAAAAAAAACoABf0tYq-WAH2xQn7bK4fLsW1vE9dRt6M/opened.gif")),
        }
    }

    /// A letter about the subscription.
    pub fn notice(&self, templates: &Templates, kind: NoticeKind) -> Result<Message, ComposeError> {
        let own = kind == NoticeKind::Welcome;
        let door = if kind == NoticeKind::Goodbye { "unsubscribe" } else { "confirm" };
        let action = self.publication.url(&format!("/{door}/AAAAAAAAAAcABf0tYq-WAGv0t6Y3Yh8E0lYpWqJ4S5M"));
        let letter = NoticeLetter {
            kind,
            action_url: (!own).then_some(action),
            choices: self
                .sections
                .iter()
                .map(|(title, ..)| format!("{title} – {}", self.digest.title))
                .collect(),
            at: at(-600),
            next: own.then(|| at(86_400)),
            other: self.other.to_owned(),
            links: own.then(|| self.links()),
        };
        let secret = Secret::new([42; 32]);
        let head =
            Letterhead { publication: &self.publication, from: &self.sender, secret: &secret, templates };
        compose_notice(&head, &self.address, (self.language, self.publication.time_zone), &letter, OptInId(7))
    }
}

/// Fills in every mail template of a set with every sample, in every language. A folder below
/// `mail/` is a digest's, but for those of [`NoticeKind`]; it needs all three files. Each fault comes once.
pub fn try_templates(templates: &Templates) -> Vec<TemplateFault> {
    let names = templates.names();
    let mut faults: Vec<TemplateFault> = Vec::new();
    let mut report = |fault: TemplateFault| {
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    };
    let folders: BTreeSet<&str> =
        names.iter().filter_map(|n| Some(n.strip_prefix("mail/")?.split_once('/')?.0)).collect();
    let samples = samples();
    for folder in folders {
        let missing = ["subject.txt", "body.txt", "body.html"]
            .map(|file| format!("mail/{folder}/{file}"))
            .into_iter()
            .filter(|file| !names.contains(file));
        let mut whole = true;
        for file in missing {
            whole = false;
            report(TemplateFault {
                file,
                line: None,
                reason: "this file is missing: a mail needs subject.txt, body.txt and body.html".to_owned(),
            });
        }
        let template = match Slug::parse(folder) {
            Ok(template) if whole => template,
            Ok(_) => continue,
            Err(error) => {
                report(TemplateFault {
                    file: format!("mail/{folder}"),
                    line: None,
                    reason: error.to_string(),
                });
                continue;
            }
        };
        for sample in &samples {
            let results = match NoticeKind::parse(folder) {
                Some(kind) => vec![sample.notice(templates, kind).err()],
                None => {
                    vec![
                        sample.edition(templates, &template).err(),
                        sample.in_full(templates, &template).err(),
                    ]
                }
            };
            for error in results.into_iter().flatten() {
                report(match error {
                    ComposeError::Template(fault) => fault,
                    other => TemplateFault {
                        file: format!("mail/{folder}/body.html"),
                        line: None,
                        reason: format!("{other} (with the sample `{}`)", sample.name),
                    },
                });
            }
        }
    }
    faults
}

/// The letters: an ordinary one in both languages, a single article, far too many, and one whose
/// every text was written by somebody who means harm.
pub fn samples() -> Vec<Sample> {
    let ordinary = ordinary();
    let english = Sample {
        name: "en",
        slots: 3,
        language: Language::En,
        digest: Digest { title: "Morning briefing".to_owned(), ..ordinary.digest.clone() },
        ..ordinary.clone()
    };
    let single = Sample {
        name: "single",
        sections: vec![(
            "Môi trường".to_owned(),
            slug("moi-truong"),
            vec![article(90, "Trồng mới 2.000 cây bần ven sông", "", &[])],
        )],
        total: 1,
        browser: false,
        publication: Publication { contact: None, ..ordinary.publication.clone() },
        ..ordinary.clone()
    };
    let led = Sample {
        name: "lead",
        lead: Lead::parse(
            "Chào buổi sáng,\n\nCây cầu mà cù lao chờ suốt hai mươi tháng đã thông xe; tòa soạn có mặt từ 4 giờ \
             để ghi lại chuyến phà cuối cùng. Cuối tuần này mời bạn đọc gửi ảnh bến phà cũ về tòa soạn.",
        )
        .ok(),
        ..ordinary.clone()
    };
    let counted = Sample { name: "counted", counted: true, ..ordinary.clone() };
    let counted_english = Sample { name: "counted-en", counted: true, ..english.clone() };
    let (crowd, harm) = (crowded(&ordinary), hostile(&ordinary));
    vec![ordinary, english, single, led, counted, counted_english, crowd, harm]
}

fn ordinary() -> Sample {
    let mut bridge = article(
        1,
        "Thông xe cầu Mỹ Phước 2: rút ngắn một nửa thời gian đi từ cù lao vào thành phố",
        "Sau hai mươi tháng thi công, cây cầu dài 1,2 km nối cù lao Mỹ Phước với quốc lộ đã thông xe sáng nay. Người dân hai bờ không còn phải chờ phà, còn nông sản của cù lao đi thẳng lên chợ đầu mối trong đêm.",
        &["Trần Minh Khuê", "Lê Hạnh"],
    );
    bridge.image =
        image("cau-my-phuoc.jpg", 1600, 900, "Những chuyến xe đầu tiên qua cầu Mỹ Phước 2", "Ảnh: Quốc Đạt");
    let mut branch = article(
        2,
        "Sóc Trăng triển khai nhiều cách làm hay, sáng tạo trong công tác xây dựng Đảng",
        "Từ đầu nhiệm kỳ đến nay, tỉnh đã kết nạp gần bảy nghìn đảng viên mới, vượt chỉ tiêu nghị quyết đề ra.",
        &["Chí Bảo"],
    );
    branch.source = Some(Source { title: "Báo Sóc Trăng".to_owned(), url: None });
    branch.image = image("ket-nap.jpg", 900, 1200, "Lễ kết nạp đảng viên tại xã Đại Tâm", "");
    let mut own_page = article(
        3,
        "Lịch tiếp công dân tháng 12",
        "Lãnh đạo các sở, ngành tiếp công dân vào ngày 5 và ngày 20, bắt đầu lúc 7 giờ 30.",
        &[],
    );
    own_page.url = None;
    let mut shrimp = article(
        4,
        "Giá tôm thẻ tăng 8.000 đồng mỗi ký, người nuôi vẫn thận trọng thả vụ mới",
        "Thương lái mua tại ao loại 50 con với giá 132.000 đồng. Chi phí thức ăn tăng khiến nhiều hộ chỉ thả một nửa diện tích.",
        &["Phạm Thu Thuỷ"],
    );
    shrimp.image = image("tom.jpg", 1200, 800, "", "");
    let rice = article(
        5,
        "Hợp tác xã lúa ST25 ký hợp đồng bao tiêu 600 ha",
        "Doanh nghiệp ứng trước giống và phân hữu cơ, cam kết mua cao hơn giá thị trường 300 đồng mỗi ký.",
        &["Ngọc Diễm"],
    );
    let mut boat = article(6, "Ghe ngo nữ lần đầu đua ở nội dung 1.000 m", "", &["Sơn Thị Pha Ly"]);
    boat.image = image("ghe-ngo.jpg", 640, 480, "Đội ghe ngo nữ tập trên sông Maspero", "Ảnh: Hữu Tín");
    boat.body =
        SafeHtml::from_text("Mười hai đội đã đăng ký. Ban tổ chức mở thêm một vòng loại vào chiều thứ Sáu.");
    Sample {
        name: "vi",
        language: Language::Vi,
        publication: Publication {
            id: Uuid::from_u128(0x5f0c_9a1e_77d4_4b6a_9d3e_21c8_40b7_e655),
            title: "Báo Miền Hậu".to_owned(),
            base_url: web("https://tin.mienhau.example/"),
            language: LanguageTag::default(),
            time_zone: Tz::Asia__Ho_Chi_Minh,
            contact: Some(address("toasoan@mienhau.example")),
            logo: None,
            license: None,
            rights: None,
        },
        sender: Sender {
            address: address("bantin@mienhau.example"),
            name: "Báo Miền Hậu".to_owned(),
            reply_to: Some(address("toasoan@mienhau.example")),
            seals: Vec::new(),
        },
        address: address("ban.doc@example.vn"),
        digest: Digest {
            slug: slug("sang"),
            title: "Bản tin sáng".to_owned(),
            schedule: daily(),
            feeds: DigestFeeds::Every,
            template: slug("digest"),
            max_articles: 30,
            archive: true,
            review: false,
        },
        lead: None,
        sections: vec![
            ("Xây dựng Đảng".to_owned(), slug("xay-dung-dang"), vec![bridge, branch, own_page]),
            ("Kinh tế".to_owned(), slug("kinh-te"), vec![shrimp, rice]),
            ("Thể thao".to_owned(), slug("the-thao"), vec![boat]),
        ],
        total: 6,
        browser: true,
        counted: false,
        slots: 1,
        other: "b…@example.org",
    }
}

/// More than a mail can hold, where the newsroom set no sensible cap.
fn crowded(ordinary: &Sample) -> Sample {
    let lead = "Các cấp uỷ, tổ chức đảng đã nêu cao tinh thần trách nhiệm. ".repeat(20);
    let sections = (0..5_u8).map(|section| {
        let articles = (0..30_u8).map(|n| {
            let title = format!("Tin số {n} của mục {section}: bà con được mùa, thương lái về tận ruộng");
            article(1_000 + u128::from(section) * 100 + u128::from(n), &title, &lead, &["Ban Thời sự"])
        });
        (format!("Mục {section}"), slug(&format!("muc-{section}")), articles.collect())
    });
    Sample {
        name: "crowded",
        digest: Digest { max_articles: 500, ..ordinary.digest.clone() },
        sections: sections.collect(),
        total: 162,
        ..ordinary.clone()
    }
}

fn hostile(ordinary: &Sample) -> Sample {
    const HEADER: &str = "Tin\r\nBcc: nan-nhan@example.vn\r\n\r\n<h1>x</h1>\0\u{202e}";
    let script =
        "</title><script>alert(1)</script>{{ secret }}{% raw %}]]> \" onload='x' =?utf-8?b?DQpCY2M6?=";
    let mut nameless = article(200, "\u{200b}\u{feff}", script, &["\r\n", HEADER]);
    nameless.image = image("a.png", 1, u32::MAX, script, HEADER);
    let mut endless = article(201, &format!("{HEADER}{}", "ế".repeat(5_000)), &"Đ".repeat(50_000), &[script]);
    endless.url = Some(web(&format!("https://bao.example/{}", "a".repeat(9_000))));
    endless.image = image(&"b".repeat(9_000), 0, 0, "", "");
    endless.published = Instant::MAX_UTC;
    let mut dotted = article(202, ".\r\n.\r\nQUIT", ".\r\n.\r\n", &[]);
    dotted.published = Instant::MIN_UTC;
    Sample {
        name: "hostile",
        publication: Publication { title: HEADER.to_owned(), ..ordinary.publication.clone() },
        sender: Sender { name: format!("{HEADER}\", <x@y.vn>"), ..ordinary.sender.clone() },
        digest: Digest { title: format!("{HEADER}{script}"), ..ordinary.digest.clone() },
        lead: Lead::parse(&format!("{script}\n\n{HEADER}\r\n.\r\n{}", "ế".repeat(3_000))).ok(),
        sections: vec![
            (HEADER.to_owned(), slug("a"), vec![endless, nameless]),
            (script.to_owned(), slug("b"), vec![dotted]),
        ],
        total: 0,
        other: "</p><script>alert(2)</script>@x",
        ..ordinary.clone()
    }
}

fn article(n: u128, title: &str, lead: &str, authors: &[&str]) -> Article {
    let minutes = i64::try_from(n % 600).unwrap_or_default();
    Article {
        id: ArticleId::new(Uuid::from_u128(n)),
        state: ArticleState::Visible,
        revision: 1,
        title: title.to_owned(),
        summary: (!lead.is_empty()).then(|| lead.to_owned()),
        body: SafeHtml::default(),
        url: Some(web(&format!("https://mienhau.example/tin/bai-{n}.html"))),
        categories: Vec::new(),
        tags: Vec::new(),
        authors: authors.iter().map(|a| (*a).to_owned()).collect(),
        published: at(-60 * minutes),
        updated: at(-60 * minutes),
        image: None,
        enclosures: Vec::new(),
        source: None,
        language: None,
    }
}

/// Seconds around the slot: Monday 23 November 2026, 6.30 in Việt Nam.
fn at(seconds: i64) -> Instant {
    from_micros(1_795_390_200_000_000) + Duration::seconds(seconds)
}

fn image(file: &str, width: u32, height: u32, caption: &str, credit: &str) -> Option<Image> {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Some(Image {
        url: web(&format!("https://anh.mienhau.example/{file}")),
        width: Some(width),
        height: Some(height),
        caption: text(caption),
        credit: text(credit),
    })
}

#[expect(clippy::expect_used, reason = "constants of this file; the tests make every one")]
fn web(text: &str) -> WebUrl {
    WebUrl::parse(text).expect("a sample's address")
}

#[expect(clippy::expect_used, reason = "constants of this file; the tests make every one")]
fn address(text: &str) -> EmailAddress {
    EmailAddress::parse(text).expect("a sample's mailbox")
}

#[expect(clippy::expect_used, reason = "constants of this file; the tests make every one")]
fn slug(text: &str) -> Slug {
    Slug::parse(text).expect("a sample's slug")
}

#[expect(clippy::expect_used, reason = "constants of this file; the tests make every one")]
fn daily() -> Schedule {
    Schedule::parse("30 6 * * *", Tz::Asia__Ho_Chi_Minh).expect("a sample's schedule")
}
