//! gzip (RFC 1952) in pieces, so that a document of which little changed is compressed again in
//! little time.
//!
//! Deflate looks back as far as its compressor lets it, 32 KiB at most (RFC 1951 §2); here [`WINDOW`]. So what
//! a piece of text is compressed to depends on the piece and on as much before it, and on nothing else:
//! where both stand in the document's former version, the former bytes stand again. The bytes are the same
//! whether pieces were reused or not, and on every node. Pieces end where entries do.

use crate::feed::{Digest, Written, WrittenPart, digest};
use bytes::Bytes;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use std::collections::HashMap;
use std::ops::Range;

/// How far back a piece refers (benches/README.md, visible).
const WINDOW: usize = 16 << 10;
/// How long pieces are on average, where entries are shorter: each costs some 100 bytes of its own.
const PIECE: u64 = 8 << 10;
/// 6 is what most servers use; 9 takes twice as long for 0.6 %.
pub(super) const GZIP_LEVEL: u32 = 6;
/// Deflate, no time, nothing further, operating system unknown (§2.3.1).
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// A last block with nothing in it.
const LAST_BLOCK: [u8; 2] = [3, 0];

/// A document's compressed pieces.
#[derive(Debug)]
pub(super) struct Pieces {
    bytes: Bytes,
    /// By what a piece and the window before it are known by.
    pieces: Vec<(Digest, Range<usize>)>,
}

impl Pieces {
    /// The whole document.
    pub(super) fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

/// A piece of the text, and a digest of it.
struct Piece {
    range: Range<usize>,
    digest: Digest,
}

/// Compresses a document; what stood in its former version is taken from there.
pub(super) fn gzip(written: &Written, former: Option<&Pieces>) -> std::io::Result<Pieces> {
    let text: &[u8] = written.as_ref();
    let known: HashMap<Digest, &[u8]> = former
        .iter()
        .flat_map(|former| &former.pieces)
        .filter_map(|(known, range)| Some((*known, former?.bytes.get(range.clone())?)))
        .collect();
    let mut bytes = Vec::with_capacity(former.map_or(text.len() / 3, |former| former.bytes.len()) + 1_024);
    bytes.extend(HEAD);
    let cut = cut(written.parts(), text.len());
    let mut pieces = Vec::with_capacity(cut.len());
    for (at, piece) in cut.iter().enumerate() {
        let window = piece.range.start.saturating_sub(WINDOW)..piece.range.start;
        let fingerprint = fingerprint(&cut[..=at], window.start);
        let start = bytes.len();
        match known.get(&fingerprint) {
            Some(known) => bytes.extend_from_slice(known),
            None => {
                // A compressor that was used before, though reset, gives other bytes now and then.
                let mut deflate = Compress::new(Compression::new(GZIP_LEVEL), false);
                if !window.is_empty() {
                    deflate.set_dictionary(&text[window]).map_err(std::io::Error::other)?;
                }
                deflate_piece(&mut deflate, &text[piece.range.clone()], &mut bytes)?;
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
fn fingerprint(pieces: &[Piece], window: usize) -> Digest {
    let seen = pieces.iter().rev().take_while(|piece| piece.range.end > window);
    // Where in its oldest piece the window begins.
    let told = seen.map(|Piece { range, digest }| {
        [&digest[..], &range.len().to_le_bytes(), &window.saturating_sub(range.start).to_le_bytes()].concat()
    });
    digest(told.collect::<Vec<_>>().iter().map(Vec::as_slice))
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

/// Cuts a text behind its head and behind entries, with the separator after them: one that is shorter than a
/// piece is the last of its piece as often as its length says. Its digest decides, which moves with it.
fn cut(parts: &[WrittenPart], length: usize) -> Vec<Piece> {
    let mut pieces = Vec::with_capacity(parts.len());
    let (mut start, mut digests) = (0, Vec::new());
    for (at, part) in parts.iter().enumerate() {
        let next = parts.get(at + 1);
        let end = next.map_or(length, |next| next.start);
        digests.extend(part.digest);
        let drawn = part.digest.iter().take(4).fold(0, |drawn, byte| drawn << 8 | u64::from(*byte)) % PIECE;
        let ends = part.stamp.is_none() || drawn < u64::try_from(end - part.start).unwrap_or(PIECE);
        if end > start && (ends || next.is_none()) {
            pieces.push(Piece { range: start..end, digest: digest([&*digests]) });
            (start, digests) = (end, Vec::new());
        }
    }
    pieces
}

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

    fn document(head: &str, entries: &[String]) -> Written {
        Written::of_texts(head, entries, "</rss>")
    }

    fn whole(text: &[u8]) -> usize {
        crate::representations::Coding::Gzip.encode(text).unwrap().len()
    }

    #[test]
    fn a_new_entry_leaves_most_pieces_as_they_are() {
        // Of short entries fewer lie beyond what a piece looks back to, and each costs more of its own.
        for (length, stays, costs) in [(4_500, (3, 4), 25), (1_500, (1, 3), 16)] {
            let entries: Vec<String> = (0..51).map(|n| entry(n + 1, length)).collect();
            let former = gzip(&document("<rss>1", &entries[1..]), None).unwrap();
            let document = document("<rss>2", &entries[..50]);
            let anew = gzip(&document, Some(&former)).unwrap();
            assert_eq!(unzipped(anew.bytes()), document.as_ref());
            assert_eq!(anew.bytes(), gzip(&document, None).unwrap().bytes());
            let known: Vec<Digest> = former.pieces.iter().map(|(known, _)| *known).collect();
            let kept = anew.pieces.iter().filter(|(piece, _)| known.contains(piece));
            let kept: usize = kept.map(|(_, range)| range.len()).sum();
            let (all, whole) = (anew.bytes().len(), whole(document.as_ref()));
            assert!(kept * stays.1 > all * stays.0, "{length}: {kept} of {all}");
            assert!(all < whole + whole / costs, "{length}: {all} and {whole}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn pieces_make_one_member_of_any_document(
            seeds in proptest::collection::vec((0_u64..40, 0_usize..20_000), 0..12),
            noise in "\\PC{0,9000}",
            at in any::<prop::sample::Index>(),
            head in "[a-z]{0,20}",
        ) {
            let mut entries: Vec<String> = seeds.iter().map(|(seed, length)| entry(*seed, *length)).collect();
            let written = document("", &entries);
            let former = gzip(&written, None).unwrap();
            prop_assert_eq!(unzipped(former.bytes()), written.as_ref());
            entries.insert(at.index(entries.len() + 1), noise);
            let written = document(&head, &entries);
            let anew = gzip(&written, Some(&former)).unwrap();
            prop_assert_eq!(unzipped(anew.bytes()), written.as_ref());
            let fresh = gzip(&written, None).unwrap();
            prop_assert_eq!(anew.bytes(), fresh.bytes());
        }
    }
}
