//! The content-codings of one representation (RFC 9110 §8.4), made once when a feed changes:
//! compressing on the fly costs a thousand times the CPU of serving it (crates.md §0.8).

use super::pieces::GZIP_LEVEL;
use flate2::{Compression, GzBuilder};
use std::io::Write as _;

/// Brotli's quality: 5 takes 20 ms for 710 KB and is 15 % smaller than gzip 9 (crates.md §3a).
const BROTLI_QUALITY: i32 = 5;
/// Brotli's window, 2^22 bytes: larger than any feed.
const BROTLI_WINDOW: i32 = 22;

/// zstd's level: the highest that takes less time than gzip 6.
const ZSTD_LEVEL: i32 = 9;

/// A content-coding that we serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// The bytes as they are.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
}

impl Coding {
    /// Every coding, the bytes as they are first.
    pub const ALL: [Self; 4] = [Self::Identity, Self::Gzip, Self::Brotli, Self::Zstd];

    /// The bytes in this coding.
    pub fn encode(self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        match self {
            Self::Identity => Ok(bytes.to_vec()),
            Self::Gzip => gzip(bytes),
            Self::Brotli => brotli(bytes),
            Self::Zstd => zstd::encode_all(bytes, ZSTD_LEVEL),
        }
    }

    /// What a pre-compressed sibling of a file ends in, as web servers look for it.
    pub fn file_ending(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gz"),
            Self::Brotli => Some("br"),
            Self::Zstd => Some("zst"),
        }
    }

    /// Its name in Content-Encoding; `None` for the bytes as they are.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
            Self::Zstd => Some("zstd"),
        }
    }

    /// The best coding that an Accept-Encoding allows (RFC 9110 §12.5.3): the highest weight, and
    /// the smallest bytes among equals. Identity unless something better is accepted: a client
    /// that refuses even identity gets it all the same, never a 406.
    pub fn negotiate(accept: Option<&str>) -> Self {
        let Some(accept) = accept else { return Self::Identity };
        let (mut gzip, mut brotli, mut zstd, mut identity, mut any) = (None, None, None, None, None);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let weight = parts
                .find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")))
                .map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0));
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            match () {
                () if is("gzip") || is("x-gzip") => gzip = Some(weight),
                () if is("br") => brotli = Some(weight),
                () if is("zstd") => zstd = Some(weight),
                () if is("identity") => identity = Some(weight),
                () if is("*") => any = Some(weight),
                () => {}
            }
        }
        let of = |named: Option<f32>| named.or(any).unwrap_or(0.0);
        // The smallest bytes first; `max_by` takes the last of equals.
        let weighed = [
            (Self::Identity, identity.unwrap_or(0.0)),
            (Self::Gzip, of(gzip)),
            (Self::Zstd, of(zstd)),
            (Self::Brotli, of(brotli)),
        ];
        let best = weighed.into_iter().filter(|(_, weight)| *weight > 0.0).max_by(|a, b| a.1.total_cmp(&b.1));
        best.map_or(Self::Identity, |(coding, _)| coding)
    }
}

/// In one piece, which is a little smaller. Without a date, so that the same bytes give the same.
fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let out = Vec::with_capacity(bytes.len() / 4);
    let mut coder = GzBuilder::new().mtime(0).write(out, Compression::new(GZIP_LEVEL));
    coder.write_all(bytes)?;
    coder.finish()
}

fn brotli(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len() / 4);
    let params = ::brotli::enc::BrotliEncoderParams {
        quality: BROTLI_QUALITY,
        lgwin: BROTLI_WINDOW,
        size_hint: bytes.len(),
        ..Default::default()
    };
    ::brotli::BrotliCompress(&mut &*bytes, &mut out, &params)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_chooses_and_nothing_is_refused() {
        for (accept, coding) in [
            (None, Coding::Identity),
            (Some(""), Coding::Identity),
            (Some("gzip, deflate, br, zstd"), Coding::Brotli),
            (Some("gzip, deflate"), Coding::Gzip),
            (Some("br;q=0.5, gzip;q=0.8"), Coding::Gzip),
            (Some("identity"), Coding::Identity),
            (Some("gzip;q=0, *"), Coding::Brotli),
            (Some("*;q=0"), Coding::Identity),
            (Some("GZIP"), Coding::Gzip),
            (Some("gzip;q=0.5, identity"), Coding::Identity),
            (Some("zstd, gzip"), Coding::Zstd),
            (Some("br;q=0.9, zstd"), Coding::Zstd),
        ] {
            assert_eq!(Coding::negotiate(accept), coding, "{accept:?}");
        }
    }

    #[test]
    fn codings_give_the_bytes_back_and_are_reproducible() {
        let bytes = "Xây dựng Đảng ".repeat(1000).into_bytes();
        let zipped = Coding::Gzip.encode(&bytes).unwrap();
        assert_eq!(Coding::Gzip.encode(&bytes).unwrap(), zipped);
        let mut back = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*zipped), &mut back).unwrap();
        assert_eq!(back, bytes);
        let mut back = Vec::new();
        ::brotli::BrotliDecompress(&mut &*brotli(&bytes).unwrap(), &mut back).unwrap();
        assert_eq!(back, bytes);
        assert_eq!(zstd::decode_all(&*Coding::Zstd.encode(&bytes).unwrap()).unwrap(), bytes);
    }
}
