//! Every page filled in with sample data: what `bantin check` tries the newsroom's own templates
//! with, and what the tests look at.

use super::*;
use crate::domain::{
    Article, ArticleId, ArticleState, Category, CategoryId, EditionId, EmailAddress, Enclosure, FeedPlace,
    Format, Image, Instant, Language, LanguageTag, Publication, SafeHtml, Slug, Source, WebUrl, from_micros,
};
use crate::wording::{TemplateFault, Templates};
use uuid::Uuid;

/// What a stranger would write to break out of a page.
pub(super) const HOSTILE: &str =
    "<script>alert('x')</script>\"'><img src=x onerror=alert(1)>]]>&amp;{{ 7*7 }}";

const LONG: &str = "Hội nghị tổng kết công tác kiểm tra, giám sát và thi hành kỷ luật trong Đảng bộ tỉnh, \
                    đồng thời triển khai phương hướng, nhiệm vụ trọng tâm của năm tiếp theo tại các huyện, \
                    thị xã và thành phố trực thuộc";

/// Monday 9 March 2026, 06:30 in Hà Nội.
const AT: i64 = 1_773_012_600_000_000;

/// A page by the name under which tests write it to a file.
pub(super) type Sample = (String, Result<String, TemplateFault>);

struct Samples {
    publication: Publication,
    all: FeedLink,
    categories: Vec<FeedLink>,
    articles: Vec<Article>,
    form: SubscribeForm,
    hostile: bool,
}

impl Samples {
    fn ordinary() -> Option<Self> {
        let titles = ["Xây dựng Đảng", "Kinh tế", "Văn hoá – Thể thao – Du lịch", "Giáo dục", "Bạn đọc"];
        let categories: Vec<Category> =
            (1..).zip(titles).filter_map(|(n, title)| category(n, title)).collect();
        let way = |value: &str, title: &str, when: &str| Way {
            value: value.into(),
            title: title.into(),
            when: when.into(),
            volume: "khoảng 6 thư một tuần".into(),
            checked: value == "digest:tuan",
        };
        let feed = |c: &Category| FeedChoice {
            name: c.slug.to_string(),
            title: c.title.clone(),
            volume: "khoảng 12 bài một tuần".into(),
            checked: c.title.len() > 12,
            ..FeedChoice::default()
        };
        let choosing = Choosing {
            feeds: categories.iter().map(feed).collect(),
            ways: vec![
                way("digest:sang", "Bản tin sáng", "06:30 hằng ngày"),
                way("digest:tuan", "Bản tin tuần", "08:00 thứ Bảy hằng tuần"),
                way("at-once", "Ngay khi có bài", ""),
                way("daily", "Hằng ngày", ""),
                way("weekly", "Hằng tuần", ""),
            ],
            day: "sat".into(),
            time: "06:30".into(),
            times: vec!["06:00".into(), "06:30".into()],
            zone: String::new(),
            home_zone: "Ho Chi Minh".into(),
            zones: few_zones(),
        };
        let form = SubscribeForm {
            choosing,
            whole: true,
            rest: "?feed=kinh-te".into(),
            opened: "dG9rZW4".into(),
            ..SubscribeForm::default()
        };
        let about = |title: &str| match title {
            "Bạn đọc" => String::new(),
            title => format!("Tin, bài của chuyên mục {title}."),
        };
        let link = |c: &Category| FeedLink {
            title: c.title.clone(),
            place: FeedPlace::Named(c.slug.clone().into()),
            description: about(&c.title),
            formats: Format::ALL.to_vec(),
        };
        Some(Self {
            publication: Publication {
                id: Uuid::from_u128(1),
                title: "Báo Bản Tin Mẫu".into(),
                base_url: WebUrl::parse("https://tin.example.vn").ok()?,
                language: LanguageTag::default(),
                time_zone: chrono_tz::Tz::Asia__Ho_Chi_Minh,
                contact: EmailAddress::parse("toasoan@example.vn").ok(),
                logo: None,
                license: None,
                rights: None,
            },
            all: FeedLink {
                title: "Tất cả bài viết".into(),
                place: FeedPlace::Named(Slug::parse("all").ok()?.into()),
                description: "Mọi bài của toà soạn, bài mới nhất trước.".into(),
                formats: Format::ALL.to_vec(),
            },
            articles: articles(&categories)?,
            categories: categories.iter().map(link).collect(),
            form,
            hostile: false,
        })
    }

