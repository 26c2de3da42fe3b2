//! Documents that come packed, as sitemaps do (`sitemap.xml.gz`).

use super::Fault;
use flate2::read::MultiGzDecoder;
use std::io::Read as _;

/// The most that is unpacked; sitemaps.org allows 50 MB.
const MAX_BYTES: usize = 64 << 20;

/// Whether the first bytes are those of gzip (RFC 1952 §2.3.1).
pub fn is_gzip(head: &[u8]) -> bool {
    head.starts_with(&[0x1f, 0x8b, 8])
}

/// The bytes of a document, unpacked where they are gzip. No bomb grows beyond what is read of a file.
pub fn unpacked(bytes: Vec<u8>) -> Result<Vec<u8>, Fault> {
    if !is_gzip(&bytes) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    let mut packed = MultiGzDecoder::new(&*bytes).take(MAX_BYTES as u64 + 1);
    match packed.read_to_end(&mut plain) {
        Ok(_) if plain.len() > MAX_BYTES => {
            Err(Fault::new(None, "is gzip, and unpacked larger than 64 MB; unpack it, and split it"))
        }
        Ok(_) => Ok(plain),
        Err(error) => {
            Err(Fault::new(None, format!("is gzip, but cannot be unpacked: {error}; fetch it anew")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use std::io::Write as _;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut out = GzEncoder::new(Vec::new(), Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    #[test]
    fn what_is_packed_is_unpacked_and_all_else_left_alone() {
        assert_eq!(unpacked(b"<urlset/>".to_vec()).unwrap(), b"<urlset/>");
        assert_eq!(unpacked(packed(b"<urlset/>")).unwrap(), b"<urlset/>");
        // Files of gzip may stand one behind the other (§2.2).
        assert_eq!(
            unpacked([packed(b"<urlset>"), packed(b"</urlset>")].concat()).unwrap(),
            b"<urlset></urlset>"
        );
        let whole = packed(b"<urlset></urlset>");
        let fault = unpacked(whole[..whole.len() - 9].to_vec()).unwrap_err();
        assert!(fault.message.contains("cannot be unpacked"), "{fault}");
    }

    #[test]
    fn a_bomb_is_refused_before_it_grows() {
        let bomb = packed(&vec![0; MAX_BYTES + 1]);
        assert!(bomb.len() < 1 << 20);
        assert!(unpacked(bomb).unwrap_err().message.contains("larger than 64 MB"));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(mut bytes in any::<Vec<u8>>()) {
            bytes.splice(0..0, [0x1f, 0x8b, 8]);
            let _ = unpacked(bytes);
        }
    }
}
