//! The hash that the original writes into the entity tags of its static feeds.

/// Hash of a body (contract §2.0.7): for each UTF-16 unit `c`, `h = int32(int32(h) << 5) − h + c`,
/// where only the shift is done in 32 bits, so that the result may leave them.
pub fn static_hash(body: &str) -> i64 {
    body.encode_utf16().fold(0_i64, |hash, unit| {
        let shifted = wrap_to_i32(hash).wrapping_shl(5);
        // |hash| < 2^53 would be needed for the original's doubles to be exact; each step adds at
        // most 2^31 + 2^16 to a value whose sign alternates, and bodies are small. Wrapping keeps
        // the function total for any input.
        i64::from(shifted)
            .wrapping_sub(hash)
            .wrapping_add(i64::from(unit))
    })
}

/// The low 32 bits as a signed number: `ToInt32` of ECMAScript for integers.
fn wrap_to_i32(value: i64) -> i32 {
    let bytes = value.to_le_bytes();
    i32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests {
    use super::static_hash;

    #[test]
    fn case_18_hash_of_the_empty_announcements() {
        assert_eq!(static_hash(r#"{"announce":[]}"#), 1_230_862_227);
    }
}