    /// The same with what a stranger would write in every text.
    fn hostile() -> Option<Self> {
        let mut samples = Self::ordinary()?;
        samples.hostile = true;
        samples.publication.title = HOSTILE.into();
        samples.publication.logo = WebUrl::parse("https://tin.example.vn/\"onload=\"x").ok();
        samples.publication.base_url = WebUrl::parse("https://tin.example.vn/duoi/day/").ok()?;
        samples.form.address = HOSTILE.into();
        for feed in samples.categories.iter_mut().chain([&mut samples.all]) {
            feed.title = HOSTILE.into();
            feed.description = HOSTILE.into();
        }
        samples.form.search = HOSTILE.into();
        for way in &mut samples.form.choosing.ways {
            (way.title, way.when, way.volume) = (HOSTILE.into(), HOSTILE.into(), HOSTILE.into());
        }
        for feed in &mut samples.form.choosing.feeds {
            (feed.title, feed.volume) = (HOSTILE.into(), HOSTILE.into());
        }
        for article in &mut samples.articles {
            article.title = HOSTILE.into();
            article.summary = Some(HOSTILE.into());
            article.body =
                SafeHtml::clean(&format!("<h1>{HOSTILE}</h1><p title=\"<img src=x>\">{HOSTILE}"), None);
            article.tags = vec![HOSTILE.into()];
            article.authors = vec![HOSTILE.into()];
            article.categories.iter_mut().for_each(|c| c.title = HOSTILE.into());
            article.source = Some(Source { title: HOSTILE.into(), url: None });
            article.enclosures.iter_mut().for_each(|e| e.media_type = HOSTILE.into());
            if let Some(image) = &mut article.image {
                (image.caption, image.credit) = (Some(HOSTILE.into()), Some(HOSTILE.into()));
            }
        }
        Some(samples)
    }

    /// A newsroom on its first day: no article, no section, no digest.
    fn empty() -> Option<Self> {
        let mut samples = Self::ordinary()?;
        samples.publication.contact = None;
        samples.publication.title = LONG.into();
        samples.all.description.clear();
        samples.all.formats.clear();
        samples.categories.clear();
        samples.articles.clear();
        samples.form = SubscribeForm::default();
        Some(samples)
    }

    /// A text of the sample, or the hostile one.
    fn text(&self, text: &str) -> String {
        if self.hostile { HOSTILE.into() } else { text.into() }
    }

