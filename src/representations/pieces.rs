//! gzip (RFC 1952) in pieces, so that a document of which little changed is compressed again in
//! little time.
//!
//! Deflate looks back as far as its compressor lets it, 32 KiB at most (RFC 1951 §2); here 16 KiB. So what
//! a piece of text is compressed to depends on the piece and on the 16 KiB before it, and on nothing else:
//! where both stand in the document's former version, the former bytes stand again. The bytes are the same whether pieces
//! were reused or not, and on every node. Pieces end where the text says so, wherever it moved to.

use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use sha2::{Digest as _, Sha256};
use std::ops::Range;

/// How far back a piece refers. A feed of 50 articles is 3 % larger than in one piece, and a new article
/// has some 35 KB of it compressed again; with 32 KiB it would be 2 % and 50 KB (benches/README.md).
const WINDOW: usize = 16 << 10;
/// The shortest piece: each costs some 100 bytes of its own.
const SHORTEST: usize = 4 << 10;
/// The longest piece.
const LONGEST: usize = 16 << 10;
/// A piece ends at one in 4,096 places, beyond its shortest length.
const ENDS: u64 = (4_096 - 1) << 40;
/// 6 is what most servers use; 9 takes twice as long for 0.6 %.
const LEVEL: u32 = 6;
/// Deflate, no time, nothing further, operating system unknown (§2.3.1).
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// A last block with nothing in it.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// What a piece and the window before it are known by.
type Fingerprint = [u8; 32];

/// A document's compressed pieces.
#[derive(Debug)]
pub(super) struct Pieces {
    bytes: Bytes,
    pieces: Vec<(Fingerprint, Range<usize>)>,
}

impl Pieces {
    fn find(&self, fingerprint: &Fingerprint) -> Option<&[u8]> {
        let found = self.pieces.iter().find(|(known, _)| known == fingerprint);
        found.and_then(|(_, range)| self.bytes.get(range.clone()))
    }

    /// The whole document.
    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// Compresses a document; what stood in its former version is taken from there.
pub(super) fn gzip(text: &[u8], former: Option<&Pieces>) -> std::io::Result<Pieces> {
    let mut bytes = Vec::with_capacity(text.len() / 3 + 64);
    bytes.extend(HEAD);
    let ranges = cut(text);
    let digests: Vec<Fingerprint> =
        ranges.iter().map(|range| Sha256::digest(&text[range.clone()]).into()).collect();
    let mut pieces = Vec::with_capacity(ranges.len());
    for (at, range) in ranges.iter().enumerate() {
        let window = range.start.saturating_sub(WINDOW)..range.start;
        let fingerprint = fingerprint(&ranges[..=at], &digests, window.start);
        let start = bytes.len();
        match former.and_then(|former| former.find(&fingerprint)) {
            Some(known) => bytes.extend_from_slice(known),
            None => {
                // A compressor that was used before, though reset, gives other bytes now and then.
                let mut deflate = Compress::new(Compression::new(LEVEL), false);
                if !window.is_empty() {
                    deflate.set_dictionary(&text[window]).map_err(std::io::Error::other)?;
                }
                deflate_piece(&mut deflate, &text[range.clone()], &mut bytes)?;
            }
        }
        pieces.push((fingerprint, start..bytes.len()));
    }
    bytes.extend(LAST_BLOCK);
    let mut crc = Crc::new();
    crc.update(text);
    bytes.extend(crc.sum().to_le_bytes());
    bytes.extend(crc.amount().to_le_bytes());
    bytes.shrink_to_fit();
    Ok(Pieces { bytes: Bytes::from(bytes), pieces })
}

/// Of a piece, the last one of these, with all before it that its window reaches into.
fn fingerprint(pieces: &[Range<usize>], digests: &[Fingerprint], window: usize) -> Fingerprint {
    let mut hasher = Sha256::new();
    for (range, digest) in pieces.iter().zip(digests).rev().take_while(|(range, _)| range.end > window) {
        hasher.update(digest);
        // Where in its oldest piece the window begins.
        hasher.update(window.saturating_sub(range.start).to_le_bytes());
    }
    hasher.finalize().into()
}

/// Ends at a whole byte (a sync flush), so that the next piece may stand behind it.
fn deflate_piece(deflate: &mut Compress, piece: &[u8], bytes: &mut Vec<u8>) -> std::io::Result<()> {
    let mut rest = piece;
    loop {
        // Never full at the end of a call: then nothing more is to come.
        bytes.reserve(rest.len() + rest.len() / 1_000 + 256);
        let before = deflate.total_in();
        let status = deflate.compress_vec(rest, bytes, FlushCompress::Sync).map_err(std::io::Error::other)?;
        let taken = usize::try_from(deflate.total_in() - before).unwrap_or_default();
        rest = rest.get(taken..).unwrap_or_default();
        if rest.is_empty() && bytes.len() < bytes.capacity() {
            return Ok(());
        }
        if status == Status::StreamEnd {
            return Err(std::io::Error::other("the compressor ended early"));
        }
    }
}

/// Cuts a text where the last 52 bytes say so, which moves with them.
fn cut(text: &[u8]) -> Vec<Range<usize>> {
    let mut ranges = Vec::with_capacity(text.len() / SHORTEST + 1);
    let (mut start, mut rolled) = (0, 0_u64);
    for (at, byte) in text.iter().enumerate() {
        rolled = (rolled << 1).wrapping_add(GEAR[usize::from(*byte)]);
        let length = at + 1 - start;
        if length >= LONGEST || length >= SHORTEST && rolled & ENDS == 0 {
            ranges.push(start..at + 1);
            start = at + 1;
        }
    }
    if start < text.len() {
        ranges.push(start..text.len());
    }
    ranges
}

/// A random number for each byte (splitmix64). Other numbers are other places and other bytes.
const GEAR: [u64; 256] = {
    let mut gear = [0; 256];
    let (mut seed, mut at) = (0x62_61_6e_74_69_6e_u64, 0);
    while at < gear.len() {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        gear[at] = mixed ^ (mixed >> 31);
        at += 1;
    }
    gear
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Read as _;

    fn unzipped(bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        // Not the multi-member decoder: it is one member.
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut text).unwrap();
        text
    }

