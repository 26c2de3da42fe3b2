//! The pictures of a large export, in a file: their number grows with the export, memory does not.

use crate::intake::wordpress::Pictures;
use std::fs::File;
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

/// How many chains there are. For 500,000 pictures a chain has two of them, and the heads take 2 MB.
const CHAINS: usize = 1 << 18;
/// What stands before each address: where its predecessor in the chain begins, its number, its length.
const HEAD: usize = 3;

/// Addresses by number, in a file that has no name and goes with the process.
pub struct PictureFile {
    file: File,
    end: u64,
    hasher: RandomState,
    /// Where the newest of each chain begins, counted from 1. 0: it is empty.
    chains: Box<[u64]>,
}

impl PictureFile {
    /// An empty one in the folder for temporary files.
    pub fn new() -> io::Result<Self> {
        let chains = vec![0; CHAINS].into_boxed_slice();
        Ok(Self { file: tempfile::tempfile()?, end: 0, hasher: RandomState::new(), chains })
    }

    fn chain(&mut self, number: u64) -> &mut u64 {
        let place = self.hasher.hash_one(number) % CHAINS as u64;
        &mut self.chains[usize::try_from(place).unwrap_or_default()]
    }
}

impl Pictures for PictureFile {
    fn keep(&mut self, number: u64, address: &str) -> io::Result<()> {
        let begins = self.end + 1;
        let before = std::mem::replace(self.chain(number), begins);
        let mut entry = [before, number, address.len() as u64].map(u64::to_le_bytes).concat();
        entry.extend(address.as_bytes());
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&entry)?;
        self.end += entry.len() as u64;
        Ok(())
    }

    fn find(&mut self, number: u64) -> io::Result<Option<String>> {
        let mut begins = *self.chain(number);
        while let Some(at) = begins.checked_sub(1) {
            self.file.seek(SeekFrom::Start(at))?;
            let mut head = [[0; 8]; HEAD];
            self.file.read_exact(head.as_flattened_mut())?;
            let [before, own, length] = head.map(u64::from_le_bytes);
            if own == number {
                let mut address = String::new();
                (&mut self.file).take(length).read_to_string(&mut address)?;
                return Ok(Some(address));
            }
            begins = before;
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u64) -> String {
        format!("https://bao.example/ảnh-{number}.jpg")
    }

    #[test]
    fn each_picture_is_found_by_its_number_and_a_later_one_stands_before_it() {
        let mut pictures = PictureFile::new().unwrap();
        let numbers = [0, 1, 7, CHAINS as u64 + 7, u64::MAX];
        for number in numbers {
            pictures.keep(number, &address(number)).unwrap();
        }
        for number in numbers {
            assert_eq!(pictures.find(number).unwrap(), Some(address(number)));
        }
        assert_eq!(pictures.find(8).unwrap(), None);
        pictures.keep(7, "").unwrap();
        assert_eq!(pictures.find(7).unwrap().as_deref(), Some(""));
    }

    /// More than there are chains, so that they meet in them.
    #[test]
    fn what_is_held_in_memory_does_not_grow_with_the_pictures() {
        let mut pictures = PictureFile::new().unwrap();
        let held = std::mem::size_of_val(&*pictures.chains);
        let many = CHAINS as u64 + 50_000;
        let mut written = 0;
        for number in 0..many {
            pictures.keep(number * 3, &address(number)).unwrap();
            written += (HEAD * 8 + address(number).len()) as u64;
        }
        assert_eq!(std::mem::size_of_val(&*pictures.chains), held);
        assert_eq!(pictures.file.metadata().unwrap().len(), written, "all else lies in the file");
        for number in (0..many).step_by(997) {
            assert_eq!(pictures.find(number * 3).unwrap(), Some(address(number)));
            assert_eq!(pictures.find(number * 3 + 1).unwrap(), None);
        }
    }
}
