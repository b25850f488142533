//! Numbers and strings as C has them.

/// A 64-bit number.
pub(super) fn constant(value: u64) -> String {
    match value {
        0..=0xff => value.to_string(),
        _ if (-4096..0).contains(&value.cast_signed()) => format!("(word){}", value.cast_signed()),
        _ => format!("{value:#x}"),
    }
}

/// A string literal.
pub(super) fn string(bytes: &[u8]) -> String {
    let escaped: String = bytes
        .iter()
        .map(|byte| match byte {
            b'\n' => "\\n".to_owned(),
            b'"' | b'\\' => format!("\\{}", char::from(*byte)),
            // A second `?` could begin a trigraph.
            b' '..=b'>' | b'@'..=b'~' => char::from(*byte).to_string(),
            // Three octal digits end by themselves.
            _ => format!("\\{byte:03o}"),
        })
        .collect();
    format!("\"{escaped}\"")
}

/// Text that stands in a comment.
pub(super) fn comment(text: &str) -> String {
    text.replace("*/", "* /").replace("/*", "/ *")
}