    fn pages(&self, templates: &Templates, language: Language) -> Vec<Sample> {
        let desk = Desk {
            publication: &self.publication,
            templates,
            everything: Some(&self.all),
            archive: !self.articles.is_empty(),
            language,
            zone: self.publication.time_zone,
            language_picked: true,
        };
        let feeds = &self.form.choosing.feeds;
        let choices: Vec<String> = feeds.iter().take(3).map(|f| f.title.clone()).collect();
        let action = self.text("/unsubscribe/dG9rZW4");
        let hint = self.text("m…@example.vn");
        let compact = SubscribeForm { whole: false, ..self.form.clone() };
        let mut pages = vec![
            ("home", home(&desk, &self.categories, &self.all, &self.articles, &compact)),
            ("feed", feed(&desk, self.categories.first().unwrap_or(&self.all), &self.articles, &compact)),
            ("subscribe", subscribe(&desk, &self.form)),
            ("subscribe-apart", subscribe(&desk, &self.apart())),
            ("subscribe-done", subscribe_done(&desk)),
            ("confirm", confirm_ask(&desk, &choices, &action)),
            ("confirm-done", confirm_done(&desk, &choices, Some(from_micros(AT)), &action)),
            ("confirm-done-unscheduled", confirm_done(&desk, &[], None, &action)),
            ("move", move_ask(&desk, &hint, &action)),
            ("move-done", move_done(&desk, &hint, true)),
            ("move-refused", move_done(&desk, &hint, false)),
            ("unsubscribe", unsubscribe_ask(&desk, &self.leaving(None))),
            ("unsubscribe-part", unsubscribe_ask(&desk, &self.leaving(Some("Bản tin sáng")))),
            ("unsubscribe-done", unsubscribe_done(&desk, &[], &action, &action)),
            ("unsubscribe-part-done", unsubscribe_done(&desk, &choices, &action, &action)),
            ("resubscribed", resubscribed(&desk, true, &choices, &action)),
            ("not-resubscribed", resubscribed(&desk, false, &[], &action)),
            ("preferences", preferences(&desk, &self.preferences(None))),
            ("preferences-saved", preferences(&desk, &self.preferences(Some(Done::Saved)))),
            ("preferences-asked", preferences(&desk, &self.preferences(Some(Done::Asked)))),
            ("preferences-wrong", preferences(&desk, &self.preferences(Some(Done::AddressMalformed)))),
            ("editions", editions(&desk, &self.editions(), Some(EditionId(7)))),
            ("editions-empty", editions(&desk, &[], None)),
            ("edition", self.edition(&desk)),
            ("api", self.api(&desk)),
            ("mailbox", mailbox(&desk, &self.letters())),
            ("mailbox-empty", mailbox(&desk, &[])),
            ("letter", letter(&desk, "/mailbox", &self.letter(true))),
            ("letter-text", letter(&desk, "/mailbox", &self.letter(false))),
        ];
        let mut named: Vec<Sample> = pages.drain(..).map(|(name, page)| (name.to_owned(), page)).collect();
        for (n, a) in self.articles.iter().enumerate() {
            named.push((format!("article-{n}"), article(&desk, a)));
        }
        for fault in FormFault::ALL {
            let form = SubscribeForm { fault: Some(fault), address: self.text("mai@"), ..self.form.clone() };
            named.push((format!("subscribe-{fault:?}"), subscribe(&desk, &form)));
        }
        let mut one = compact.clone();
        one.choosing.ways.truncate(1);
        named.push(("subscribe-one-digest".to_owned(), subscribe(&desk, &one)));
        let search = SubscribeForm { search: self.text("xâm nhập mặn"), ..compact };
        named.push(("subscribe-search".to_owned(), subscribe(&desk, &search)));
        for kind in DeadLink::ALL {
            named.push((format!("link-dead-{kind:?}"), link_dead(&desk, kind)));
        }
        for status in [400, 404, 410, 429, 500, 503] {
            named.push((format!("problem-{status}"), problem(&desk, status, &self.text("not_found"))));
        }
        named.push(("problem-feed-ended".to_owned(), problem(&desk, 410, "feed-ended")));
        named
    }

    fn api(&self, desk: &Desk<'_>) -> Result<String, TemplateFault> {
        let field = |required| ApiField {
            name: self.text("title"),
            kind: self.text("string"),
            required,
            about: self.text("The headline."),
        };
        let operation = ApiOperation {
            id: "createArticle".into(),
            method: "POST".into(),
            path: "/api/v1/articles".into(),
            summary: self.text("Takes an article in."),
            about: self.text("What says nothing new changes nothing."),
            scope: self.text("articles:write"),
            parameters: vec![field(false)],
            body: Some("Article".into()),
            answers: vec![("201".into(), self.text("It is new"), Some("Article".into()))],
        };
        let section = ApiSection {
            title: "Articles".into(),
            about: self.text("What is published"),
            operations: vec![operation],
        };
        let object =
            ApiObject { name: "Article".into(), about: self.text("An article."), fields: vec![field(true)] };
        api(desk, &[section], &[object])
    }

    /// With a feed that comes otherwise than the rest.
    fn apart(&self) -> SubscribeForm {
        let mut form = self.form.clone();
        for feed in form.choosing.feeds.iter_mut().take(1) {
            (feed.how, feed.time) = ("mon".into(), "06:00".into());
        }
        form
    }

    fn leaving(&self, this: Option<&str>) -> Leaving {
        let part = |title: &str| Part { name: "digest:sang".into(), title: self.text(title) };
        Leaving {
            address_hint: self.text("m…@example.vn"),
            choices: self.form.choosing.feeds.iter().map(|feed| feed.title.clone()).collect(),
            this: this.map(part),
            parts: self.form.choosing.feeds.iter().map(|feed| part(&feed.title)).collect(),
            action: self.text("/unsubscribe/dG9rZW4"),
            preferences_url: self.text("/preferences/dG9rZW4"),
        }
    }

