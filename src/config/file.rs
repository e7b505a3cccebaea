//! Reading small files, with a limit, and with errors that say why in half a sentence.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The content of a file of at most `bytes_max` bytes.
pub(super) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, String> {
    let file = File::open(path).map_err(reason)?;
    let mut content = Vec::new();
    // One byte more than allowed tells a file that is too long, also where it has no length.
    file.take(bytes_max + 1)
        .read_to_end(&mut content)
        .map_err(reason)?;
    if content.len() as u64 > bytes_max {
        return Err(format!("it is longer than {bytes_max} bytes"));
    }
    Ok(content)
}

/// The same, as text.
pub(super) fn read_text(path: &Path, bytes_max: u64) -> Result<String, String> {
    let content = read(path, bytes_max)?;
    String::from_utf8(content).map_err(|_| "it is not text in UTF-8".to_owned())
}

/// Without `(os error 2)`, which tells a reader nothing more.
fn reason(error: std::io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}
