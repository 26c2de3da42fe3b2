//! The content-codings of one representation (RFC 9110 §8.4), made once when a feed changes:
//! compressing on the fly costs a thousand times the CPU of serving it (crates.md §0.8).

use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// Brotli's quality: 5 takes 20 ms for 710 KB and is 15 % smaller than gzip 9 (crates.md §3a).
const BROTLI_QUALITY: i32 = 5;
/// Brotli's window, 2^22 bytes: larger than any feed.
const BROTLI_WINDOW: i32 = 22;

/// A content-coding that we serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// The bytes as they are.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 7932.
    Brotli,
}

impl Coding {
    /// Its name in Content-Encoding; `None` for the bytes as they are.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some("gzip"),
            Self::Brotli => Some("br"),
        }
    }

    /// The best coding that an Accept-Encoding allows (RFC 9110 §12.5.3): the highest weight, and
    /// the smallest bytes among equals. Identity unless something better is accepted: a client
    /// that refuses even identity gets it all the same, never a 406.
    pub fn negotiate(accept: Option<&str>) -> Self {
        let Some(accept) = accept else { return Self::Identity };
        let (mut gzip, mut brotli, mut identity, mut any) = (None, None, None, None);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default();
            let weight = parts
                .find_map(|p| p.strip_prefix("q=").or_else(|| p.strip_prefix("Q=")))
                .map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0));
            match name.to_ascii_lowercase().as_str() {
                "gzip" | "x-gzip" => gzip = Some(weight),
                "br" => brotli = Some(weight),
                "identity" => identity = Some(weight),
                "*" => any = Some(weight),
                _ => {}
            }
        }
        let gzip = gzip.or(any).unwrap_or(0.0);
        let brotli = brotli.or(any).unwrap_or(0.0);
        let identity = identity.unwrap_or(0.0);
        if brotli > 0.0 && brotli >= gzip && brotli >= identity {
            Self::Brotli
        } else if gzip > 0.0 && gzip >= identity {
            Self::Gzip
        } else {
            Self::Identity
        }
    }
}

/// The bytes with gzip. No time stamp in the header (flate2 writes 0), so they are reproducible.
pub fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Compression::new(6));
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// The bytes with brotli.
pub fn brotli(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
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
        ] {
            assert_eq!(Coding::negotiate(accept), coding, "{accept:?}");
        }
    }

    #[test]
    fn codings_give_the_bytes_back_and_are_reproducible() {
        let bytes = "Xây dựng Đảng ".repeat(1000).into_bytes();
        let zipped = gzip(&bytes).unwrap();
        assert_eq!(gzip(&bytes).unwrap(), zipped);
        let mut back = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*zipped), &mut back).unwrap();
        assert_eq!(back, bytes);
        let mut back = Vec::new();
        ::brotli::BrotliDecompress(&mut &*brotli(&bytes).unwrap(), &mut back).unwrap();
        assert_eq!(back, bytes);
    }
}
