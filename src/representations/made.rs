use super::pieces::{Pieces, gzip};
use super::{Coding, Wanted};
use crate::domain::{FeedKey, Instant};
use crate::feed::Written;
use crate::feed::validators::{EntityTag, Validators};
use crate::store::Contents;
use bytes::Bytes;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::OnceCell;

/// What the codings of a document weigh beside the document itself: gzip, zstd and brotli make a
/// fifth to a quarter of a feed each.
const CODED_SHARE: usize = 3;
/// What is kept of a document's part, and of its piece of gzip.
const PART: usize = 96;

/// One content-coding of a feed's document.
#[derive(Clone, Debug)]
pub struct Coded {
    /// The bytes as they go out.
    pub bytes: Bytes,
    /// Their own strong entity tag (RFC 9110 §8.8.3).
    pub entity_tag: EntityTag,
}

/// A feed's document in one format, ready to be copied out. Each coding is made once, when it is
/// first asked for or ahead of that.
#[derive(Debug)]
pub struct Representation {
    identity: Coded,
    /// The same bytes and their parts, of which the next version takes over what stays.
    written: Arc<Written>,
    tags: [EntityTag; 4],
    coded: [OnceCell<Coded>; 4],
    /// What its gzip is made of, for the version that comes after it.
    pieces: OnceLock<Arc<Pieces>>,
    /// The pieces of the version before it, until they are used.
    former: Mutex<Option<Arc<Pieces>>>,
    /// What was asked for: enough to make it again.
    pub(super) wanted: Wanted,
    link: Option<Arc<str>>,
    /// The publish sequence up to which it shows everything.
    pub change_number: i64,
    last_modified: Instant,
    twice_in_one_second: bool,
    asked_for: AtomicBool,
}

impl Representation {
    pub(super) fn of(written: Written, wanted: Wanted, contents: &Contents, link: Option<Arc<str>>) -> Self {
        // Tags are made of the uncoded bytes and the coding's name, so that a newer compressor
        // does not make every reader fetch every feed again.
        let codings = Coding::ALL.map(|coding| coding.name().unwrap_or("identity"));
        let tags = EntityTag::named_each(written.digest(), codings);
        let written = Arc::new(written);
        Self {
            identity: Coded { bytes: shared(&written), entity_tag: tags[0].clone() },
            written,
            tags,
            coded: Default::default(),
            pieces: OnceLock::new(),
            former: Mutex::default(),
            wanted,
            link,
            change_number: contents.change_number,
            last_modified: contents.last_modified,
            twice_in_one_second: contents.twice_in_one_second,
            asked_for: AtomicBool::new(false),
        }
    }

    /// The bytes in a coding. Compresses at most once, off the threads that answer.
    pub async fn coded(&self, coding: Coding) -> std::io::Result<&Coded> {
        if coding == Coding::Identity {
            return Ok(&self.identity);
        }
        let make = async || {
            let bytes = match coding {
                Coding::Gzip => self.zipped().await?,
                coding => {
                    let bytes = self.identity.bytes.clone();
                    let work = tokio::task::spawn_blocking(move || coding.encode(&bytes));
                    let mut bytes = work.await.map_err(std::io::Error::other)??;
                    bytes.shrink_to_fit();
                    Bytes::from(bytes)
                }
            };
            Ok(Coded { bytes, entity_tag: self.tags[coding as usize].clone() })
        };
        self.coded[coding as usize].get_or_try_init(make).await
    }

    async fn zipped(&self) -> std::io::Result<Bytes> {
        let former = self.former.lock().unwrap_or_else(PoisonError::into_inner).take();
        let written = Arc::clone(&self.written);
        let work = tokio::task::spawn_blocking(move || gzip(&written, former.as_deref()));
        let pieces = work.await.map_err(std::io::Error::other)??;
        let bytes = pieces.bytes().clone();
        let _ = self.pieces.set(Arc::new(pieces));
        Ok(bytes)
    }

    /// Lets it take over what it has in common with its former version.
    pub(super) fn follow(&self, former: &Self) {
        *self.former.lock().unwrap_or_else(PoisonError::into_inner) = former.pieces.get().cloned();
    }

    /// The bytes in a coding, where they are made already.
    pub fn coded_before(&self, coding: Coding) -> Option<&Coded> {
        match coding {
            Coding::Identity => Some(&self.identity),
            coding => self.coded[coding as usize].get(),
        }
    }

    /// Other bytes that lead to the same version, under its validators (RFC 3229 §10.4.1).
    pub(super) fn manipulated(self, written: Written) -> Self {
        let written = Arc::new(written);
        let identity = Coded { bytes: shared(&written), entity_tag: self.identity.entity_tag };
        Self { identity, written, coded: Default::default(), pieces: OnceLock::new(), ..self }
    }

    /// Its bytes with their parts.
    pub(super) fn written(&self) -> &Arc<Written> {
        &self.written
    }

    /// The tags of all codings, in the order of [`Coding::ALL`].
    pub(super) fn tags(&self) -> &[EntityTag; 4] {
        &self.tags
    }

    /// The tag of the bytes as they are.
    pub fn entity_tag(&self) -> &EntityTag {
        &self.identity.entity_tag
    }

    /// The bytes as they are.
    pub fn bytes(&self) -> &Bytes {
        &self.identity.bytes
    }

    /// When it last changed.
    pub fn changed_at(&self) -> Instant {
        self.last_modified
    }

    /// What conditional requests are judged by.
    pub fn validators(&self, coding: Coding) -> Validators {
        let own = coding as usize;
        let others = self.tags.iter().enumerate().filter(|(at, _)| *at != own);
        Validators {
            entity_tag: self.tags[own].clone(),
            siblings: others.map(|(_, tag)| tag.clone()).collect(),
            changed_at: self.last_modified,
            twice_in_one_second: self.twice_in_one_second,
        }
    }

    /// Makes the codings that another one had: who asked for them will ask again.
    pub(super) async fn code_like(&self, other: &Self) -> std::io::Result<()> {
        for coding in Coding::ALL.into_iter().filter(|coding| other.coded_before(*coding).is_some()) {
            self.coded(coding).await?;
        }
        Ok(())
    }

    /// The kept feeds whose events change it.
    pub fn keys(&self) -> &[FeedKey] {
        self.wanted.feed.selection.keys()
    }

    /// The value of its `Link` field: the hubs that distribute it, and its topic.
    pub fn link(&self) -> Option<&str> {
        self.link.as_deref()
    }

    /// What it was asked for as.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Notes that somebody asked for it: only then is it made again when its feed changes.
    pub(super) fn note_use(&self) {
        // A store would dirty the line for every reader; most of the time it is noted already.
        if !self.asked_for.load(Ordering::Relaxed) {
            self.asked_for.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn was_asked_for(&self) -> bool {
        self.asked_for.load(Ordering::Relaxed)
    }

    /// What it takes of memory once all codings are made.
    pub(super) fn weight(&self) -> u32 {
        let bytes = self.identity.bytes.len();
        let parts = self.written.parts().len() * PART;
        u32::try_from(bytes + bytes / 4 * CODED_SHARE + parts + 1_024).unwrap_or(u32::MAX)
    }
}

fn shared(written: &Arc<Written>) -> Bytes {
    struct Shared(Arc<Written>);
    impl AsRef<[u8]> for Shared {
        fn as_ref(&self) -> &[u8] {
            (*self.0).as_ref()
        }
    }
    Bytes::from_owner(Shared(Arc::clone(written)))
}
