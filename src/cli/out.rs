//! What commands print. Whoever reads on says when it is enough: `bantin article list | head -1` ends at once
//! and without a word, as if by SIGPIPE. Whatever else keeps words from standard output is told, since they
//! are lost (Rust's own `println!` would panic in both cases).

use std::fmt::Arguments;
use std::io::{self, Stdout, Write};

/// 128 and the number of SIGPIPE, as a shell tells it of programs that the signal ended.
const NOBODY_READS: i32 = 141;

/// Standard output.
pub struct Out(Stdout);

/// Standard output.
pub fn stdout() -> Out {
    Out(io::stdout())
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        read_on(self.0.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        read_on(self.0.flush())
    }
}

fn read_on<T>(written: io::Result<T>) -> io::Result<T> {
    if written.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
        std::process::exit(NOBODY_READS);
    }
    written
}

/// A line to standard output.
pub fn line(words: Arguments<'_>) {
    if let Err(error) = writeln!(stdout(), "{words}") {
        aside(format_args!("bantin: standard output cannot be written: {error}"));
        std::process::exit(1);
    }
}

/// A line to standard error. There is nobody to tell that it went nowhere.
pub fn aside(words: Arguments<'_>) {
    drop(writeln!(io::stderr(), "{words}"));
}