    fn preferences(&self, done: Option<Done>) -> Preferences {
        let paused = done == Some(Done::Saved);
        Preferences {
            address_hint: self.text("m…@example.vn"),
            choosing: self.apart().choosing,
            spoken: "vi".into(),
            daily_cap: 3,
            pause: if paused { "2026-03-20".into() } else { String::new() },
            paused_until: paused.then_some(AT + 864_000_000_000),
            tomorrow: "2026-03-10".into(),
            next: (!paused).then_some(AT),
            action: self.text("/preferences/dG9rZW4"),
            feed_url: self.text("/my/dG9rZW4.rss"),
            unsubscribe_url: self.text("/unsubscribe/dG9rZW4"),
            done,
        }
    }

    fn editions(&self) -> Vec<EditionLink> {
        let link = |n: i64| EditionLink {
            id: EditionId(n),
            title: self.text("Bản tin sáng"),
            slot: from_micros(AT - n * 86_400_000_000),
            articles: n.unsigned_abs(),
        };
        (1..5).map(link).collect()
    }

    fn edition(&self, desk: &Desk<'_>) -> Result<String, TemplateFault> {
        let (first, second) = self.articles.split_at(self.articles.len().min(2));
        let sections = [("Kinh tế", first), ("Đời sống", second)].map(|(title, articles)| EditionSection {
            title: self.text(title),
            page_url: self.publication.url("/feeds/kinh-te"),
            articles: articles.iter().collect(),
        });
        let link = EditionLink {
            id: EditionId(3),
            title: self.text("Bản tin sáng"),
            slot: from_micros(AT),
            articles: self.articles.len() as u64,
        };
        let lead = self.text("Chào buổi sáng! Hôm nay có nhiều tin vui.");
        edition(desk, &link, &[&lead], &sections)
    }

    fn letters(&self) -> Vec<LetterHead> {
        let head = |n: i64, subject: &str| LetterHead {
            href: self.text(&format!("/mailbox/{n}")),
            subject: subject.to_owned(),
            from: self.text("Báo Bản Tin Mẫu <toasoan@example.vn>"),
            to: self.text("mai@example.vn"),
            date: (n > 0).then(|| from_micros(AT)),
        };
        vec![head(1, &self.text("Bản tin sáng: 12 bài mới")), head(2, LONG), head(0, "")]
    }

    fn letter(&self, html: bool) -> Letter {
        let mut heads = self.letters();
        Letter {
            head: heads.swap_remove(if html { 0 } else { 2 }),
            html_href: html.then(|| self.text("/mailbox/1/html")),
            text: self.text("BẢN TIN SÁNG\n\n* Bài thứ nhất\n  https://tin.example.vn/bai-thu-nhat.html\n"),
            source_href: html.then(|| self.text("/mailbox/1/source")),
        }
    }
}

/// All four hundred would teach nobody more.
fn few_zones() -> Vec<Region> {
    let mut regions = zones();
    regions.truncate(3);
    regions.iter_mut().for_each(|region| region.zones.truncate(3));
    regions
}

fn category(n: u128, title: &str) -> Option<Category> {
    let slug = Slug::of_title(title).ok()?;
    Some(Category { id: CategoryId::new(Uuid::from_u128(n)), slug, title: title.to_owned(), parent: None })
}