    /// Words drawn by a generator: compresses as prose does, and no two entries are the same.
    fn entry(seed: u64, length: usize) -> String {
        let words: Vec<&str> =
            include_str!("../../tests/corpus/baosoctrang-article.txt").split_whitespace().collect();
        let mut state = seed | 1;
        let mut text = format!("<item id='{seed}'>");
        while text.len() < length {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(words[usize::try_from(state >> 40).unwrap() % words.len()]);
            text.push(' ');
        }
        text + "</item>"
    }

    #[test]
    fn a_new_entry_leaves_most_pieces_as_they_are() {
        let entries: Vec<String> = (0..51).map(|n| entry(n + 1, 4_500)).collect();
        let former = gzip(format!("<rss>1{}</rss>", entries[1..].concat()).as_bytes(), None).unwrap();
        let text = format!("<rss>2{}</rss>", entries[..50].concat());
        let anew = gzip(text.as_bytes(), Some(&former)).unwrap();
        assert_eq!(unzipped(anew.bytes()), text.as_bytes());
        assert_eq!(anew.bytes(), gzip(text.as_bytes(), None).unwrap().bytes());
        let kept = anew.pieces.iter().filter(|(known, _)| former.find(known).is_some()).count();
        assert!(kept * 4 > anew.pieces.len() * 3, "{kept} of {}", anew.pieces.len());
        let mut whole = flate2::write::GzEncoder::new(Vec::new(), Compression::new(LEVEL));
        std::io::Write::write_all(&mut whole, text.as_bytes()).unwrap();
        let whole = whole.finish().unwrap().len();
        assert!(anew.bytes().len() < whole + whole / 25, "{} and {whole}", anew.bytes().len());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn pieces_make_one_member_of_any_bytes(
            seeds in proptest::collection::vec((0_u64..40, 0_usize..20_000), 0..12),
            noise in proptest::collection::vec(any::<u8>(), 0..70_000),
            at in any::<prop::sample::Index>(),
        ) {
            let prose: String = seeds.iter().map(|(seed, length)| entry(*seed, *length)).collect();
            let former = gzip(prose.as_bytes(), None).unwrap();
            prop_assert_eq!(unzipped(former.bytes()), prose.as_bytes());
            let mut text = prose.into_bytes();
            let at = at.index(text.len() + 1);
            text.splice(at..at, noise);
            let anew = gzip(&text, Some(&former)).unwrap();
            prop_assert_eq!(unzipped(anew.bytes()), text.as_slice());
            let fresh = gzip(&text, None).unwrap();
            prop_assert_eq!(anew.bytes(), fresh.bytes());
        }
    }
}