fn articles(categories: &[Category]) -> Option<Vec<Article>> {
    let at: Instant = from_micros(AT);
    let body = "<p>Chiều 8/3, đoàn công tác đã làm việc với các xã vùng ven biển.</p><h2>Nhiều mô hình hay</h2>\
                <p>Các tổ hợp tác nuôi tôm – lúa giúp <a href=\"https://example.vn/a\">hàng trăm hộ</a> có thêm thu \
                nhập.</p><figure><img src=\"https://example.vn/anh.jpg\" alt=\"Cánh đồng\"><figcaption>Cánh đồng mùa \
                gặt.</figcaption></figure><blockquote><p>Bà con rất phấn khởi.</p></blockquote>";
    let plain = |n: usize, title: &str| {
        Some(Article {
            id: ArticleId::new(Uuid::from_u128(100 + n as u128)),
            state: ArticleState::Visible,
            revision: 1,
            title: title.to_owned(),
            summary: Some("Nhiều địa phương đã có cách làm hay, được bà con đồng tình và hưởng ứng.".into()),
            body: SafeHtml::clean(body, None),
            url: WebUrl::parse(&format!("https://bao.example.vn/bai-{n}.html")).ok(),
            categories: categories.iter().skip(n % 5).take(1 + n % 2).cloned().collect(),
            tags: vec!["nông thôn mới".into(), "chuyển đổi số".into()],
            authors: vec!["CHÍ BẢO".into()],
            published: at,
            updated: at,
            image: None,
            enclosures: Vec::new(),
            source: None,
            language: None,
        })
    };
    let picture = |width| {
        Some(Image {
            url: WebUrl::parse("https://example.vn/anh-dai-dien.jpg").ok()?,
            width,
            height: width.map(|w| w * 2 / 3),
            caption: Some("Bà con thu hoạch lúa sớm".into()),
            credit: Some("Chí Bảo".into()),
        })
    };
    let body_picture = || {
        let url = WebUrl::parse("https://example.vn/anh.jpg").ok()?;
        Some(Image { url, width: None, height: None, caption: None, credit: None })
    };
    Some(vec![
        Article {
            url: None,
            image: picture(Some(900)),
            ..plain(0, "Học và làm theo Bác từ những việc nhỏ")?
        },
        Article { image: picture(None), updated: from_micros(AT + 5_400_000_000), ..plain(1, LONG)? },
        Article {
            url: None,
            language: LanguageTag::parse("en-GB"),
            source: Some(Source { title: "TTXVN".into(), url: WebUrl::parse("https://ttxvn.example").ok() }),
            enclosures: vec![Enclosure {
                url: WebUrl::parse("https://example.vn/ban-tin.mp3").ok()?,
                media_type: "audio/mpeg".into(),
                length: 1_200_000,
            }],
            ..plain(2, "Mekong farmers turn to rice and shrimp")?
        },
        Article {
            image: body_picture(),
            summary: None,
            authors: Vec::new(),
            tags: Vec::new(),
            ..plain(3, "Khai giảng năm học mới")?
        },
        Article {
            summary: None, body: SafeHtml::default(), categories: Vec::new(), ..plain(4, "Tin vắn")?
        },
    ])
}

/// A front page far longer than any newsroom shows, to see that the templates' fuel carries it.
#[cfg(test)]
pub(super) fn crowded(templates: &Templates) -> Option<String> {
    let mut samples = Samples::ordinary()?;
    samples.form.whole = false;
    samples.articles = samples.articles.iter().cycle().take(500).cloned().collect();
    let desk = Desk {
        publication: &samples.publication,
        templates,
        everything: Some(&samples.all),
        archive: true,
        language: Language::Vi,
        zone: samples.publication.time_zone,
        language_picked: false,
    };
    home(&desk, &samples.categories, &samples.all, &samples.articles, &samples.form).ok()
}

/// Every page, ordinary, hostile and empty, in both languages.
pub(super) fn every_page(templates: &Templates) -> Vec<Sample> {
    let kinds = [("", Samples::ordinary()), ("hostile-", Samples::hostile()), ("empty-", Samples::empty())];
    let mut pages = Vec::new();
    for (kind, samples) in kinds.iter().filter_map(|(kind, samples)| Some((kind, samples.as_ref()?))) {
        for language in Language::ALL {
            for (name, page) in samples.pages(templates, language) {
                pages.push((format!("{language}-{kind}{name}"), page));
            }
        }
    }
    pages
}

/// Fills in every page with sample data, hostile texts, empty lists and long titles, and reports
/// the templates that cannot take them, each fault once.
pub fn try_templates(templates: &Templates) -> Vec<TemplateFault> {
    let mut faults: Vec<TemplateFault> = Vec::new();
    for fault in every_page(templates).into_iter().filter_map(|(_, page)| page.err()) {
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }
    if let Err(fault) = templates.render("page/style.css", &()) {
        faults.push(fault);
    }
    faults
}
